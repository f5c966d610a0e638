//! What has to do with many objects: the controllers' time, CPU and memory beside Flux's.

use crate::table::Table;
use crate::{after, output, sibling};
use anyhow::{Context, Result};
use serde_json::Value;
use sluice_programs::flux::{self, Kind};
use sluice_programs::measure::{control_plane, mebibytes};
use sluice_tests::Controller;
use std::time::Duration;

pub(crate) fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Kustomizations => "Kustomizations",
        Kind::HelmReleases => "HelmReleases",
    }
}

/// Each controller with nothing to do.
pub(crate) fn idle(table: &mut Table) -> Result<()> {
    let usages = tokio::runtime::Runtime::new()?.block_on(async {
        let (plane, _) = control_plane().await?;
        let mut controllers = Vec::new();
        for (name, _) in flux::BINARIES {
            controllers.push((name, Controller::builder(&plane, name)?.start().await?));
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        let usages = controllers.iter().map(|(name, controller)| Ok((*name, controller.usage()?)));
        usages.collect::<Result<Vec<_>>>()
    })?;
    for (name, usage) in usages {
        table.at_most(format!("idle memory of {name}"), mebibytes(usage.resident), 15.0, "MiB")?;
    }
    Ok(())
}

/// `make bench` and `make bench-helm-releases`. Peaks have a target at the largest number only.
pub(crate) fn applied(table: &mut Table, kind: Kind, count: usize, largest: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("figures.json");
    let mut command = sibling("bench")?;
    command.args(["--count", &count.to_string()]).arg("--json").arg(&file);
    if kind == Kind::HelmReleases {
        command.arg("--helm-releases");
    }
    output(&mut command)?;
    let figures: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let title = format!("{count} {}", title(kind));
    // Flux was not measured with so many: it grows in proportion.
    let (flux, scale) = match flux::run(kind, count) {
        Some(flux) => (flux, 1.0),
        None => {
            let most = flux::RUNS.iter().filter(|run| run.kind == kind).max_by_key(|run| run.count);
            let most = most.context("Flux was not measured")?;
            (most, count as f64 / most.count as f64)
        }
    };
    for (index, name) in ["install", "upgrade", "unchanged"].into_iter().enumerate() {
        let phase = &figures["phases"][index];
        let (seconds, cpu) = (flux.phases[index].0 * scale, flux.phases[index].1 * scale);
        let own: f64 = phase["cpu"].as_object().context("no cpu")?.values().filter_map(Value::as_f64).sum();
        let took = phase["seconds"].as_f64().context("no seconds")?;
        let what = format!("{title}, {name}");
        if index == 2 && kind == Kind::Kustomizations {
            table.at_most(format!("{what}: CPU, a twentieth of Flux's {cpu:.1} s"), own, cpu / 20.0, "s")?;
            continue;
        }
        table.at_most(format!("{what}: time, a third of Flux's {seconds:.1} s"), took, seconds / 3.0, "s")?;
        table.at_most(format!("{what}: CPU, an eighth of Flux's {cpu:.1} s"), own, cpu / 8.0, "s")?;
        if let (0, Some(limit)) = (index, figures["limit"].as_f64()) {
            table.at_most(format!("{what}: time, twice the limit {limit:.1} s"), took, 2.0 * limit, "s")?;
        }
    }
    for (name, peak) in figures["peak"].as_object().into_iter().flatten().filter(|_| largest) {
        let theirs = match name.as_str() {
            "source" => flux.peak[1],
            _ if count >= 1000 => flux::published_peak(kind),
            _ => flux.peak[0],
        };
        let what = format!("{title}: peak memory of {name}, a sixth of Flux's {theirs} MiB");
        let peak = mebibytes(peak.as_u64().unwrap_or_default());
        table.at_most(what, peak, theirs as f64 / 6.0, "MiB")?;
    }
    Ok(())
}

/// `make bench-sources`.
pub(crate) fn sources(table: &mut Table, count: usize) -> Result<()> {
    let text = output(sibling("bench_sources")?.args(["--count", &count.to_string()]))?;
    for (kind, title, theirs) in [("OCIRepository", "OCIRepositories", 128), ("HelmChart", "HelmCharts", 189)]
    {
        let line = text.lines().find(|line| line.starts_with(&format!("{count} {kind}: ")));
        let peak = after(line.context("no figures")?, "peak ")?;
        let what = format!("{count} {title}: peak memory of source, a sixth of Flux's {theirs} MiB");
        table.at_most(what, peak, f64::from(theirs) / 6.0, "MiB")?;
    }
    Ok(())
}

/// `make bench-push`.
pub(crate) fn push(table: &mut Table) -> Result<()> {
    let text = output(&mut sibling("bench_push")?)?;
    let line = text.lines().find(|line| line.starts_with("changed object applied")).context("no figures")?;
    table.at_most("from a webhook to the object, 95th percentile", after(line, "95th percentile ")?, 1.0, "s")
}

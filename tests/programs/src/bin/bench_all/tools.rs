//! What is measured without many objects: binaries, and what a reference tool does too.

use crate::table::Table;
use crate::{after, output, sibling};
use anyhow::{Context, Result, bail};
use sluice_programs::measure::say;
use sluice_programs::{flux, overlay};
use std::path::Path;
use std::process::Command;

/// Seconds after which kustomize is stopped.
const LIMIT: u64 = 300;

pub(crate) fn binaries(table: &mut Table, folder: Option<&Path>) -> Result<()> {
    let Some(folder) = folder.filter(|folder| folder.join("source-controller").is_file()) else {
        return say("the release binaries are not there: their size is left out");
    };
    let size = |name: &str| {
        let path = folder.join(name);
        let metadata = std::fs::metadata(&path).with_context(|| path.display().to_string())?;
        anyhow::Ok(metadata.len() as f64 / 1e6)
    };
    let mut all = 0.0;
    for (name, theirs) in flux::BINARIES {
        all += size(name)?;
        table.at_most(
            format!("size of {name}, a fifth of Flux's {theirs} MB"),
            size(name)?,
            theirs / 5.0,
            "MB",
        )?;
    }
    table.at_most("size of all five controllers", all, 80.0, "MB")?;
    let theirs = flux::CLI;
    table.at_most(
        format!("size of sluice, a fifth of Flux's {theirs} MB"),
        size("sluice")?,
        theirs / 5.0,
        "MB",
    )
}

/// `make bench-kustomize`.
pub(crate) fn overlay(table: &mut Table, kustomize: &Path, count: usize) -> Result<()> {
    let both = overlay::compare(count, kustomize, LIMIT)?;
    let what = format!("kustomize build, {count} resources");
    let ours = both.ours.cpu.max(0.01);
    match both.theirs {
        Some(theirs) => {
            let factor = theirs.cpu / ours;
            table.at_least(
                format!("{what}: CPU {ours:.2} s, kustomize's {:.1} s", theirs.cpu),
                factor,
                10.0,
                "times",
            )?;
            let factor = theirs.memory / both.ours.memory;
            let names =
                format!("{what}: memory {:.0} MiB, kustomize's {:.0} MiB", both.ours.memory, theirs.memory);
            table.at_least(names, factor, 5.0, "times")
        }
        None => {
            table.at_least(format!("{what}: kustomize was stopped"), LIMIT as f64 / ours, 10.0, "times")?;
            bail!("kustomize was stopped after {LIMIT} s: its memory is not known; give fewer --resources")
        }
    }
}

/// `make bench-helm`, whole processes.
pub(crate) fn chart(table: &mut Table) -> Result<()> {
    let sluice = sluice_tests::binaries()?.get("sluice").context("the sluice binary is not there")?;
    let script = sluice_tests::workspace().join("crates/helm/benches/bench.sh");
    let text = output(Command::new(script).arg("10").arg(sluice))?;
    for what in ["small", "large", "large without CRDs"] {
        let found = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(": "));
        let line = found.with_context(|| format!("no figures of {what}"))?;
        let (helm, ours) = line.split_once("; ours ").context("no figures of ours")?;
        let (helm, ours) = (after(helm, "helm ")?, after(ours, "")?);
        table.at_least(
            format!("helm template, chart {what}: CPU {ours:.0} ms, helm's {helm:.0} ms"),
            helm / ours.max(0.1),
            10.0,
            "times",
        )?;
    }
    Ok(())
}

/// `make bench-git`, large repositories only: files and commits, and MiB of a file in a history.
pub(crate) fn clone(table: &mut Table, sizes: &[usize]) -> Result<()> {
    let [files, commits, large] = sizes else { bail!("--repository takes three numbers") };
    let mut command = sibling("bench_git")?;
    command.args(["--count", "0", "--files", &files.to_string(), "--commits", &commits.to_string()]);
    let text = output(command.args(["--large", &large.to_string()]))?;
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[1].starts_with("  git clone")) {
        let (what, figures) = pair[0].split_once(": ").context("no figures")?;
        if what != "small" {
            let (ours, theirs) = (after(figures, "")?, after(pair[1], "and tar: ")?);
            table.at_most(
                format!("{what}: time to the artifact, half of git and tar's {theirs:.2} s"),
                ours,
                theirs / 2.0,
                "s",
            )?;
        }
        table.at_most(format!("{what}: peak memory"), after(figures, "peak ")?, 64.0, "MiB")?;
    }
    Ok(())
}

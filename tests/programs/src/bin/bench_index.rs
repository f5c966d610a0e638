//! `make bench-index`: a chart looked up in the large index of a Helm repository, by the source-controller and by
//! `helm pull`: seconds of both, and the controller's memory above idle.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sluice_tests::{
    Cluster, ControlPlane, Controller, FileServer, Options, Registry, condition, install_crds, wait,
};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A chart looked up in a large index, beside `helm pull`.
#[derive(Parser)]
struct Arguments {
    /// How many versions the index has; each is about 1.5 kB.
    #[arg(long, default_value_t = 40_000)]
    versions: usize,
    /// How often `helm pull` is run; the fastest run counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const CHARTS: usize = 100;
/// The chart that is looked up.
const CHART: &str = "chart-70";
const PATIENCE: Duration = Duration::from_mins(10);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let each = arguments.versions / CHARTS;
    ensure!(each > 2, "at least {} versions", 3 * CHARTS);
    let helm = tokio::task::spawn_blocking(|| sluice_reference::tool("helm")).await?;
    let server = FileServer::start().await?;
    let (first, second) = (format!("1.{}.0", each / 2), format!("1.{}.0", each / 3));
    let digests = package(&helm, server.folder(), &[&first, &second])?;
    let index = server.folder().join("index.yaml");
    write_index(&index, each, &digests)?;
    let size = fs::metadata(&index)?.len();
    say(&format!("index: {:.1} MB, {} versions of {CHARTS} charts", size as f64 / 1e6, each * CHARTS))?;

    let mut best = Duration::MAX;
    for _ in 0..arguments.rounds.max(1) {
        best = best.min(pull(&helm, server.url(), &first)?);
    }
    say(&format!("helm pull: {:.2} s", best.as_secs_f64()))?;

    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let client = plane.client().await?;
    install_crds(&client).await?;
    let cluster = Cluster { client, namespace: "bench".into() };
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: bench}}").await?;
    let controller = Controller::builder(&plane, "source-controller")?
        .argument(format!("--helm-index-max-size={}", size * 2))
        .argument("--log-level=error")
        .start()
        .await?;
    // The peak of the start is not what idle costs, but is what it can be compared with.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = controller.usage()?;
    let begin = Instant::now();
    ready(&cluster, "HelmRepository", "large", json!({"url": server.url(), "interval": "1h"})).await?;
    let stored = begin.elapsed();
    ready(&cluster, "HelmChart", "first", chart(&first)).await?;
    let all = begin.elapsed();
    let begin = Instant::now();
    ready(&cluster, "HelmChart", "second", chart(&second)).await?;
    let again = begin.elapsed();
    let after = controller.usage()?;
    say(&format!(
        "source-controller: index stored after {:.2} s, chart ready after {:.2} s; another chart of it in {:.2} s",
        stored.as_secs_f64(),
        all.as_secs_f64(),
        again.as_secs_f64()
    ))?;
    say(&format!(
        "{:.1} times faster than helm pull; {:.1} times for the next look-up; CPU {:.2} s",
        best.as_secs_f64() / all.as_secs_f64(),
        best.as_secs_f64() / again.as_secs_f64(),
        after.cpu.saturating_sub(idle.cpu).as_secs_f64()
    ))?;
    say(&format!(
        "memory: {:.1} MiB idle, {:.1} MiB at most: {:.1} MiB above idle",
        mebibytes(idle.resident),
        mebibytes(after.peak),
        mebibytes(after.peak) - mebibytes(idle.resident)
    ))
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn chart(version: &str) -> Value {
    let source = json!({"kind": "HelmRepository", "name": "large"});
    json!({"chart": CHART, "version": version, "interval": "1h", "sourceRef": source})
}

async fn ready(cluster: &Cluster, kind: &str, name: &str, spec: Value) -> Result<()> {
    let object = json!({"apiVersion": SOURCE, "kind": kind, "metadata": {"name": name}, "spec": spec});
    cluster.apply(&object.to_string()).await?;
    let api = cluster.api(SOURCE, kind).await?;
    let good = wait::until(&api, name, "ready", |object| condition(object, "Ready") == Some("True"));
    tokio::time::timeout(PATIENCE, good).await.context("it does not get ready")??;
    Ok(())
}

/// Seconds of one `helm pull` with nothing kept from before.
fn pull(helm: &Path, url: &str, version: &str) -> Result<Duration> {
    let home = tempfile::tempdir()?;
    let folder = home.path().display().to_string();
    let mut command = std::process::Command::new(helm);
    command.args(["pull", CHART, "--repo", url, "--version", version, "--destination", &folder]);
    command.env("HELM_CACHE_HOME", home.path()).env("HELM_CONFIG_HOME", home.path()).env("HOME", home.path());
    let begin = Instant::now();
    let output = command.output()?;
    let took = begin.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}

/// Packs some versions of the chart. Returns their digests.
fn package(helm: &Path, folder: &Path, versions: &[&str]) -> Result<BTreeMap<String, String>> {
    let work = tempfile::tempdir()?;
    let chart: PathBuf = work.path().join(CHART);
    fs::create_dir_all(chart.join("templates"))?;
    fs::write(chart.join("templates/map.yaml"), "apiVersion: v1\nkind: ConfigMap\n")?;
    let mut digests = BTreeMap::new();
    for version in versions {
        fs::write(chart.join("Chart.yaml"), format!("apiVersion: v2\nname: {CHART}\nversion: {version}\n"))?;
        let (chart, folder) = (chart.display().to_string(), folder.display().to_string());
        Registry::run(helm, &["package", &chart, "--destination", &folder])?;
        let archive = fs::read(format!("{folder}/{CHART}-{version}.tgz"))?;
        let digest = Sha256::digest(archive).iter().fold(String::new(), |text, b| text + &format!("{b:02x}"));
        digests.insert(format!("{CHART}-{version}"), digest);
    }
    Ok(digests)
}

/// An index as helm writes it.
fn write_index(path: &Path, each: usize, digests: &BTreeMap<String, String>) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let images =
        "        - name: image\n          image: registry.example.test/library/image:1.0.0\n".repeat(14);
    writeln!(out, "apiVersion: v1\nentries:")?;
    for chart in 0..CHARTS {
        writeln!(out, "  chart-{chart}:")?;
        for version in (0..each).rev() {
            let name = format!("chart-{chart}-1.{version}.0");
            let digest = digests.get(&name).cloned().unwrap_or_else(|| format!("{version:064x}"));
            write!(out, "  - annotations:\n      category: Database\n      images: |\n{images}")?;
            writeln!(out, "    apiVersion: v2\n    appVersion: 1.{version}.0")?;
            writeln!(out, "    created: \"2026-01-01T00:00:00.000000000Z\"")?;
            writeln!(out, "    description: A chart of the benchmark, described in some words")?;
            writeln!(out, "    digest: {digest}\n    home: https://charts.example.test")?;
            writeln!(out, "    keywords:\n    - one\n    - two")?;
            writeln!(out, "    maintainers:\n    - email: someone@example.test\n      name: Someone")?;
            write!(
                out,
                "    name: chart-{chart}\n    urls:\n    - {name}.tgz\n    version: 1.{version}.0\n"
            )?;
        }
    }
    writeln!(out, "generated: \"2026-01-01T00:00:00Z\"")?;
    Ok(out.flush()?)
}

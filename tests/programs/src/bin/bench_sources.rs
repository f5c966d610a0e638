//! `make bench-sources`: many OCIRepositories and many HelmCharts, of a registry and a chart repository on loopback.
//! Measures seconds to all ready, the CPU time of the source-controller, its memory, and what it costs at rest.

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Value, json};
use sluice_programs::measure::{Cost, all, apply, control_plane, cost, is_ready, mebibytes, object, say};
use sluice_tests::{Cluster, Controller, FileServer, Registry};
use std::time::Duration;

/// Seconds, CPU and memory for many sources, on a control plane of its own.
#[derive(Parser)]
struct Arguments {
    /// How many OCIRepositories, and how many HelmCharts.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// How many different artifacts, and how many versions of the chart.
    #[arg(long, default_value_t = 20)]
    different: usize,
    /// Reconciles of each kind at the same time.
    #[arg(long, default_value_t = 10)]
    concurrent: usize,
    /// Seconds at rest.
    #[arg(long, default_value_t = 20)]
    rest: u64,
}

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (plane, cluster) = control_plane().await?;
    let (registry, server) = (Registry::start().await?, FileServer::start().await?);
    artifacts(&registry, arguments.different).await?;
    charts(&server, arguments.different).await?;
    let controller = Controller::builder(&plane, "source-controller")?
        .argument(format!("--concurrent={}", arguments.concurrent))
        .argument("--log-level=error");
    let controller = controller.start().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = controller.usage()?;
    say(&format!("idle: {:.1} MiB", mebibytes(idle.peak)))?;

    let url = format!("oci://{}/bench/app", registry.address());
    let oci = |index: usize| {
        let tag = format!("1.{}.0", index % arguments.different);
        json!({"url": url, "interval": "1h", "ref": {"tag": tag}})
    };
    phase(&cluster, &controller, "OCIRepository", arguments.count, oci).await?;
    let repository = json!({"url": server.url(), "interval": "1h"});
    apply(&cluster, [object(SOURCE, "HelmRepository", "charts", repository)]).await?;
    let chart = |index: usize| {
        json!({
            "chart": "app", "version": format!("1.{}.0", index % arguments.different), "interval": "1h",
            "sourceRef": {"kind": "HelmRepository", "name": "charts"},
        })
    };
    phase(&cluster, &controller, "HelmChart", arguments.count, chart).await?;
    let before = controller.usage()?;
    tokio::time::sleep(Duration::from_secs(arguments.rest)).await;
    let after = controller.usage()?;
    let cost = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    say(&format!(
        "at rest: {cost:.2} s of CPU in {} s; peak {:.1} MiB, {:.1} MiB above idle",
        arguments.rest,
        mebibytes(after.peak),
        mebibytes(after.peak) - mebibytes(idle.peak)
    ))
}

/// Creates objects of a kind and waits until all are ready.
async fn phase(
    cluster: &Cluster,
    controller: &Controller,
    kind: &'static str,
    count: usize,
    spec: impl Fn(usize) -> Value,
) -> Result<()> {
    let name = |index: usize| format!("{}-{index}", kind.to_lowercase());
    let objects: Vec<_> = (0..count).map(|index| object(SOURCE, kind, &name(index), spec(index))).collect();
    let work = async {
        apply(cluster, objects).await?;
        all(&cluster.api(SOURCE, kind).await?, count, is_ready).await
    };
    let Cost { seconds, cpu } = cost(controller, work).await?;
    let peak = mebibytes(controller.usage()?.peak);
    say(&format!("{count} {kind}: {seconds:.1} s to all ready, {cpu:.2} s of CPU, peak {peak:.1} MiB"))
}

/// Pushes small artifacts in Flux's layout.
async fn artifacts(registry: &Registry, count: usize) -> Result<()> {
    for index in 0..count {
        let text =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: app}}\ndata: {{n: \"{index}\"}}\n");
        registry.push_files("bench/app", &format!("1.{index}.0"), &[("app.yaml", &text)]).await?;
    }
    Ok(())
}

/// Packs versions of a small chart and makes the index, by the real helm.
async fn charts(server: &FileServer, count: usize) -> Result<()> {
    let helm = tokio::task::spawn_blocking(|| sluice_reference::tool("helm")).await?;
    let work = tempfile::tempdir()?;
    let chart = work.path().join("app");
    std::fs::create_dir_all(chart.join("templates"))?;
    std::fs::write(chart.join("values.yaml"), "replicas: 1\n")?;
    std::fs::write(chart.join("templates/map.yaml"), "apiVersion: v1\nkind: ConfigMap\n")?;
    let folder = server.folder().display().to_string();
    for index in 0..count {
        let metadata = format!("apiVersion: v2\nname: app\nversion: 1.{index}.0\n");
        std::fs::write(chart.join("Chart.yaml"), metadata)?;
        let path = chart.display().to_string();
        Registry::run(&helm, &["package", &path, "--destination", &folder])?;
    }
    Registry::run(&helm, &["repo", "index", &folder]).map(drop).context("helm repo index")
}

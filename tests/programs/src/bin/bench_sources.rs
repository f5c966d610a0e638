//! `make bench-sources`: many OCIRepositories and many HelmCharts, of a registry and a chart repository on loopback.
//! Measures seconds to all ready, the CPU time of the source-controller, its memory, and what it costs at rest.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};
use sluice_oci::{Client, ClientOptions, MANIFEST_MEDIA_TYPE, Manifest, Reference, Upload};
use sluice_tests::{
    Cluster, ControlPlane, Controller, FileServer, Options, Registry, condition, install_crds,
};
use std::io::Write as _;
use std::time::{Duration, Instant};

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
const PARALLEL: usize = 32;
const PATIENCE: Duration = Duration::from_mins(15);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let client = plane.client().await?;
    install_crds(&client).await?;
    let cluster = Cluster { client, namespace: "bench".into() };
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: bench}}").await?;
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
    apply(&cluster, "HelmRepository", "charts", repository).await?;
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

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

async fn apply(cluster: &Cluster, kind: &str, name: &str, spec: Value) -> Result<()> {
    let object = json!({"apiVersion": SOURCE, "kind": kind, "metadata": {"name": name}, "spec": spec});
    cluster.apply(&object.to_string()).await.map(drop)
}

/// Creates objects of a kind and waits until all are ready.
async fn phase(
    cluster: &Cluster,
    controller: &Controller,
    kind: &'static str,
    count: usize,
    spec: impl Fn(usize) -> Value,
) -> Result<()> {
    let before = controller.usage()?;
    let begin = Instant::now();
    stream::iter((0..count).map(|index| (format!("{}-{index}", kind.to_lowercase()), spec(index))))
        .map(|(name, spec)| async move { apply(cluster, kind, &name, spec).await })
        .buffer_unordered(PARALLEL)
        .try_collect::<()>()
        .await?;
    let api: Api<DynamicObject> = cluster.api(SOURCE, kind).await?;
    loop {
        let objects = api.list(&ListParams::default()).await?;
        let ready = objects.iter().filter(|object| condition(object, "Ready") == Some("True")).count();
        if ready >= count {
            break;
        }
        ensure!(begin.elapsed() < PATIENCE, "only {ready} of {count}: {}", controller.log_tail());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (seconds, after) = (begin.elapsed().as_secs_f64(), controller.usage()?);
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    say(&format!(
        "{count} {kind}: {seconds:.1} s to all ready, {cpu:.2} s of CPU, peak {:.1} MiB",
        mebibytes(after.peak)
    ))
}

/// Pushes small artifacts in Flux's layout.
async fn artifacts(registry: &Registry, count: usize) -> Result<()> {
    let base = Reference::parse(&format!("{}/bench/app", registry.address()))?;
    let client = Client::new(&base.registry, ClientOptions::default())?;
    let config = Upload::Bytes(b"{}".to_vec());
    let config =
        client.push_blob(&base.repository, "application/vnd.cncf.flux.config.v1+json", &config).await?;
    for index in 0..count {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        let text =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: app}}\ndata: {{n: \"{index}\"}}\n");
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "app.yaml", text.as_bytes())?;
        let layer = Upload::Bytes(tar.into_inner()?.finish()?);
        let media_type = "application/vnd.cncf.flux.content.v1.tar+gzip";
        let layer = client.push_blob(&base.repository, media_type, &layer).await?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
            config: config.clone(),
            layers: vec![layer],
            ..Manifest::default()
        };
        client.push_manifest(&base.with_tag(&format!("1.{index}.0")), &manifest).await?;
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

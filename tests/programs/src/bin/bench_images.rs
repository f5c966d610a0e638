//! `make bench-images`: many ImageRepositories with a policy each, on several registries on loopback. Measures seconds to all
//! ready, the CPU time of the image-controller, its memory, what it costs at rest, and what a scan of all costs.

use anyhow::{Result, ensure};
use clap::Parser;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};
use sluice_tests::{Cluster, ControlPlane, Controller, Options, Registry, condition, install_crds};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Seconds, CPU and memory for many images, on a control plane of its own.
#[derive(Parser)]
struct Arguments {
    /// How many ImageRepositories, and how many ImagePolicies.
    #[arg(long, default_value_t = 500)]
    count: usize,
    /// How many registries.
    #[arg(long, default_value_t = 10)]
    registries: usize,
    /// Tags of each image.
    #[arg(long, default_value_t = 5)]
    tags: usize,
    /// Reconciles of each kind at the same time.
    #[arg(long, default_value_t = 10)]
    concurrent: usize,
    /// Seconds at rest.
    #[arg(long, default_value_t = 20)]
    rest: u64,
}

const IMAGE: &str = "image.toolkit.fluxcd.io/v1";
const PARALLEL: usize = 32;
const PATIENCE: Duration = Duration::from_mins(15);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.registries > 0, "--registries must be at least 1");
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let client = plane.client().await?;
    install_crds(&client).await?;
    let cluster = Cluster { client, namespace: "bench".into() };
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: bench}}").await?;
    let mut registries = Vec::new();
    for _ in 0..arguments.registries {
        registries.push(Registry::start().await?);
    }
    let images: Vec<_> = (0..arguments.count)
        .map(|index| (&registries[index % registries.len()], format!("team-{}/app-{index}", index % 20)))
        .collect();
    let tags: Vec<String> = (0..arguments.tags).map(|n| format!("1.{n}.0")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let pushes = images.iter().map(|(registry, name)| registry.push(name, &tags));
    stream::iter(pushes).buffer_unordered(PARALLEL).try_collect::<()>().await?;

    let controller = Controller::builder(&plane, "image-controller")?
        .argument(format!("--concurrent={}", arguments.concurrent))
        .argument("--log-level=error");
    let controller = controller.start().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = controller.usage()?;
    say(&format!("idle: {:.1} MiB", mebibytes(idle.peak)))?;

    let count = arguments.count;
    let repository = |index: usize| {
        let (registry, name) = &images[index];
        json!({"image": registry.image(name), "interval": "1h"})
    };
    let policy = |index: usize| json!({"imageRepositoryRef": {"name": format!("app-{index}")}, "policy": {"semver": {"range": "1.x"}}});
    let ready = |object: &DynamicObject| condition(object, "Ready") == Some("True");
    measured(&controller, &format!("{count} ImageRepositories ready"), async {
        create(&cluster, "ImageRepository", count, repository).await?;
        all(&cluster.api(IMAGE, "ImageRepository").await?, count, ready).await
    })
    .await?;
    measured(&controller, &format!("{count} ImagePolicies ready"), async {
        create(&cluster, "ImagePolicy", count, policy).await?;
        all(&cluster.api(IMAGE, "ImagePolicy").await?, count, ready).await
    })
    .await?;
    measured(&controller, &format!("at rest for {} s", arguments.rest), async {
        tokio::time::sleep(Duration::from_secs(arguments.rest)).await;
        Ok(())
    })
    .await?;
    let api = cluster.api(IMAGE, "ImageRepository").await?;
    measured(&controller, "all scanned again, nothing new", async {
        let requests = (0..count).map(|index| {
            let cluster = &cluster;
            async move { cluster.request_reconcile(IMAGE, "ImageRepository", &format!("app-{index}")).await }
        });
        stream::iter(requests).buffer_unordered(PARALLEL).try_collect::<Vec<_>>().await?;
        all(&api, count, |object| {
            let annotations = object.metadata.annotations.as_ref();
            let requested = annotations.and_then(|all| all.get("reconcile.fluxcd.io/requestedAt"));
            object.data["status"]["lastHandledReconcileAt"].as_str() == requested.map(String::as_str)
        })
        .await
    })
    .await?;
    say(&format!("peak {:.1} MiB", mebibytes(controller.usage()?.peak)))
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Tells what some work has taken of time and of the controller's CPU.
async fn measured(controller: &Controller, what: &str, work: impl Future<Output = Result<()>>) -> Result<()> {
    let (before, begin) = (controller.usage()?, Instant::now());
    work.await.map_err(|error| error.context(controller.log_tail()))?;
    let cpu = controller.usage()?.cpu.saturating_sub(before.cpu).as_secs_f64();
    say(&format!("{what:<36} {:.1} s, {cpu:.2} s of CPU", begin.elapsed().as_secs_f64()))
}

/// Applies objects `app-0`, `app-1` and so on.
async fn create(cluster: &Cluster, kind: &str, count: usize, spec: impl Fn(usize) -> Value) -> Result<()> {
    let objects = (0..count).map(|index| {
        let name = format!("app-{index}");
        json!({"apiVersion": IMAGE, "kind": kind, "metadata": {"name": name}, "spec": spec(index)})
            .to_string()
    });
    let applied = objects.map(|object| async move { cluster.apply(&object).await.map(drop) });
    stream::iter(applied).buffer_unordered(PARALLEL).try_collect().await
}

/// Waits until something holds of all objects.
async fn all(api: &Api<DynamicObject>, count: usize, good: impl Fn(&DynamicObject) -> bool) -> Result<()> {
    let begin = Instant::now();
    loop {
        let objects = api.list(&ListParams::default()).await?;
        let done = objects.iter().filter(|object| good(object)).count();
        if done >= count {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "only {done} of {count}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

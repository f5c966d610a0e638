//! `make bench-images`: many ImageRepositories with a policy each, on several registries on loopback. Measures seconds to all
//! ready, the CPU time of the image-controller, its memory, what it costs at rest, and what a scan of all costs.

use anyhow::{Result, ensure};
use clap::Parser;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use sluice_programs::measure::{
    Cost, PARALLEL, all, apply, control_plane, cost, is_ready, mebibytes, object, say,
};
use sluice_tests::{Cluster, Controller, Registry};
use std::time::Duration;

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

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.registries > 0, "--registries must be at least 1");
    let (plane, cluster) = control_plane().await?;
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
    measured(&controller, &format!("{count} ImageRepositories ready"), async {
        create(&cluster, "ImageRepository", count, repository).await?;
        all(&cluster.api(IMAGE, "ImageRepository").await?, count, is_ready).await
    })
    .await?;
    measured(&controller, &format!("{count} ImagePolicies ready"), async {
        create(&cluster, "ImagePolicy", count, policy).await?;
        all(&cluster.api(IMAGE, "ImagePolicy").await?, count, is_ready).await
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

/// Tells what some work has taken of time and of the controller's CPU.
async fn measured(controller: &Controller, what: &str, work: impl Future<Output = Result<()>>) -> Result<()> {
    let Cost { seconds, cpu } = cost(controller, work).await?;
    say(&format!("{what:<36} {seconds:.1} s, {cpu:.2} s of CPU"))
}

/// Applies objects `app-0`, `app-1` and so on.
async fn create(cluster: &Cluster, kind: &str, count: usize, spec: impl Fn(usize) -> Value) -> Result<()> {
    let objects = (0..count).map(|index| object(IMAGE, kind, &format!("app-{index}"), spec(index)));
    apply(cluster, objects.collect::<Vec<_>>()).await
}

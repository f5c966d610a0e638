//! The set-up of benchmarks, waiting for many objects, and what a controller has cost.

use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use sluice_tests::{Cluster, ControlPlane, Controller, Options, condition, install_crds};
use std::collections::HashSet;
use std::io::Write as _;
use std::pin::pin;
use std::time::{Duration, Instant};

/// How many requests of ours are under way at a time.
pub const PARALLEL: usize = 32;
/// How long many objects may take: Flux took 4 minutes for 1,000.
pub const PATIENCE: Duration = Duration::from_mins(30);
/// The namespace of all objects.
pub const NAMESPACE: &str = "bench";

/// A line on standard output.
pub fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Bytes in MiB.
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A control plane of its own with our CRDs, and its namespace for the objects.
pub async fn control_plane() -> Result<(ControlPlane, Cluster)> {
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let client = plane.client().await?;
    install_crds(&client).await?;
    let cluster = Cluster { client, namespace: NAMESPACE.into() };
    cluster.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}")).await?;
    Ok((plane, cluster))
}

/// One of our objects as JSON.
pub fn object(version: &str, kind: &str, name: &str, spec: Value) -> String {
    serde_json::json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})
        .to_string()
}

/// Applies many objects, several at a time.
pub async fn apply(cluster: &Cluster, objects: impl IntoIterator<Item = String>) -> Result<()> {
    let applied = objects.into_iter().map(|object| async move { cluster.apply(&object).await.map(drop) });
    stream::iter(applied).buffer_unordered(PARALLEL).try_collect().await
}

/// Whether an object is ready.
pub fn is_ready(object: &DynamicObject) -> bool {
    condition(object, "Ready") == Some("True")
}

/// Waits until something holds of so many objects, by a watch.
pub async fn all(
    api: &Api<DynamicObject>,
    count: usize,
    good: impl Fn(&DynamicObject) -> bool,
) -> Result<()> {
    let mut events =
        pin!(watcher(api.clone(), watcher::Config::default()).default_backoff().applied_objects());
    let mut done = HashSet::new();
    let outcome = tokio::time::timeout(PATIENCE, async {
        while done.len() < count {
            let Some(object) = events.next().await else { return };
            if let Ok(object) = object
                && good(&object)
            {
                done.insert((object.metadata.namespace, object.metadata.name));
            }
        }
    });
    ensure!(
        outcome.await.is_ok() && done.len() >= count,
        "only {} of {count} after {PATIENCE:?}",
        done.len()
    );
    Ok(())
}

/// Waits until nothing is there any more.
pub async fn none(api: &Api<DynamicObject>) -> Result<()> {
    let begin = Instant::now();
    while !api.list(&kube::api::ListParams::default()).await?.items.is_empty() {
        ensure!(begin.elapsed() < PATIENCE, "the objects of before are not gone");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// What some work has taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds by the clock.
    pub seconds: f64,
    /// Seconds of CPU of the controller.
    pub cpu: f64,
}

/// Does some work and tells what it took of time and of a controller's CPU.
pub async fn cost(controller: &Controller, work: impl Future<Output = Result<()>>) -> Result<Cost> {
    let (before, begin) = (controller.usage()?, Instant::now());
    work.await.with_context(|| controller.log_tail())?;
    let cpu = controller.usage()?.cpu.saturating_sub(before.cpu).as_secs_f64();
    Ok(Cost { seconds: begin.elapsed().as_secs_f64(), cpu })
}

/// On what it was measured, and the day.
pub fn machine() -> String {
    let day = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    format!("{cores} cores of {model}, which also carry the control plane, {day}")
}

/// Replaces what stands between two marks of a page, or adds it with its marks at the end.
pub fn replace(page: &std::path::Path, begin: &str, end: &str, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(page).unwrap_or_else(|_| "# Benchmarks\n".into());
    let new = match old.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1))) {
        Some((before, after)) => format!("{before}{begin}{text}{end}{after}"),
        None => format!("{}\n\n{begin}{text}{end}", old.trim_end()),
    };
    std::fs::write(page, new).with_context(|| page.display().to_string())
}

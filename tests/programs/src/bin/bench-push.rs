//! `make bench-push`: how long it takes from a webhook to applied objects. One GitRepository, many Kustomizations with a
//! ConfigMap each, and a Receiver; each round pushes a change of one of them.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};
use sluice_tests::{
    Cluster, ControlPlane, Controller, GitServer, Options, Repository, condition, install_crds, wait,
};
use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};

/// Seconds from a webhook to applied objects, on a control plane of its own.
#[derive(Parser)]
struct Arguments {
    /// How many Kustomizations.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// How many pushes.
    #[arg(long, default_value_t = 40)]
    rounds: usize,
}

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
const RECEIVERS: &str = "notification.toolkit.fluxcd.io/v1";
const NAMESPACE: &str = "flux-system";
const PATIENCE: Duration = Duration::from_mins(10);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    say("starting a control plane");
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let client = plane.client().await?;
    install_crds(&client).await?;
    let cluster = Cluster { client, namespace: NAMESPACE.into() };
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}").await?;
    let server = GitServer::start().await?;
    let repository = server.repository("app")?;
    for index in 0..arguments.count {
        repository.write(&format!("apps/{index}/kustomization.yaml"), "resources: [configmap.yaml]\n")?;
        write(&repository, index, "first")?;
    }
    let commit = repository.commit("First")?;

    let notification = Controller::builder(&plane, "notification-controller")?.start().await?;
    let events = format!("--events-addr={}", notification.events());
    let source = Controller::builder(&plane, "source-controller")?.argument(events.clone());
    let kustomize =
        Controller::builder(&plane, "kustomize-controller")?.argument(events).argument("--concurrent=20");
    let (source, kustomize) = tokio::try_join!(source.start(), kustomize.start())?;

    say("installing");
    let object = |version: &str, kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
    };
    let spec = json!({"interval": "1h", "url": repository.url(), "ref": {"branch": "main"}});
    cluster.apply(&object(SOURCE, "GitRepository", "app", spec)).await?;
    let applied = (0..arguments.count).map(|index| {
        let spec = json!({
            "interval": "1h", "prune": true, "path": format!("./apps/{index}"), "targetNamespace": NAMESPACE,
            "sourceRef": {"kind": "GitRepository", "name": "app"},
        });
        let text = object(KUSTOMIZE, "Kustomization", &format!("app-{index}"), spec);
        let cluster = &cluster;
        async move { cluster.apply(&text).await.map(drop) }
    });
    stream::iter(applied).buffer_unordered(16).try_collect::<()>().await?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "stringData": {"token": "t"}});
    cluster.apply(&secret.to_string()).await?;
    let resources = json!([{"kind": "GitRepository", "name": "app"}]);
    let spec = json!({"type": "gitlab", "secretRef": {"name": "hook"}, "resources": resources});
    cluster.apply(&object(RECEIVERS, "Receiver", "hook", spec)).await?;
    let receivers = cluster.api(RECEIVERS, "Receiver").await?;
    let ready = |object: &DynamicObject| condition(object, "Ready") == Some("True");
    let receiver = wait::until(&receivers, "hook", "ready", ready).await?;
    let path = receiver.data["status"]["webhookPath"].as_str().context("no path")?;
    let hook = format!("{}{path}", notification.webhooks());
    let kustomizations = cluster.api(KUSTOMIZE, "Kustomization").await?;
    all_at(&kustomizations, arguments.count, &commit).await?;

    let maps = cluster.api("v1", "ConfigMap").await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (mut one, mut all) = (Vec::new(), Vec::new());
    let controllers = [("source", &source), ("kustomize", &kustomize), ("notification", &notification)];
    let usage = || controllers.iter().map(|(_, controller)| controller.usage()).collect::<Result<Vec<_>>>();
    let before = usage()?;
    for round in 0..arguments.rounds {
        let index = round * 37 % arguments.count;
        let value = format!("round-{round}");
        write(&repository, index, &value)?;
        let commit = repository.commit(&value)?;
        let begin = Instant::now();
        let pushed = async {
            let sent = http.post(&hook).header("x-gitlab-token", "t").header("x-gitlab-event", "Push Hook");
            let answer = sent.send().await?;
            ensure!(answer.status() == 200, "the webhook was answered with {}", answer.status());
            Ok(())
        };
        let changed = async {
            wait::until(&maps, &format!("app-{index}"), "changed", |map| {
                map.data["data"]["value"] == value.as_str()
            })
            .await?;
            Ok(begin.elapsed())
        };
        let everywhere = async {
            all_at(&kustomizations, arguments.count, &commit).await?;
            Ok(begin.elapsed())
        };
        let ((), changed, everywhere) = tokio::try_join!(pushed, changed, everywhere)?;
        one.push(changed.as_secs_f64());
        all.push(everywhere.as_secs_f64());
    }
    print(&format!(
        "{} Kustomizations, {} pushes, seconds from the webhook",
        arguments.count, arguments.rounds
    ));
    for (what, times) in [("changed object applied", one), ("all at the revision", all)] {
        print(&format!("{what:<24} {}", figures(times)));
    }
    for ((name, _), (before, after)) in controllers.iter().zip(before.iter().zip(usage()?)) {
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() / arguments.rounds as f64;
        print(&format!("{name:<24} {cpu:.3} s CPU a push, peak {} MiB", after.peak / 1024 / 1024));
    }
    Ok(())
}

fn write(repository: &Repository, index: usize, value: &str) -> Result<()> {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("app-{index}")}, "data": {"value": value}});
    repository.write(&format!("apps/{index}/configmap.yaml"), map.to_string())
}

/// Waits until all Kustomizations have applied a commit.
async fn all_at(api: &Api<DynamicObject>, count: usize, commit: &str) -> Result<()> {
    let revision = format!("main@sha1:{commit}");
    let mut objects =
        pin!(watcher(api.clone(), watcher::Config::default()).default_backoff().applied_objects());
    let mut done = HashSet::new();
    let outcome = tokio::time::timeout(PATIENCE, async {
        while done.len() < count {
            let Some(object) = objects.next().await else { return };
            if let Ok(object) = object
                && object.data["status"]["lastAppliedRevision"] == revision.as_str()
            {
                done.insert(object.metadata.name);
            }
        }
    });
    ensure!(outcome.await.is_ok() && done.len() == count, "only {} of {count} are at {revision}", done.len());
    Ok(())
}

fn figures(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        times
            .get(((times.len() as f64 * share).ceil() as usize).saturating_sub(1))
            .copied()
            .unwrap_or_default()
    };
    format!("median {:.3}, 95th percentile {:.3}, slowest {:.3}", at(0.5), at(0.95), at(1.0))
}

#[expect(clippy::print_stderr, reason = "progress of a program for people")]
fn say(text: &str) {
    eprintln!("{text} …");
}

#[expect(clippy::print_stdout, reason = "the result of a program for people")]
fn print(text: &str) {
    println!("{text}");
}

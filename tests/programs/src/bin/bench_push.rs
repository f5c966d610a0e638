//! `make bench-push`: how long it takes from a webhook to applied objects. One GitRepository, many Kustomizations with a
//! ConfigMap each, and a Receiver; each round pushes a change of one of them.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use kube::api::{Api, DynamicObject};
use serde_json::json;
use sluice_programs::measure::{NAMESPACE, all, apply, control_plane, is_ready, object, say};
use sluice_tests::{Controller, GitServer, Repository, wait};
use std::time::Instant;

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

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (plane, cluster) = control_plane().await?;
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

    let spec = json!({"interval": "1h", "url": repository.url(), "ref": {"branch": "main"}});
    let resources = json!([{"kind": "GitRepository", "name": "app"}]);
    let hook = json!({"type": "gitlab", "secretRef": {"name": "hook"}, "resources": resources});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "stringData": {"token": "t"}});
    let first = [
        object(SOURCE, "GitRepository", "app", spec),
        secret.to_string(),
        object(RECEIVERS, "Receiver", "hook", hook),
    ];
    let kustomization = |index: usize| {
        let spec = json!({
            "interval": "1h", "prune": true, "path": format!("./apps/{index}"), "targetNamespace": NAMESPACE,
            "sourceRef": {"kind": "GitRepository", "name": "app"},
        });
        object(KUSTOMIZE, "Kustomization", &format!("app-{index}"), spec)
    };
    apply(&cluster, first.into_iter().chain((0..arguments.count).map(kustomization))).await?;
    let receivers = cluster.api(RECEIVERS, "Receiver").await?;
    let receiver = wait::until(&receivers, "hook", "ready", is_ready).await?;
    let path = receiver.data["status"]["webhookPath"].as_str().context("no path")?;
    let hook = format!("{}{path}", notification.webhooks());
    let kustomizations = cluster.api(KUSTOMIZE, "Kustomization").await?;
    all_at(&kustomizations, arguments.count, &commit).await?;

    let maps = cluster.api("v1", "ConfigMap").await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (mut one, mut every) = (Vec::new(), Vec::new());
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
        every.push(everywhere.as_secs_f64());
    }
    say(&format!(
        "{} Kustomizations, {} pushes, seconds from the webhook",
        arguments.count, arguments.rounds
    ))?;
    for (what, times) in [("changed object applied", one), ("all at the revision", every)] {
        say(&format!("{what:<24} {}", figures(times)))?;
    }
    for ((name, _), (before, after)) in controllers.iter().zip(before.iter().zip(usage()?)) {
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() / arguments.rounds as f64;
        say(&format!("{name:<24} {cpu:.3} s CPU a push, peak {} MiB", after.peak / 1024 / 1024))?;
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
    all(api, count, |object| object.data["status"]["lastAppliedRevision"] == revision.as_str()).await
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

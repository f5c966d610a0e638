//! `make demo`: a commit in a Git repository becomes objects in Kubernetes, step by step, on a control plane of its own.
//!
//! `KEEP=1` leaves everything running at the end. A person's own kubeconfig is neither read nor written.

mod images;
mod keep;
mod screen;
mod shop;

use anyhow::{Context, Result};
use kube::api::{DynamicObject, ListParams};
use screen::{Screen, Tone};
use serde_json::json;
use sluice_tests::{
    Cluster, ControlPlane, Controller, GitServer, Options, Registry, Repository, Sink, binaries, condition,
    install_crds, wait,
};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";

#[tokio::main]
async fn main() -> ExitCode {
    let mut screen = Screen::new();
    let outcome = if keep::wanted() && keep::marker().is_none() {
        keep::run().await
    } else {
        run(&mut screen).await.map(|()| ExitCode::SUCCESS)
    };
    outcome.unwrap_or_else(|error| {
        screen.bad(&format!("the demo failed: {error:#}"));
        ExitCode::FAILURE
    })
}

/// Everything that the steps work with.
struct Stage {
    images: Controller,
    kustomize: Controller,
    source: Controller,
    notification: Controller,
    registry: Registry,
    /// Takes the place of Slack.
    slack: Sink,
    repository: Repository,
    server: GitServer,
    cluster: Cluster,
    plane: ControlPlane,
}

async fn run(screen: &mut Screen) -> Result<()> {
    screen.show(&screen.paint(Tone::Bold, "Sluice: a commit becomes objects in Kubernetes"));
    screen.say("Everything runs on this machine and is its own: control plane, Git server, controllers.");
    // A stop drops whatever is there already, which ends it.
    let stage = tokio::select! {
        stage = async {
            let stage = open(screen).await?;
            play(screen, &stage).await?;
            anyhow::Ok(stage)
        } => stage?,
        () = keep::stopped() => return Ok(()),
    };
    if keep::wanted() { leave(screen, &stage).await } else { close(screen, &stage).await }
}

async fn open(screen: &mut Screen) -> Result<Stage> {
    screen.step("A Kubernetes of our own");
    screen.say(
        "etcd, API server, controller manager and scheduler are the real ones; only the kubelet pretends.",
    );
    // Both take a while the first time.
    tokio::task::spawn_blocking(|| binaries().map(drop)).await??;
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let facts = plane.facts();
    let client = plane.client().await?;
    let version = client.apiserver_version().await?.git_version;
    screen.good(&format!("Kubernetes {version} at {}", facts.server), Duration::from_secs_f64(facts.seconds));
    let begin = Instant::now();
    install_crds(&client).await?;
    let cluster = Cluster { client, namespace: "flux-system".into() };
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}").await?;
    screen.good("Flux's API is installed", begin.elapsed());

    screen.step("A Git repository");
    let server = GitServer::start().await?;
    let repository = server.repository("shop")?;
    shop::write(&repository)?;
    repository.commit("Open the shop")?;
    // The image-controller pushes to the branch that the work tree shows.
    repository.git(["config", "receive.denyCurrentBranch", "ignore"])?;
    screen.say("Served by git's own http-backend.");
    screen.show(&screen.paint(Tone::Key, repository.url()));
    screen.quote(shop::tree());

    screen.step("Four controllers");
    let begin = Instant::now();
    let notification = Controller::builder(&plane, "notification-controller")?.start().await?;
    let events = format!("--events-addr={}", notification.events());
    let start = |name: &str| anyhow::Ok(Controller::builder(&plane, name)?.argument(&events).start());
    let (source, kustomize, images) = tokio::try_join!(
        start("source-controller")?,
        start("kustomize-controller")?,
        start("image-controller")?
    )?;
    screen.good("source-controller fetches, kustomize-controller builds and applies,", begin.elapsed());
    screen
        .good("image-controller looks for new images, notification-controller tells people", begin.elapsed());
    let (registry, slack) = (Registry::start().await?, Sink::start().await?);
    let stage = Stage {
        images,
        kustomize,
        source,
        notification,
        registry,
        slack,
        repository,
        server,
        cluster,
        plane,
    };
    screen.show(&memory(&stage)?);
    Ok(stage)
}

fn memory(stage: &Stage) -> Result<String> {
    let mebibytes =
        |controller: &Controller| anyhow::Ok(controller.usage()?.resident as f64 / f64::from(1 << 20));
    Ok(format!(
        "memory in MiB: source-controller {:.0}, kustomize-controller {:.0}, image-controller {:.0}, \
         notification-controller {:.0}",
        mebibytes(&stage.source)?,
        mebibytes(&stage.kustomize)?,
        mebibytes(&stage.images)?,
        mebibytes(&stage.notification)?
    ))
}

async fn play(screen: &mut Screen, stage: &Stage) -> Result<()> {
    sync(screen, stage).await?;
    roll_out(screen, stage).await?;
    images::follow(screen, stage).await?;
    put_back(screen, stage).await?;
    prune(screen, stage).await?;
    refuse(screen, stage).await
}

async fn sync(screen: &mut Screen, stage: &Stage) -> Result<()> {
    screen.step("Sync");
    screen.say(
        "One GitRepository, and a Kustomization for each overlay. Production waits until staging is healthy.",
    );
    let begin = Instant::now();
    let objects = shop::objects(stage.repository.url());
    stage.cluster.apply(&objects).await?;
    let commit = stage.repository.head()?;
    for name in ["staging", "production"] {
        applied(stage, name, &commit).await?;
        screen.good(&format!("{name} runs {}", short(&commit)), begin.elapsed());
    }
    screen.quote(&objects_of(stage, "production").await?);
    Ok(())
}

async fn roll_out(screen: &mut Screen, stage: &Stage) -> Result<()> {
    screen.step("A commit rolls out");
    let before = config_map(stage).await?;
    stage.repository.replace("base/deployment.yaml", "shop:1.0.0", "shop:1.1.0")?;
    stage.repository.replace(
        "overlays/production/kustomization.yaml",
        "GREETING=welcome",
        "GREETING=welcome-back",
    )?;
    let commit = stage.repository.commit("Shop 1.1.0, with a warmer greeting")?;
    screen.quote(&stage.repository.git(["show", "--stat", "--format=%h %s", "HEAD"])?);
    let begin = Instant::now();
    notify(stage).await?;
    applied(stage, "production", &commit).await?;
    screen.good(
        &format!("{} is everywhere, and every Deployment is available", short(&commit)),
        begin.elapsed(),
    );
    let deployment = deployment(stage).await?;
    let image = &deployment.data["spec"]["template"]["spec"]["containers"][0]["image"];
    screen.show(&format!("Deployment production/shop now has image {}", image.as_str().unwrap_or_default()));
    screen.show(&format!(
        "ConfigMap {before} became {}: new content, new name, so the Pods restart",
        config_map(stage).await?
    ));
    Ok(())
}

async fn put_back(screen: &mut Screen, stage: &Stage) -> Result<()> {
    screen.step("A change by hand is put back");
    screen.say("Somebody scales production to nothing and deletes a Service.");
    let production = production(stage);
    production.patch("apps/v1", "Deployment", "shop", json!({"spec": {"replicas": 0}})).await?;
    production.delete("v1", "Service", "shop").await?;
    screen.bad(&format!("replicas: {}, no Service", deployment(stage).await?.data["spec"]["replicas"]));
    let begin = Instant::now();
    // The next reconcile would come by itself after the interval.
    let request = stage.cluster.request_reconcile(KUSTOMIZE, "Kustomization", "production").await?;
    let kustomizations = stage.cluster.api(KUSTOMIZE, "Kustomization").await?;
    wait::until(&kustomizations, "production", "reconciled", |object| {
        object.data["status"]["lastHandledReconcileAt"] == request.as_str()
            && condition(object, "Ready") == Some("True")
    })
    .await?;
    production.get("v1", "Service", "shop").await?;
    let replicas = deployment(stage).await?.data["status"]["availableReplicas"].clone();
    screen.good(&format!("the Service is back, and {replicas} replicas are available"), begin.elapsed());
    Ok(())
}

async fn prune(screen: &mut Screen, stage: &Stage) -> Result<()> {
    screen.step("A removed file is pruned");
    stage.repository.remove("overlays/production/backup.yaml")?;
    stage.repository.replace("overlays/production/kustomization.yaml", "- backup.yaml\n", "")?;
    let commit = stage.repository.commit("No more backups")?;
    let begin = Instant::now();
    notify(stage).await?;
    applied(stage, "production", &commit).await?;
    let left = production(stage).find("batch/v1", "CronJob", "backup").await?;
    anyhow::ensure!(left.is_none(), "the CronJob is still there");
    screen.good("CronJob production/backup is gone, the rest was not touched", begin.elapsed());
    Ok(())
}

async fn refuse(screen: &mut Screen, stage: &Stage) -> Result<()> {
    screen.step("A broken commit breaks nothing");
    let good = stage.repository.head()?;
    stage.repository.replace("overlays/production/replicas.yaml", "replicas: 3", "replicas: many")?;
    let broken = stage.repository.commit("Many replicas")?;
    let begin = Instant::now();
    notify(stage).await?;
    let kustomizations = stage.cluster.api(KUSTOMIZE, "Kustomization").await?;
    let failed = wait::until(&kustomizations, "production", "failed", |object| {
        object.data["status"]["lastAttemptedRevision"]
            .as_str()
            .is_some_and(|revision| revision.ends_with(&broken))
            && condition(object, "Ready") == Some("False")
    })
    .await?;
    screen.bad(&format!("{} is refused:", short(&broken)));
    screen.quote(&message(&failed));
    let deployment = deployment(stage).await?;
    let available = &deployment.data["status"]["availableReplicas"];
    screen.good(&format!("what ran still runs: {available} replicas of {}", short(&good)), begin.elapsed());
    stage.repository.git(["revert", "--no-edit", "HEAD"])?;
    let commit = stage.repository.head()?;
    let begin = Instant::now();
    notify(stage).await?;
    applied(stage, "production", &commit).await?;
    screen.good(&format!("{} reverts it, and all is well", short(&commit)), begin.elapsed());
    Ok(())
}

async fn close(screen: &mut Screen, stage: &Stage) -> Result<()> {
    screen.step("Deleting a Kustomization removes what it applied");
    let begin = Instant::now();
    let kustomizations = stage.cluster.api(KUSTOMIZE, "Kustomization").await?;
    for name in ["production", "staging"] {
        stage.cluster.delete(KUSTOMIZE, "Kustomization", name).await?;
        wait::gone(&kustomizations, name).await?;
    }
    for name in ["production", "staging"] {
        wait::gone(&stage.cluster.api("v1", "Namespace").await?, name).await?;
    }
    screen.good("both namespaces are gone", begin.elapsed());
    screen.gap();
    overview(screen, stage);
    screen.show(&memory(stage)?);
    screen.show(&format!(
        "That was all. {} leaves it running to play with.",
        screen.paint(Tone::Key, "make demo KEEP=1")
    ));
    Ok(())
}

/// Keeps everything until it is told to end.
async fn leave(screen: &mut Screen, stage: &Stage) -> Result<()> {
    screen.step("It is yours");
    overview(screen, stage);
    screen.say("Go on like this:");
    let mut lines = vec![format!("export KUBECONFIG={}", stage.plane.facts().kubeconfig.display())];
    if let Some(sluice) = binaries()?.get("sluice") {
        lines.push(format!("alias sluice={}", sluice.display()));
    }
    lines.extend([
        "sluice get all -A".into(),
        "sluice events -n flux-system".into(),
        format!("git clone {}/shop.git   # change something, commit, push, then:", stage.server.url()),
        "sluice reconcile source git shop -n flux-system".into(),
    ]);
    for line in lines {
        screen.show(&format!("  {}", screen.paint(Tone::Key, &line)));
    }
    screen.say(&format!("All of it ends with: kill {}", std::process::id()));
    keep::stay().await
}

/// What the command line says.
fn overview(screen: &Screen, stage: &Stage) {
    let Ok(binaries) = binaries() else { return };
    let Some(sluice) = binaries.get("sluice") else { return };
    let mut command = Command::new(sluice);
    command.args(["get", "all", "-A"]).env("KUBECONFIG", &stage.plane.facts().kubeconfig);
    if let Ok(output) = command.output()
        && output.status.success()
    {
        screen.show(&screen.paint(Tone::Key, "$ sluice get all -A"));
        screen.quote(&String::from_utf8_lossy(&output.stdout));
    }
}

/// Tells the GitRepository that there is something new, as a webhook of the Git host would.
async fn notify(stage: &Stage) -> Result<()> {
    stage.cluster.request_reconcile(SOURCE, "GitRepository", "shop").await.map(drop)
}

async fn applied(stage: &Stage, name: &str, commit: &str) -> Result<DynamicObject> {
    let kustomizations = stage.cluster.api(KUSTOMIZE, "Kustomization").await?;
    wait::until(&kustomizations, name, "applied", |object| {
        object.data["status"]["lastAppliedRevision"]
            .as_str()
            .is_some_and(|revision| revision.ends_with(commit))
            && condition(object, "Ready") == Some("True")
    })
    .await
    .with_context(|| format!("{}\n{}", stage.source.log_tail(), stage.kustomize.log_tail()))
}

async fn objects_of(stage: &Stage, name: &str) -> Result<String> {
    let kustomization = stage.cluster.get(KUSTOMIZE, "Kustomization", name).await?;
    let entries =
        kustomization.data["status"]["inventory"]["entries"].as_array().cloned().unwrap_or_default();
    let lines = entries.iter().filter_map(|entry| {
        let mut parts = entry["id"].as_str()?.split('_');
        let (namespace, name) = (parts.next()?, parts.next()?);
        let kind = parts.next_back()?;
        Some(if namespace.is_empty() {
            format!("{kind} {name}\n")
        } else {
            format!("{kind} {namespace}/{name}\n")
        })
    });
    Ok(lines.collect())
}

fn production(stage: &Stage) -> Cluster {
    Cluster { client: stage.cluster.client.clone(), namespace: "production".into() }
}

async fn deployment(stage: &Stage) -> Result<DynamicObject> {
    production(stage).get("apps/v1", "Deployment", "shop").await
}

async fn config_map(stage: &Stage) -> Result<String> {
    let maps = production(stage).api("v1", "ConfigMap").await?.list(&ListParams::default()).await?;
    let mut names = maps.into_iter().filter_map(|map| map.metadata.name);
    names.find(|name| name.starts_with("settings-")).context("no generated ConfigMap")
}

fn message(object: &DynamicObject) -> String {
    let conditions = object.data["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|entry| entry["type"] == "Ready"));
    ready.and_then(|ready| ready["message"].as_str()).unwrap_or_default().to_owned()
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

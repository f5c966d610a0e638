//! A new image finds its way into Git, from there to the cluster, and Slack is told.

use crate::screen::Screen;
use crate::{SOURCE, Stage, applied, deployment, short};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use sluice_tests::{condition, wait};
use std::time::Instant;

const IMAGE: &str = "image.toolkit.fluxcd.io/v1";
const NOTIFICATION: &str = "notification.toolkit.fluxcd.io/v1beta3";

pub(crate) async fn follow(screen: &mut Screen, stage: &Stage) -> Result<()> {
    screen.step("A new image finds its way into Git");
    screen.say(
        "The image moves to a registry of our own, and a comment in the YAML names who chooses its tag.",
    );
    let image = stage.registry.image("shop");
    stage.registry.push("shop", &["1.1.0"]).await?;
    let marked = format!("{image}:1.1.0 # {{\"$imagepolicy\": \"flux-system:shop\"}}");
    stage.repository.replace("base/deployment.yaml", "ghcr.io/example/shop:1.1.0", &marked)?;
    let commit = stage.repository.commit("Let the shop's image be updated")?;
    screen.quote(&change(stage)?);
    for object in objects(&image, &stage.slack.url("/hook")) {
        stage.cluster.apply(&object.to_string()).await?;
    }
    crate::notify(stage).await?;
    applied(stage, "production", &commit).await?;
    let policies = stage.cluster.api(IMAGE, "ImagePolicy").await?;
    let ready = |object: &kube::api::DynamicObject| condition(object, "Ready") == Some("True");
    wait::until(&policies, "shop", "ready", ready).await?;

    screen.say("Somebody pushes version 1.2.0 to the registry.");
    stage.registry.push("shop", &["1.2.0"]).await?;
    let begin = Instant::now();
    // As a webhook of the registry would.
    stage.cluster.request_reconcile(IMAGE, "ImageRepository", "shop").await?;
    let automations = stage.cluster.api(IMAGE, "ImageUpdateAutomation").await?;
    let pushed = wait::until(&automations, "shop", "pushed", |object| {
        object.data["status"]["lastPushCommit"].is_string()
    });
    let pushed = pushed.await.with_context(|| stage.images.log_tail())?;
    let commit = pushed.data["status"]["lastPushCommit"].as_str().unwrap_or_default().to_owned();
    screen.good(
        &format!("{} is on main: one line has changed, and nothing else", short(&commit)),
        begin.elapsed(),
    );
    stage.repository.git(["reset", "--quiet", "--hard", "main"])?;
    screen.quote(&change(stage)?);
    stage.cluster.request_reconcile(SOURCE, "GitRepository", "shop").await?;
    applied(stage, "production", &commit).await?;
    let running = &deployment(stage).await?.data["spec"]["template"]["spec"]["containers"][0]["image"];
    screen.good(&format!("production runs {}", running.as_str().unwrap_or_default()), begin.elapsed());
    let told = stage
        .slack
        .wait("the message for Slack", |told| String::from_utf8_lossy(&told.body).contains(short(&commit)));
    let told = told.await.with_context(|| stage.notification.log_tail())?;
    let attachment = &told.json()["attachments"][0];
    screen.good("and #releases has heard of it:", begin.elapsed());
    let text = |field: &str| attachment[field].as_str().unwrap_or_default().to_owned();
    screen.quote(&format!("{}\n{}", text("author_name"), text("text")));
    Ok(())
}

/// The last commit: who, what, and the lines.
fn change(stage: &Stage) -> Result<String> {
    let shown = stage.repository.git(["show", "--unified=0", "--format=%h %an: %s", "HEAD"])?;
    let is_line = |line: &&str| line.starts_with("- ") || line.starts_with("+ ");
    let lines = shown.lines().take(1).chain(shown.lines().filter(is_line));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn objects(image: &str, slack: &str) -> [Value; 6] {
    let object = |version: &str, kind: &str, name: &str, spec: Value| {
        let metadata = json!({"name": name, "namespace": "flux-system"});
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    };
    let policy = json!({"imageRepositoryRef": {"name": "shop"}, "policy": {"semver": {"range": "1.x"}}});
    let template =
        "Update the shop\n\n{{ range .Changed.Changes }}{{ .OldValue }} -> {{ .NewValue }}{{ end }}";
    let author = json!({"name": "Sluice", "email": "sluice@example.com"});
    let automation = json!({
        "interval": "10m", "sourceRef": {"kind": "GitRepository", "name": "shop"},
        "git": {"commit": {"author": author, "messageTemplate": template}}, "update": {"path": "./base"},
    });
    let provider = json!({"type": "slack", "channel": "releases", "secretRef": {"name": "slack"}});
    let alert = json!({
        "providerRef": {"name": "slack"}, "eventSources": [{"kind": "ImageUpdateAutomation", "name": "*"}],
    });
    [
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "slack", "namespace": "flux-system"},
            "stringData": {"address": slack},
        }),
        object(NOTIFICATION, "Provider", "slack", provider),
        object(NOTIFICATION, "Alert", "images", alert),
        object(IMAGE, "ImageRepository", "shop", json!({"image": image, "interval": "10m"})),
        object(IMAGE, "ImagePolicy", "shop", policy),
        object(IMAGE, "ImageUpdateAutomation", "shop", automation),
    ]
}

//! The examples on secrets, image updates and notifications, one after the other on one cluster.

use crate::examples::Fleet;
use crate::gitops::{KUSTOMIZE, SOURCE, is_ready};
use crate::guides::Guide;
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_tests::{Registry, wait};

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_decrypted_new_images_committed_and_channels_told_as_in_the_examples() -> Result<()> {
    let fleet = Fleet::start("--components-extra=image-controller").await?;
    let outcome = async {
        secrets(&fleet).await.context("secrets")?;
        images(&fleet).await.context("image-updates")?;
        notifications(&fleet).await.context("notifications")
    };
    let outcome = outcome.await;
    fleet.explain(outcome)
}

/// Has the cluster follow an example instead of what it followed before, and returns the commit.
async fn begin(fleet: &Fleet, example: &str, addresses: &[(&str, &str)]) -> Result<String> {
    if fleet.repository.head().is_ok() {
        fleet.repository.git(["rm", "-rq", "."])?;
    }
    let commit = fleet.follow(example, "staging", addresses).await?;
    fleet.cluster.request_reconcile(SOURCE, "GitRepository", "flux-system").await?;
    Ok(commit)
}

/// Waits until the applications run as of a commit.
async fn applied(fleet: &Fleet, commit: &str) -> Result<()> {
    let kustomizations = fleet.cluster.api(KUSTOMIZE, "Kustomization").await?;
    for name in ["flux-system", "apps"] {
        let at_commit = |object: &DynamicObject| {
            let applied = object.data["status"]["lastAppliedRevision"].as_str();
            is_ready(object) && applied.is_some_and(|revision| revision.ends_with(commit))
        };
        wait::until(&kustomizations, name, "applied", at_commit).await?;
    }
    Ok(())
}

async fn secret(fleet: &Fleet, name: &str, data: Value) -> Result<()> {
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
    fleet.cluster.apply(&secret.to_string()).await.map(drop)
}

async fn secrets(fleet: &Fleet) -> Result<()> {
    let key = sluice_tests::workspace().join("examples/secrets/example.agekey");
    secret(fleet, "sops-age", json!({"age.agekey": std::fs::read_to_string(key)?})).await?;
    applied(fleet, &begin(fleet, "secrets", &[]).await?).await?;
    let api = fleet.cluster.api_in("v1", "Secret", "shop").await?;
    let decoded = |value: &Value| -> Result<String> {
        Ok(String::from_utf8(STANDARD.decode(value.as_str().context("no value")?)?)?)
    };
    let database = api.get("database").await?;
    ensure!(decoded(&database.data["data"]["PASSWORD"])? == "correct-horse");
    ensure!(database.data.get("sops").is_none());
    let shop = fleet.cluster.api_in("apps/v1", "Deployment", "shop").await?.get("shop").await?;
    let sources = &shop.data["spec"]["template"]["spec"]["containers"][0]["envFrom"];
    let name = sources[1]["secretRef"]["name"].as_str().context("no generated Secret")?;
    let tokens = api.get(name).await?;
    ensure!(decoded(&tokens.data["data"]["PAYMENTS"])? == "battery-staple");
    let key = sluice_tests::workspace().join("examples/secrets/example.agekey");
    Guide {
        page: "guides/secrets.md",
        instead: &[("apps/staging/secret.yaml", "apps/database-secret.yaml"), ("./apps/staging", "./apps")],
        variables: &[("SOPS_AGE_KEY_FILE", key.to_str().context("not in UTF-8")?)],
        ..Guide::default()
    }
    .run(fleet)
    .await
}

async fn images(fleet: &Fleet) -> Result<()> {
    let registry = Registry::start().await?;
    let image = registry.image("shop");
    registry.push("shop", &["1.0.0", "1.1.0", "2.0.0"]).await?;
    begin(fleet, "image-updates", &[("ghcr.io/example/shop", image.as_str())]).await?;
    let automations = fleet.cluster.api("image.toolkit.fluxcd.io/v1", "ImageUpdateAutomation").await?;
    let pushed = |object: &DynamicObject| object.data["status"]["lastPushCommit"].is_string();
    let pushed = wait::until(&automations, "fleet", "pushed", pushed).await?;
    let commit = pushed.data["status"]["lastPushCommit"].as_str().context("no commit")?;
    let told = fleet.repository.git(["log", "-1", "--format=%an %s", commit])?;
    ensure!(told.trim() == format!("fluxbot Update {image}:1.0.0 to {image}:1.1.0"), "{told}");
    fleet.cluster.request_reconcile(SOURCE, "GitRepository", "flux-system").await?;
    applied(fleet, commit).await?;
    let shop = fleet.cluster.api_in("apps/v1", "Deployment", "shop").await?.get("shop").await?;
    let runs = &shop.data["spec"]["template"]["spec"]["containers"][0]["image"];
    ensure!(runs == &format!("{image}:1.1.0"), "{runs}");
    let guide =
        Guide { page: "guides/image-updates.md", elsewhere: &["sluice bootstrap "], ..Guide::default() };
    guide.run(fleet).await?;
    // The next example begins where this one ended.
    fleet.repository.git(["reset", "--hard", "-q"]).map(drop)
}

async fn notifications(fleet: &Fleet) -> Result<()> {
    secret(fleet, "slack-url", json!({"address": fleet.sink.url("/slack")})).await?;
    secret(fleet, "fleet-webhook", json!({"token": "secret"})).await?;
    applied(fleet, &begin(fleet, "notifications", &[]).await?).await?;
    // What happened while Alert and Provider came was told to those that were there already.
    let hello =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hello", "namespace": "shop"}});
    fleet.repository.write("apps/hello.yaml", hello.to_string())?;
    let commit = fleet.repository.commit("Something to tell")?;
    fleet.cluster.request_reconcile(SOURCE, "GitRepository", "flux-system").await?;
    applied(fleet, &commit).await?;
    let told = fleet.sink.wait("the channel", |delivery| {
        delivery.path == "/slack"
            && delivery.json()["attachments"][0]["author_name"] == "kustomization/apps.flux-system"
    });
    let told = told.await?.json();
    ensure!(told["channel"] == "general", "{told}");
    ensure!(told["attachments"][0].to_string().contains("staging"), "the cluster is not named: {told}");

    Guide {
        page: "guides/migrating-from-argo-cd.md",
        instead: &[
            ("kustomization shop --path=./deploy", "kustomization apps --path=./apps"),
            ("--kustomization-file=shop.yaml", "--kustomization-file=clusters/staging/apps.yaml"),
        ],
        elsewhere: &["sluice install"],
        ..Guide::default()
    }
    .run(fleet)
    .await?;

    let receivers = fleet.cluster.api("notification.toolkit.fluxcd.io/v1", "Receiver").await?;
    wait::until(&receivers, "fleet", "ready", is_ready).await?;
    let asked = "reconcile.fluxcd.io/requestedAt";
    let asked_at =
        |object: &DynamicObject| object.metadata.annotations.as_ref().and_then(|all| all.get(asked).cloned());
    let before = asked_at(&fleet.cluster.get(SOURCE, "GitRepository", "flux-system").await?);
    let webhooks = fleet.controllers.first().context("no notification-controller")?.webhooks();
    Guide {
        page: "guides/notifications.md",
        instead: &[("receiver deploy ", "receiver fleet "), ("https://flux.example.com", &webhooks)],
        elsewhere: &["sluice logs "],
        ..Guide::default()
    }
    .run(fleet)
    .await?;
    let sources = fleet.cluster.api(SOURCE, "GitRepository").await?;
    wait::until(&sources, "flux-system", "asked for", |object| asked_at(object) != before).await?;
    Ok(())
}

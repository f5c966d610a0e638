//! Providers, Alerts and Receivers that users have, in every version that they are written in.

use crate::gitops::{SOURCE, is_ready};
use crate::notification::{
    RECEIVERS, SIGNATURE, alert, answers, event, notification_in, post, reached, requested,
};
use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{Controller, GitServer, Sink, condition, documents, reason, wait, workspace};
use std::path::Path;
use std::time::Instant;

const VERSIONS: [&str; 3] = ["v1beta1", "v1beta2", "v1beta3"];
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_receivers_that_users_have_work_in_every_version() -> Result<()> {
    let setting = Setting::new("notify-old").await?;
    let controller = notification_in(&setting.namespace).await?;
    let folder = workspace().join("tests/fixtures/manifests");
    let outcome = async {
        alerts(&setting, &controller, &folder).await?;
        receivers(&setting, &controller, &folder).await
    };
    outcome.await.map_err(|error| error.context(controller.log_tail()))
}

/// A Provider whose server has a certificate of its own authority, and wants one of us.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_a_provider_are_those_of_its_secret_and_no_others() -> Result<()> {
    let setting = Setting::new("notify-tls").await?;
    let controller = notification_in(&setting.namespace).await?;
    // It answers 404 to what we post: whoever hears that has got through.
    let server = GitServer::builder().client_certificates().start().await?;
    let (certificate, key) = server.client_certificate().context("no certificate")?;
    let ca = server.ca().context("no CA")?;
    for (name, data) in [
        ("both", json!({"ca.crt": ca, "tls.crt": certificate, "tls.key": key})),
        ("authority", json!({"ca.crt": ca})),
        ("half", json!({"ca.crt": ca, "tls.crt": certificate})),
    ] {
        setting.apply(&secret(name, &data)).await?;
        for mut object in alert(&setting.namespace, "generic", server.url().as_str(), &json!({})) {
            object["metadata"]["name"] = json!(name);
            if object["kind"] == "Alert" {
                object["spec"]["providerRef"]["name"] = json!(name);
            } else {
                object["spec"]["certSecretRef"] = json!({"name": name});
                object["spec"]["timeout"] = json!("1s");
            }
            setting.apply(&object.to_string()).await?;
        }
    }
    let events = setting.api("v1", "Event").await?;
    let send = async {
        // The controller learns of the Alerts by its watch: news until all have been heard of.
        for n in 0.. {
            let news = event(&setting.namespace, &format!("try {n}")).to_string();
            post(&controller.events(), &[JSON], &news).await?;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        anyhow::Ok(())
    };
    let heard = async {
        for (name, words) in [
            ("both", "status code 404"),
            ("authority", "failed to execute request"),
            ("half", "secret 'half' is invalid: key 'tls.crt' is there without 'tls.key'"),
        ] {
            wait::told(&events, "Alert", name, words, |_, _, text| text.contains(words)).await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        sent = send => sent,
        heard = heard => heard.map_err(|error| error.context(controller.log_tail())),
    }
}

fn secret(name: &str, data: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}).to_string()
}

async fn alerts(setting: &Setting, controller: &Controller, folder: &Path) -> Result<()> {
    let namespace = &setting.namespace;
    let sink = Sink::start().await?;
    setting.apply(&secret("slack-webhook", &json!({"address": sink.url("/slack")}))).await?;
    for version in VERSIONS {
        let text = std::fs::read_to_string(folder.join(format!("notification-{version}.yaml")))?;
        for mut document in documents(&text)? {
            document["metadata"]["namespace"] = json!(namespace);
            if document["kind"] == "Provider" {
                document["spec"]["channel"] = json!(version);
            }
            let sources = document["spec"].get_mut("eventSources").and_then(Value::as_array_mut);
            for source in sources.into_iter().flatten().filter(|source| source["kind"] == "Kustomization") {
                source["namespace"] = json!(namespace);
            }
            setting.apply(&document.to_string()).await?;
        }
    }
    // The controller learns of the Alerts by its watch: news until each has told of one.
    let deadline = Instant::now() + wait::PATIENCE;
    let told = |version: &&str| sink.count(|told| told.json()["channel"] == *version) > 0;
    for n in 0.. {
        let news = event(namespace, &format!("try {n}")).to_string();
        ensure!(post(&controller.events(), &[JSON], &news).await? == 202);
        if VERSIONS.iter().all(told) {
            break;
        }
        ensure!(Instant::now() < deadline, "{:?}", sink.deliveries());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let excluded = event(namespace, "waiting for a socket").to_string();
    let mut of_no_interest = event(namespace, "all is well");
    of_no_interest["severity"] = json!("info");
    let last = event(namespace, "the last one").to_string();
    for news in [excluded, of_no_interest.to_string(), last] {
        ensure!(post(&controller.events(), &[JSON], &news).await? == 202);
    }
    for version in VERSIONS {
        // Each Provider is told in order, so what was to be kept back would have come before this.
        let is_last = |told: &sluice_tests::Delivery| {
            told.json()["channel"] == version && String::from_utf8_lossy(&told.body).contains("the last one")
        };
        let told = sink.wait(version, is_last).await?.json();
        ensure!(told["attachments"][0]["color"] == "danger", "{told}");
        let summary = json!({"title": "summary", "value": "Cluster staging", "short": false});
        ensure!(told["attachments"][0]["fields"] == json!([summary]), "{told}");
    }
    let kept_back = |told: &sluice_tests::Delivery| {
        let text = String::from_utf8_lossy(&told.body).into_owned();
        text.contains("socket") || text.contains("all is well")
    };
    ensure!(sink.count(kept_back) == 0, "{:?}", sink.deliveries());
    Ok(())
}

async fn receivers(setting: &Setting, controller: &Controller, folder: &Path) -> Result<()> {
    for (name, labels) in
        [("shop", json!({"team": "shop"})), ("web", json!({"team": "shop"})), ("other", json!({}))]
    {
        let source = json!({
            "apiVersion": SOURCE, "kind": "GitRepository", "metadata": {"name": name, "labels": labels},
            "spec": {"interval": "1h", "url": "https://git.example.test/x"},
        });
        setting.apply(&source.to_string()).await?;
    }
    setting.apply(&secret("webhook-token", &json!({"token": "token"}))).await?;
    let text = std::fs::read_to_string(folder.join("receiver.yaml"))?;
    let mut github = documents(&text)?.into_iter().next().context("no receiver")?;
    github["metadata"]["namespace"] = json!(setting.namespace);
    let group = "notification.toolkit.fluxcd.io";
    let mut names = Vec::new();
    for version in ["v1", "v1beta2", "v1beta1"] {
        github["apiVersion"] = json!(format!("{group}/{version}"));
        github["metadata"]["name"] = json!(format!("github-{version}"));
        setting.apply(&github.to_string()).await?;
        names.push(format!("github-{version}"));
    }
    let mut labelled = github.clone();
    labelled["apiVersion"] = json!(RECEIVERS);
    labelled["metadata"]["name"] = json!("labelled");
    labelled["spec"] = json!({
        "type": "generic", "secretRef": {"name": "webhook-token"},
        "resourceFilter": "req.repository.name == res.metadata.name",
        "resources": [{"kind": "GitRepository", "name": "*", "matchLabels": {"team": "shop"}}],
    });
    setting.apply(&labelled.to_string()).await?;
    let mut wrong = labelled.clone();
    wrong["metadata"]["name"] = json!("wrong");
    wrong["spec"]["resources"][0]["filter"] = json!("res.metadata.name + 1");
    setting.apply(&wrong.to_string()).await?;

    let api = setting.api(RECEIVERS, "Receiver").await?;
    let is_stalled = |object: &kube::api::DynamicObject| condition(object, "Stalled") == Some("True");
    let stalled = wait::until(&api, "wrong", "stalled", is_stalled).await?;
    ensure!(reason(&stalled, "Ready") == Some("InvalidCELExpression"));
    let place = r#"invalid filter expression for resources[0] (kind=\"GitRepository\", name=\"*\")"#;
    ensure!(stalled.data["status"]["conditions"].to_string().contains(place), "{:?}", stalled.data);

    let url = async |name: &str| -> Result<String> {
        let ready = wait::until(&api, name, "ready", is_ready).await?;
        let path = ready.data["status"]["webhookPath"].as_str().context("no path")?.to_owned();
        Ok(format!("{}{path}", controller.webhooks()))
    };
    let labelled = url("labelled").await?;
    // Not JSON by its content type: the filter finds nothing.
    answers(&labelled, 500).await?;
    ensure!(post(&labelled, &[JSON], r#"{"repository": {"name": "web"}}"#).await? == 200);
    let is_requested =
        async |name: &str| anyhow::Ok(requested(&setting.get(SOURCE, "GitRepository", name).await?).cloned());
    ensure!(is_requested("web").await?.is_some());
    for name in ["shop", "other"] {
        ensure!(is_requested(name).await?.is_none(), "{name} was not meant");
    }
    let mut before = None;
    for name in &names {
        let github = url(name).await?;
        reached(&github).await?;
        let headers = [JSON, ("x-hub-signature-256", SIGNATURE), ("x-github-event", "push")];
        ensure!(post(&github, &headers, "{}").await? == 200, "{name}");
        let now = is_requested("shop").await?;
        ensure!(now.is_some() && now != before, "{name}: {now:?} after {before:?}");
        before = now;
        let headers = [headers[0], headers[1], ("x-github-event", "star")];
        ensure!(post(&github, &headers, "{}").await? == 400, "an event that was not asked for");
    }
    let large = "x".repeat(3 * 1024 * 1024 + 1);
    ensure!(post(&labelled, &[], &large).await? == 413);
    ensure!(post(&controller.events(), &[], &large).await? == 413);
    Ok(())
}

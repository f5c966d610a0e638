//! The notification-controller between the real controllers, a sink and a sender of webhooks.

use crate::gitops::{GitOps, KUSTOMIZE, SOURCE, is_ready, write_shop};
use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{ControlPlane, Controller, ControllerBuilder, Namespace, Sink, wait};
use std::time::{Duration, Instant};

pub(crate) const ALERTS: &str = "notification.toolkit.fluxcd.io/v1beta3";
pub(crate) const RECEIVERS: &str = "notification.toolkit.fluxcd.io/v1";

/// The controller, for Alerts and Receivers of all namespaces.
async fn notification(arguments: &[String]) -> Result<Controller> {
    let mut builder = builder().await?;
    for argument in arguments {
        builder = builder.argument(argument);
    }
    builder.start().await
}

/// The controller, for Alerts and Receivers of a namespace.
pub(crate) async fn notification_in(namespace: &str) -> Result<Controller> {
    builder().await?.namespace(namespace).start().await
}

async fn builder() -> Result<ControllerBuilder> {
    let builder = || Controller::builder(ControlPlane::shared()?, "notification-controller");
    tokio::task::spawn_blocking(builder).await?
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap_or_default()
}

/// Posts a webhook and returns the status of the answer.
pub(crate) async fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Result<u16> {
    let mut request = http().post(url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.send().await?.status().as_u16())
}

/// A Provider that posts to the sink, and an Alert for all Kustomizations.
pub(crate) fn alert(namespace: &str, type_: &str, address: &str, spec: &Value) -> [Value; 2] {
    let provider = json!({
        "apiVersion": ALERTS, "kind": "Provider", "metadata": {"name": type_, "namespace": namespace},
        "spec": {"type": type_, "address": address},
    });
    let mut alert = json!({
        "apiVersion": ALERTS, "kind": "Alert", "metadata": {"name": type_, "namespace": namespace},
        "spec": {"providerRef": {"name": type_}, "eventSources": [{"kind": "Kustomization", "name": "*"}]},
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        alert["spec"][key] = value.clone();
    }
    [provider, alert]
}

/// What a controller would post of an object.
pub(crate) fn event(namespace: &str, message: &str) -> Value {
    json!({
        "involvedObject": {"apiVersion": KUSTOMIZE, "kind": "Kustomization", "name": "app", "namespace": namespace, "uid": "1"},
        "severity": "error", "timestamp": "2026-01-02T03:04:05Z", "message": message, "reason": "BuildFailed",
        "reportingController": "kustomize-controller",
    })
}

/// HMAC-SHA256 of `{}` under the token `token`, as `printf {} | openssl dgst -sha256 -hmac token` prints it.
pub(crate) const SIGNATURE: &str = "sha256=5c88aa97c426854fb8f94deb5a1f202a537891ced9b9ae9c99bc1d3323d27d53";

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_to_its_own_tenant_only_and_a_webhook_starts_the_next_reconcile() -> Result<()> {
    let notification = notification(&["--no-cross-namespace-refs".to_owned()]).await?;
    let events = format!("--events-addr={}", notification.events());
    let ops = GitOps::start("notify", &[&events]).await?;
    let other = Namespace::create(ops.plane, &ops.client, "notify-other").await?;
    let outcome = tenants(&ops, &notification, other.name()).await;
    let log = notification.log_tail();
    ops.explain(outcome).map_err(|error| error.context(format!("--- notification-controller\n{log}\n---")))
}

async fn tenants(ops: &GitOps, notification: &Controller, other: &str) -> Result<()> {
    let (ours, theirs) = (Sink::start().await?, Sink::start().await?);
    for object in alert(&ops.namespace, "generic", &ours.url("/generic"), &json!({"summary": "staging"})) {
        ops.apply(&object.to_string()).await?;
    }
    // The address of a Slack webhook is a secret.
    ops.secret("slack", json!({"address": ours.url("/slack"), "token": "xoxb-1"})).await?;
    let [mut provider, alerting] = alert(&ops.namespace, "slack", "", &json!({"eventSeverity": "error"}));
    provider["spec"] = json!({"type": "slack", "channel": "ops", "secretRef": {"name": "slack"}});
    ops.apply(&provider.to_string()).await?;
    ops.apply(&alerting.to_string()).await?;
    // The other tenant would like to hear of us, too.
    let curious = json!({"eventSources": [
        {"kind": "Kustomization", "name": "*"}, {"kind": "Kustomization", "name": "*", "namespace": ops.namespace},
    ]});
    for object in alert(other, "generic", &theirs.url("/generic"), &curious) {
        ops.apply(&object.to_string()).await?;
    }

    write_shop(&ops.repository)?;
    let first = ops.repository.commit("Open the shop")?;
    ops.git_repository(json!({})).await?;
    ops.stored("app", &format!("main@sha1:{first}")).await?;
    ops.kustomization("shop", json!({"path": "./nowhere"})).await?;
    let told = ours.wait("the failure", |delivery| delivery.path == "/generic").await?;
    let body = told.json();
    ensure!(told.headers["gotk-component"] == "kustomize-controller", "{told:?}");
    ensure!(body["involvedObject"]["name"] == "shop" && body["severity"] == "error", "{body}");
    ensure!(body["metadata"]["summary"] == "staging", "{body}");
    ensure!(body["metadata"]["revision"] == format!("main@sha1:{first}").as_str(), "{body}");
    let chat = ours.wait("the message for Slack", |delivery| delivery.path == "/slack").await?;
    ensure!(chat.headers["authorization"] == "Bearer xoxb-1", "{chat:?}");
    let attachment = &chat.json()["attachments"][0];
    ensure!(attachment["color"] == "danger", "{attachment}");
    ensure!(attachment["author_name"] == format!("kustomization/shop.{}", ops.namespace).as_str());

    // The other tenant's Alert names our namespace and is told that this is not allowed.
    let denied = wait_for_event(ops, other, "NotificationDispatchFailed").await?;
    ensure!(denied.contains("cross-namespace references have been blocked"), "{denied}");
    // What is theirs arrives, so the pipe works; and it is the first thing that arrived.
    let own = event(other, "theirs").to_string();
    let json = [("content-type", "application/json")];
    ensure!(post(&notification.events(), &json, &own).await? == 202);
    ensure!(post(&notification.events(), &json, &own).await? == 429, "an equal event is sent once");
    ensure!(post(&notification.events(), &json, "nonsense").await? == 400);
    theirs.wait("their own event", |delivery| delivery.json()["message"] == "theirs").await?;
    ensure!(theirs.deliveries().len() == 1, "{:?}", theirs.deliveries());
    ensure!(ours.deliveries().iter().all(|delivery| delivery.json()["message"] != "theirs"));

    webhook(ops, notification, &first).await
}

async fn webhook(ops: &GitOps, notification: &Controller, first: &str) -> Result<()> {
    ops.kustomization("shop", json!({"path": "./overlays/staging"})).await?;
    ops.applied("shop", first).await?;
    ops.secret("hook", json!({"token": "token"})).await?;
    let receiver = json!({
        "apiVersion": RECEIVERS, "kind": "Receiver", "metadata": {"name": "hook"},
        "spec": {"type": "generic-hmac", "secretRef": {"name": "hook"}, "resources": [
            {"kind": "GitRepository", "name": "app"},
        ]},
    });
    ops.apply(&receiver.to_string()).await?;
    let receivers = ops.api(RECEIVERS, "Receiver").await?;
    let ready = wait::until(&receivers, "hook", "ready", is_ready).await?;
    let path = ready.data["status"]["webhookPath"].as_str().context("no path")?.to_owned();
    let url = format!("{}{path}", notification.webhooks());
    reached(&url).await?;

    ensure!(post(&format!("{url}?x"), &[], "{}").await? == 404, "the query is part of the path");
    ensure!(post(&url, &[], "{}").await? == 400, "no signature");
    let forged = SIGNATURE.replace("sha256=5c", "sha256=5d");
    ensure!(post(&url, &[("x-signature", &forged)], "{}").await? == 400, "one bit is wrong");
    ensure!(post(&url, &[("x-signature", SIGNATURE)], "{ }").await? == 400, "another body");
    let source = ops.get(SOURCE, "GitRepository", "app").await?;
    ensure!(requested(&source).is_none(), "refused webhooks set off nothing");

    ops.repository.write("overlays/staging/shop.properties", "greeting=hello again\n")?;
    let second = ops.repository.commit("Greet again")?;
    let begin = Instant::now();
    ensure!(post(&url, &[("x-signature", SIGNATURE)], "{}").await? == 200);
    let source = ops.get(SOURCE, "GitRepository", "app").await?;
    ensure!(requested(&source).is_some(), "the webhook is answered when the request is on the object");
    ops.applied("shop", &second).await?;
    ensure!(begin.elapsed() < Duration::from_mins(1), "not by the clock: intervals are an hour");

    ops.patch(RECEIVERS, "Receiver", "hook", json!({"spec": {"suspend": true}})).await?;
    answers(&url, 503).await
}

pub(crate) fn requested(object: &kube::api::DynamicObject) -> Option<&String> {
    object.metadata.annotations.as_ref()?.get("reconcile.fluxcd.io/requestedAt")
}

/// Waits until a path of webhooks is known: the server learns of a status by its watch.
pub(crate) async fn reached(url: &str) -> Result<()> {
    answers(url, 400).await
}

/// Waits until an unsigned webhook is answered in this way.
pub(crate) async fn answers(url: &str, status: u16) -> Result<()> {
    let deadline = Instant::now() + wait::PATIENCE;
    loop {
        let answer = post(url, &[], "{}").await.unwrap_or_default();
        if answer == status {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{url} answers {answer}, not {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for a Kubernetes event on an Alert in a namespace.
async fn wait_for_event(ops: &GitOps, namespace: &str, reason: &str) -> Result<String> {
    let api = ops.api_in("v1", "Event", namespace).await?;
    let deadline = Instant::now() + wait::PATIENCE;
    loop {
        let events = api.list(&kube::api::ListParams::default()).await?;
        if let Some(event) = events.iter().find(|event| event.data["reason"] == reason) {
            return Ok(event.data["message"].as_str().unwrap_or_default().to_owned());
        }
        ensure!(Instant::now() < deadline, "no event {reason} in {namespace}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_serves_and_the_next_leader_reconciles() -> Result<()> {
    let setting = Setting::new("notify-replicas").await?;
    let arguments = |namespace: &str| {
        [
            "--enable-leader-election",
            "--leader-election-lease-duration=3s",
            "--leader-election-renew-deadline=2s",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain([
            "--leader-election-retry-period=200ms".to_owned(),
            format!("--watch-label-selector=case={namespace}"),
        ])
        .collect::<Vec<_>>()
    };
    let builder = || Controller::builder(setting.plane, "notification-controller");
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let mut builder = builder()?.namespace(&setting.namespace);
        for argument in arguments(&setting.namespace) {
            builder = builder.argument(argument);
        }
        replicas.push(builder.start().await?);
        if replicas.len() == 1 {
            leads(&replicas[0]).await?;
        }
    }
    let [first, second] = &mut replicas[..] else { anyhow::bail!("two replicas") };
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "stringData": {"token": "t"}});
    setting.apply(&secret.to_string()).await?;
    let receiver = |name: &str| {
        json!({
            "apiVersion": RECEIVERS, "kind": "Receiver", "metadata": {"name": name, "labels": {"case": setting.namespace}},
            "spec": {"type": "gitlab", "secretRef": {"name": "hook"}, "resources": [{"kind": "GitRepository", "name": "app"}]},
        })
        .to_string()
    };
    setting.apply(&receiver("one")).await?;
    let api = setting.api(RECEIVERS, "Receiver").await?;
    let ready = wait::until(&api, "one", "ready", is_ready).await?;
    let path = ready.data["status"]["webhookPath"].as_str().context("no path")?.to_owned();
    for replica in [&*first, &*second] {
        reached(&format!("{}{path}", replica.webhooks())).await?;
        let answer = post(&replica.events(), &[], &event(&setting.namespace, "news").to_string()).await?;
        ensure!(answer == 202, "{answer}");
    }
    ensure!(!is_leading(second).await?, "one of them leads");
    first.terminate()?;
    leads(second).await?;
    setting.apply(&receiver("two")).await?;
    wait::until(&api, "two", "ready", is_ready).await?;
    Ok(())
}

async fn is_leading(controller: &Controller) -> Result<bool> {
    let metrics = controller.metrics().await?;
    Ok(metrics.lines().any(|line| line.starts_with("leader_election_master_status{") && line.ends_with(" 1")))
}

async fn leads(controller: &Controller) -> Result<()> {
    let deadline = Instant::now() + wait::PATIENCE;
    while !is_leading(controller).await? {
        ensure!(Instant::now() < deadline, "no leader:\n{}", controller.log_tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

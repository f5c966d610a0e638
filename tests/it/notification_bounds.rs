//! Where a tenant's Provider must not lead, as whom it is spoken to, and what is left of one that is deleted.

use crate::notification::{ALERTS, alert, event, post};
use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use sluice_tests::{Controller, Sink, wait};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

async fn controller(setting: &Setting, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Controller> {
    let plane = setting.plane;
    let mut builder =
        tokio::task::spawn_blocking(move || Controller::builder(plane, "notification-controller")).await??;
    for argument in arguments {
        builder = builder.argument(*argument);
    }
    for (name, value) in variables {
        builder = builder.variable(name, *value);
    }
    builder.namespace(&setting.namespace).start().await
}

/// A Provider with this name and spec, and an Alert for all Kustomizations.
async fn provide(setting: &Setting, name: &str, spec: Value) -> Result<()> {
    let [mut provider, mut alert] = alert(&setting.namespace, "generic", "", &json!({}));
    for object in [&mut provider, &mut alert] {
        object["metadata"]["name"] = json!(name);
    }
    provider["spec"] = spec;
    alert["spec"]["providerRef"]["name"] = json!(name);
    setting.apply(&provider.to_string()).await?;
    setting.apply(&alert.to_string()).await.map(drop)
}

/// News until it is told of the Alert: the controller learns of Alerts by its watch.
async fn told(setting: &Setting, controller: &Controller, name: &str, text: &str) -> Result<()> {
    let events = setting.api("v1", "Event").await?;
    let seen = wait::told(&events, "Alert", name, text, |_, reason, said| {
        reason == "NotificationDispatchFailed" && said.contains(text)
    });
    until(controller, &setting.namespace, seen).await.map(drop)
}

/// Sends news again and again until something has come of it.
async fn until<T>(
    controller: &Controller,
    namespace: &str,
    seen: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut seen = std::pin::pin!(seen);
    let revision = "main@sha1:0123456789abcdef0123456789abcdef01234567";
    for number in 0.. {
        let mut news = event(namespace, &format!("news {number} at {:?}", Instant::now()));
        news["metadata"] = json!({"kustomize.toolkit.fluxcd.io/revision": revision});
        // A controller that has just begun does not listen yet.
        if let Ok(status) = post(&controller.events(), &[], &news.to_string()).await {
            ensure!(status == 202, "the event server answered {status}");
        }
        if let Ok(outcome) = tokio::time::timeout(Duration::from_millis(500), &mut seen).await {
            return outcome;
        }
    }
    unreachable!("it ends with what is seen")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_leads_neither_to_metadata_nor_into_the_cluster_where_that_is_denied() -> Result<()> {
    let setting = Setting::new("notify-bounds").await?;
    let flags = ["--deny-provider-hosts=metadata,cluster", "--allow-provider-hosts=localhost"];
    let controller = controller(&setting, &flags, &[]).await?;
    let outcome = bounds(&setting, &controller).await;
    outcome.map_err(|error| error.context(controller.log_tail()))
}

async fn bounds(setting: &Setting, controller: &Controller) -> Result<()> {
    let (inside, allowed) = (Sink::start().await?, Sink::start().await?);
    let denied = [
        ("metadata", "http://169.254.169.254/latest/meta-data/iam/security-credentials/".to_owned()),
        ("number", "http://2852039166/latest/".to_owned()),
        ("google", "http://metadata.google.internal/computeMetadata/v1/".to_owned()),
        ("service", "http://kubernetes.default.svc/api".to_owned()),
        ("address", inside.url("/")),
    ];
    for (name, address) in &denied {
        provide(setting, name, json!({"type": "generic", "address": address})).await?;
    }
    // Nor by a Secret, nor by a proxy.
    let secrets =
        [("hidden", json!({"address": inside.url("/")})), ("proxy", json!({"address": inside.url("")}))];
    for (name, data) in secrets {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        setting.apply(&secret.to_string()).await?;
    }
    provide(setting, "hidden", json!({"type": "generic", "secretRef": {"name": "hidden"}})).await?;
    let spec =
        json!({"type": "generic", "address": "http://sink.example/", "proxySecretRef": {"name": "proxy"}});
    provide(setting, "proxy", spec).await?;
    // What is an exception is told, though it leads to the same place.
    let local = allowed.url("/").replace("127.0.0.1", "localhost");
    provide(setting, "allowed", json!({"type": "generic", "address": local})).await?;
    // An identity that is not to be had without the gate.
    let spec = json!({"type": "azuredevops", "address": local, "serviceAccountName": "someone"});
    provide(setting, "gated", spec).await?;

    let names = denied.iter().map(|(name, _)| *name).chain(["hidden", "proxy"]);
    for name in names {
        told(setting, controller, name, "must not be sent to: --deny-provider-hosts").await?;
    }
    told(setting, controller, "gated", "please enable the ObjectLevelWorkloadIdentity feature gate").await?;
    let arrived = allowed.wait("an event", |told| told.json()["reason"] == "BuildFailed");
    until(controller, &setting.namespace, arrived).await?;
    ensure!(inside.deliveries().is_empty(), "{:?}", inside.deliveries());

    // The figures of a Provider go with it.
    let series = async |name: &str| -> Result<usize> {
        let metrics = controller.metrics().await?;
        Ok(metrics.lines().filter(|line| line.contains(&format!("provider=\"{name}\""))).count())
    };
    ensure!(series("address").await? > 0 && series("allowed").await? > 0);
    let providers = setting.api(ALERTS, "Provider").await?;
    providers.delete("address", &kube::api::DeleteParams::default()).await?;
    let deadline = Instant::now() + wait::PATIENCE;
    while series("address").await? > 0 {
        ensure!(Instant::now() < deadline, "the figures of a deleted Provider stay");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ensure!(series("allowed").await? > 0);
    Ok(())
}

/// Azure: a token service and Azure DevOps.
#[derive(Clone, Default)]
struct Azure(Arc<Mutex<Vec<(String, String, String)>>>);

impl Azure {
    fn asked(&self) -> Vec<(String, String, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(
    State(azure): State<Azure>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> String {
    let login = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = (format!("{method} {}", uri.path()), login.to_owned(), body);
    azure.0.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    if uri.path().ends_with("/oauth2/v2.0/token") {
        json!({"token_type": "Bearer", "access_token": "aad-t0ken", "expires_in": 3599}).to_string()
    } else {
        json!({"count": 0, "value": []}).to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_spoken_to_with_the_identity_of_its_service_account() -> Result<()> {
    let setting = Setting::new("notify-identity").await?;
    let azure = Azure::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let routes = Router::new().fallback(answer).with_state(azure.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    setting.tokens_of_service_accounts().await?;
    let client = "azure.workload.identity/client-id";
    let tenant = "azure.workload.identity/tenant-id";
    for (name, annotations) in [("teller", json!({client: "app", tenant: "dir"})), ("plain", json!({}))] {
        let metadata = json!({"name": name, "annotations": annotations});
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
        setting.apply(&account.to_string()).await?;
    }
    let gate = ["--feature-gates=ObjectLevelWorkloadIdentity=true"];
    let controller = controller(&setting, &gate, &[("AZURE_AUTHORITY_HOST", &url)]).await?;
    let outcome = async {
        let address = format!("{url}/org/prj/_git/app");
        let spec =
            |account: &str| json!({"type": "azuredevops", "address": address, "serviceAccountName": account});
        provide(&setting, "teller", spec("teller")).await?;
        provide(&setting, "plain", spec("plain")).await?;
        told(&setting, &controller, "plain", "annotation 'azure.workload.identity/tenant-id' is missing")
            .await?;
        let deadline = Instant::now() + wait::PATIENCE;
        let posted = async {
            loop {
                let found =
                    azure.asked().into_iter().find(|(line, ..)| line.starts_with("POST /org/prj/_apis/"));
                match found {
                    Some(found) => return anyhow::Ok(found),
                    None => ensure!(Instant::now() < deadline, "no status was posted: {:?}", azure.asked()),
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let (_, login, body) = until(&controller, &setting.namespace, posted).await?;
        ensure!(login == "Basic OmFhZC10MGtlbg==", "{login}");
        let body: Value = serde_json::from_str(&body)?;
        ensure!(body["state"] == "error" && body["context"]["genre"] == "fluxcd", "{body}");
        let exchanges: Vec<_> =
            azure.asked().into_iter().filter(|(line, ..)| line == "POST /dir/oauth2/v2.0/token").collect();
        let [(_, _, form)] = exchanges.as_slice() else { anyhow::bail!("asked {} times", exchanges.len()) };
        ensure!(
            form.contains("client_id=app") && form.contains("499b84ac-1321-427f-aa17-267ca6975798"),
            "{form}"
        );
        let token = form.split("client_assertion=").nth(1).context("no assertion")?;
        let claims = token.split('.').nth(1).context("no JWT")?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
        ensure!(claims["sub"] == format!("system:serviceaccount:{}:teller", setting.namespace), "{claims}");
        ensure!(claims["aud"] == json!(["api://AzureADTokenExchange"]), "{claims}");
        Ok(())
    };
    outcome.await.map_err(|error: anyhow::Error| error.context(controller.log_tail()))
}

//! Logins that a provider gives: GitHub Apps, and identities of ServiceAccounts at Azure DevOps and CodeCommit.

use crate::gitops::{SOURCE, gitops, message};
use crate::setting::Setting;
use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use sluice_tests::{Access, Controller, ForwardProxy, GitServer, condition};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

const KIND: &str = "GitRepository";

/// GitHub's API for Apps: an organization, an installation, and one token after the other. That the statement's signature is
/// right is a case of the crate.
pub(crate) struct GitHub {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl GitHub {
    pub(crate) async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let routes = Router::new().fallback(answer).with_state(asked.clone());
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, asked, task })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(asked): State<Arc<Mutex<Vec<String>>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let line = format!("{method} {}", uri.path());
    let number = {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(line.clone());
        asked.iter().filter(|line| line.ends_with("/access_tokens")).count()
    };
    let statement = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let claims =
        statement.and_then(|text| text.strip_prefix("Bearer ")?.split('.').nth(1).map(str::to_owned));
    let claims = claims.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
    if claims["iss"] != "42" {
        return (StatusCode::UNAUTHORIZED, json!({"message": "Bad credentials"}).to_string()).into_response();
    }
    match line.as_str() {
        "GET /api/v3/orgs/acme/installation" => json!({"id": 7}).to_string().into_response(),
        "POST /api/v3/app/installations/7/access_tokens" => {
            let end = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
            let token = json!({"token": format!("ghs_s3cret{number}"), "expires_at": end});
            (StatusCode::CREATED, token.to_string()).into_response()
        }
        _ => (StatusCode::NOT_FOUND, json!({"message": "Not Found"}).to_string()).into_response(),
    }
}

/// A key as GitHub gives Apps; none where there is nothing to make it with.
pub(crate) fn app_key() -> Result<Option<String>> {
    let keys = tempfile::tempdir()?;
    let file = keys.path().join("app");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"])
        .arg(&file)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        ensure!(std::env::var_os("CI").is_none(), "ssh-keygen is not installed; .ci/run installs it");
        return Ok(None);
    }
    Ok(Some(std::fs::read_to_string(&file)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_github_app_logs_in_and_gets_another_token_when_one_is_refused() -> Result<()> {
    gitops("github", async |ops| {
        let Some(key) = app_key()? else { return Ok(()) };
        let github = GitHub::start().await?;
        let app = |more: Value| {
            let mut data =
                json!({"githubAppID": "42", "githubAppPrivateKey": key, "githubAppBaseURL": github.url});
            if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
                data.extend(more);
            }
            data
        };
        let token = |number: usize| Access::Basic("x-access-token".into(), format!("ghs_s3cret{number}"));
        ops.server.set_access(token(1));
        let commit = ops.repository.commit("One")?;
        ops.secret("app", app(json!({"githubAppInstallationOwner": "acme"}))).await?;
        let by = |name: &str| json!({"provider": "github", "secretRef": {"name": name}});
        ops.git_repository(by("app")).await?;
        ops.stored("app", &format!("main@sha1:{commit}")).await?;
        ensure!(github.asked().len() == 2, "{:?}", github.asked());

        // The token is kept, until the server does not want it any more.
        ops.reconcile_kind(SOURCE, KIND, "app").await?;
        ensure!(github.asked().len() == 2, "{:?}", github.asked());
        ops.server.set_access(token(2));
        let commit = ops.push("Two").await?;
        ops.stored("app", &format!("main@sha1:{commit}")).await?;
        ensure!(github.asked().iter().filter(|line| line.ends_with("/access_tokens")).count() == 2);

        let cases: &[(&str, Value, &str, &str)] = &[
            (
                "stranger",
                app(json!({"githubAppInstallationOwner": "nobody"})),
                "AuthenticationFailed",
                "not installed for 'nobody'",
            ),
            (
                "unknown",
                app(json!({"githubAppInstallationID": "8"})),
                "AuthenticationFailed",
                "404 Not Found: Not Found",
            ),
            (
                "both",
                app(json!({"githubAppInstallationID": "7", "githubAppInstallationOwner": "acme"})),
                "AuthenticationFailed",
                "exactly one of the keys",
            ),
            (
                "garbage",
                app(json!({"githubAppInstallationID": "7", "githubAppPrivateKey": "s3cret"})),
                "AuthenticationFailed",
                "key 'githubAppPrivateKey'",
            ),
            (
                "plain",
                json!({"username": "s3cret", "password": "s3cret"}),
                "InvalidProviderConfiguration",
                "github app data must be specified",
            ),
        ];
        for (name, secret, _, _) in cases {
            ops.secret(name, secret.clone()).await?;
            ops.git_repository_named(name, ops.repository.url(), by(name)).await?;
        }
        ops.git_repository_named("generic", ops.repository.url(), json!({"secretRef": {"name": "app"}}))
            .await?;
        ops.git_repository_named("none", ops.repository.url(), json!({"provider": "github"})).await?;
        for (name, _, reason, words) in cases {
            let failed = ops.fails(SOURCE, KIND, name, reason).await.context(*name)?;
            let text = message(&failed);
            ensure!(
                text.contains(words) && !failed.data["status"].to_string().contains("s3cret"),
                "{name}: {text}"
            );
            ensure!(
                *name == "plain" || text.contains(&format!("secret '{}/{name}'", ops.namespace)),
                "{text}"
            );
        }
        let failed = message(&ops.fails(SOURCE, KIND, "generic", "InvalidProviderConfiguration").await?);
        ensure!(failed.contains("has github app data but provider is not set to github"), "{failed}");
        let stalled = ops.fails(SOURCE, KIND, "none", "InvalidProviderConfiguration").await?;
        ensure!(condition(&stalled, "Stalled") == Some("True"), "{}", stalled.data["status"]);
        let log = std::fs::read_to_string(ops.source.log_file())?;
        ensure!(!log.contains("s3cret"), "a secret is in the log");
        Ok(())
    })
    .await
}

const DEVOPS: &str = "dev.azure.com";
const CODECOMMIT: &str = "git-codecommit.eu-west-1.amazonaws.com";

/// The token services of Microsoft and Amazon.
fn clouds(asked: Arc<Mutex<Vec<String>>>) -> Router {
    let answer = async |State(asked): State<Arc<Mutex<Vec<String>>>>, uri: Uri, body: String| {
        let line = format!("{} {body}", uri.path());
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        if body.contains("Action=AssumeRoleWithWebIdentity") {
            let keys = "<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>k3y-s3cret</SecretAccessKey>\
                        <SessionToken>session-s3cret</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>";
            format!("<R><Result><Credentials>{keys}</Credentials></Result></R>")
        } else {
            json!({"access_token": "azure-s3cret", "expires_in": 3600}).to_string()
        }
    };
    let route = axum::routing::post(answer);
    Router::new().route("/", route.clone()).route("/acme/oauth2/v2.0/token", route).with_state(asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_of_service_accounts_log_in_at_azure_devops_and_codecommit() -> Result<()> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let names = [DEVOPS, CODECOMMIT, "login.microsoftonline.com", "sts.eu-west-1.amazonaws.com"];
    let server = GitServer::builder().names(&names).beside(clouds(asked.clone())).start().await?;
    let address = server.url().replace("https://", "");
    let (authority, proxy) =
        (tempfile::NamedTempFile::new()?, ForwardProxy::start("user", "password").await?);
    std::fs::write(authority.path(), server.ca().context("no CA")?)?;
    for name in names {
        proxy.lead(name, &address);
    }
    let setting = Setting::new("git-cloud").await?;
    let plane = setting.plane;
    let source =
        tokio::task::spawn_blocking(move || Controller::builder(plane, "source-controller")).await??;
    let source = source
        .argument("--feature-gates=ObjectLevelWorkloadIdentity=true")
        .variable("SSL_CERT_FILE", authority.path().display().to_string())
        .namespace(&setting.namespace)
        .start()
        .await?;
    setting.tokens_of_service_accounts().await?;
    let account = |name: &str, annotations: Value| json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "annotations": annotations}});
    let role = "arn:aws:iam::123456789012:role/pull";
    let proxy_secret = json!({"address": proxy.address(), "username": "user", "password": "password"});
    let azure =
        json!({"azure.workload.identity/tenant-id": "acme", "azure.workload.identity/client-id": "app"});
    for object in [
        account("microsoft", azure),
        account("amazon", json!({"eks.amazonaws.com/role-arn": role})),
        account("plain", json!({})),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "proxy"}, "stringData": proxy_secret}),
    ] {
        setting.apply(&object.to_string()).await?;
    }
    let create = async |name: &str, provider: &str, account: &str, url: &str| -> Result<()> {
        let spec = json!({
            "url": url, "interval": "1h", "ref": {"branch": "main"}, "provider": provider,
            "serviceAccountName": account, "proxySecretRef": {"name": "proxy"},
        });
        let object = json!({"apiVersion": SOURCE, "kind": KIND, "metadata": {"name": name}, "spec": spec});
        setting.apply(&object.to_string()).await.map(drop)
    };
    let outcome = async {
        let devops = server.repository("acme/project/_git/app")?;
        let codecommit = server.repository("v1/repos/app")?;
        let at = |host: &str, url: &str| url.replace(&address, host);
        server.set_access(Access::AnyOf(vec![
            Access::Bearer("azure-s3cret".into()),
            Access::User("ASIAEXAMPLE%session-s3cret".into()),
        ]));
        let commits = [devops.commit("One")?, codecommit.commit("Two")?];
        // As the portal shows it, with the organization as the user.
        create("devops", "azure", "microsoft", &at("acme@dev.azure.com", devops.url())).await?;
        create("codecommit", "aws", "amazon", &at(CODECOMMIT, codecommit.url())).await?;
        create("plain", "azure", "plain", &at(DEVOPS, devops.url())).await?;
        create("elsewhere", "azure", "microsoft", devops.url()).await?;
        create("foreign", "aws", "amazon", &at("example.test", codecommit.url())).await?;
        for (name, commit) in ["devops", "codecommit"].into_iter().zip(commits) {
            setting.has(KIND, name, &format!("main@sha1:{commit}")).await?;
        }
        for (name, words) in [
            ("plain", "annotation 'azure.workload.identity/tenant-id' is missing"),
            ("elsewhere", "the provider 'azure' needs an https URL without a port"),
            ("foreign", "'example.test' is no host of CodeCommit"),
        ] {
            let failed = setting.fails(SOURCE, KIND, name, "AuthenticationFailed").await?;
            ensure!(message(&failed).contains(words), "{name}: {}", message(&failed));
        }
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let microsoft =
            asked.iter().find(|line| line.starts_with("/acme/")).context("no token was asked for")?;
        let scope = "scope=499b84ac-1321-427f-aa17-267ca6975798%2F.default";
        ensure!(microsoft.contains(scope) && microsoft.contains("client_id=app"), "{microsoft}");
        ensure!(asked.iter().any(|line| line.contains("RoleArn=arn%3Aaws")), "{asked:?}");
        let log = std::fs::read_to_string(source.log_file())?;
        ensure!(!log.contains("s3cret"), "a secret is in the log");
        Ok(())
    };
    outcome.await.with_context(|| source.log_tail())
}

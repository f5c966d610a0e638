//! Logins that a provider gives: GitHub Apps.

use crate::gitops::{SOURCE, gitops, message};
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use sluice_tests::{Access, condition};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

const KIND: &str = "GitRepository";

/// GitHub's API for Apps: an organization, an installation, and one token after the other. That the statement's signature is
/// right is a case of the crate.
struct GitHub {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl GitHub {
    async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let routes = Router::new().fallback(answer).with_state(asked.clone());
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, asked, task })
    }

    fn asked(&self) -> Vec<String> {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_github_app_logs_in_and_gets_another_token_when_one_is_refused() -> Result<()> {
    gitops("github", async |ops| {
        let keys = tempfile::tempdir()?;
        let file = keys.path().join("app");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"])
            .arg(&file)
            .status();
        if !made.is_ok_and(|status| status.success()) {
            ensure!(std::env::var_os("CI").is_none(), "ssh-keygen is not installed; .ci/run installs it");
            return Ok(());
        }
        let key = std::fs::read_to_string(&file)?;
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

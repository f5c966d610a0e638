//! Registries of clouds, with the identities of ServiceAccounts and a stand-in for Amazon's services.

use crate::gitops::{SOURCE, message};
use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sluice_tests::{Controller, condition, reason, wait};
use std::sync::{Arc, Mutex, PoisonError};

const KIND: &str = "OCIRepository";
pub(crate) const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// Gives keys for a role, and a login for these. It stands in as the proxy to the registry too, to which it does not lead.
pub(crate) struct Amazon {
    pub(crate) url: String,
    asked: Asked,
    task: tokio::task::JoinHandle<()>,
}

/// Authorization and body of each request.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

impl Drop for Amazon {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Amazon {
    pub(crate) async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Asked::default();
        let routes = Router::new().route("/", post(answer)).fallback(bucket).with_state(asked.clone());
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, asked, task })
    }

    /// Starts a controller that asks here with the identities of service accounts.
    pub(crate) async fn controller(&self, setting: &Setting, name: &'static str) -> Result<Controller> {
        let plane = setting.plane;
        let builder = tokio::task::spawn_blocking(move || Controller::builder(plane, name)).await??;
        let controller = builder
            .argument("--feature-gates=ObjectLevelWorkloadIdentity=true")
            .variable("AWS_ENDPOINT_URL_STS", &self.url)
            .variable("AWS_ENDPOINT_URL_ECR", &self.url)
            .namespace(&setting.namespace)
            .start()
            .await?;
        setting.tokens_of_service_accounts().await?;
        Ok(controller)
    }

    /// Authorization and body of the requests that hold a text.
    pub(crate) fn asked(&self, text: &str) -> Vec<(String, String)> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked
            .iter()
            .filter(|(authorization, body)| authorization.contains(text) || body.contains(text))
            .cloned()
            .collect()
    }
}

async fn answer(State(asked): State<Asked>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push((header("authorization"), body.clone()));
    let ldap = body.contains("Action=AssumeRoleWithLDAPIdentity") && body.contains("LDAPPassword=l-s3cret");
    if ldap || body.contains("Action=AssumeRoleWithWebIdentity") {
        let keys = "<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>k3y</SecretAccessKey>\
                    <SessionToken>s3ssion</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>";
        return (StatusCode::OK, format!("<R><Result><Credentials>{keys}</Credentials></Result></R>"));
    }
    if header("x-amz-target") == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" {
        let data = json!([{"authorizationToken": "QVdTOnA0c3M=", "expiresAt": 4.0e9}]);
        return (StatusCode::OK, json!({"authorizationData": data}).to_string());
    }
    (StatusCode::NOT_FOUND, String::new())
}

/// A bucket with one file, for those who were given keys.
async fn bucket(State(asked): State<Asked>, uri: Uri, headers: HeaderMap) -> (StatusCode, String) {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let authorization = header("authorization");
    asked.lock().unwrap_or_else(PoisonError::into_inner).push((authorization.clone(), uri.to_string()));
    if !authorization.contains("Credential=ASIAEXAMPLE/") || header("x-amz-security-token") != "s3ssion" {
        let error = "<Error><Code>AccessDenied</Code><Message>who are you?</Message></Error>";
        return (StatusCode::FORBIDDEN, error.to_owned());
    }
    if uri.path() == "/app/app.yaml" {
        return (StatusCode::OK, "a: b\n".to_owned());
    }
    let file = "<Contents><Key>app.yaml</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                <ETag>&quot;e1&quot;</ETag><Size>5</Size></Contents>";
    let list = format!(
        "<ListBucketResult><Name>app</Name><IsTruncated>false</IsTruncated>{file}</ListBucketResult>"
    );
    (StatusCode::OK, list)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_read_with_keys_of_a_token_service() -> Result<()> {
    let (setting, amazon) = (Setting::new("cloud-bucket").await?, Amazon::start().await?);
    let source = amazon.controller(&setting, "source-controller").await?;
    let role = "arn:aws:iam::123456789012:role/read";
    let annotations = json!({"eks.amazonaws.com/role-arn": role});
    let login = |password: &str| json!({"username": "reader", "password": password});
    for object in [
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "reader", "annotations": annotations},
        }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ldap"}, "stringData": login("l-s3cret"),
        }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrong"}, "stringData": login("w-s3cret"),
        }),
    ] {
        setting.apply(&object.to_string()).await?;
    }
    let endpoint = amazon.url.trim_start_matches("http://");
    let ldap = |secret: &str| {
        json!({
            "provider": "generic",
            "sts": {"provider": "ldap", "endpoint": amazon.url, "secretRef": {"name": secret}},
        })
    };
    for (name, more) in [
        ("role", json!({"provider": "aws", "serviceAccountName": "reader", "region": "eu-west-1"})),
        (
            "service",
            json!({
                "provider": "aws", "serviceAccountName": "reader", "region": "eu-west-1",
                "sts": {"provider": "aws", "endpoint": amazon.url},
            }),
        ),
        ("ldap", ldap("ldap")),
        ("wrong", ldap("wrong")),
        ("anonymous", json!({"provider": "generic"})),
    ] {
        let mut spec = json!({"bucketName": "app", "endpoint": endpoint, "insecure": true, "interval": "1h"});
        if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
            spec.extend(more);
        }
        let object =
            json!({"apiVersion": SOURCE, "kind": "Bucket", "metadata": {"name": name}, "spec": spec});
        setting.apply(&object.to_string()).await?;
    }
    let api = setting.api(SOURCE, "Bucket").await?;
    let outcome = async {
        for name in ["role", "service", "ldap"] {
            wait::until(&api, name, "ready", |object| condition(object, "Ready") == Some("True")).await?;
        }
        for (name, why, text) in [
            ("wrong", "AuthenticationFailed", "404"),
            ("anonymous", "BucketOperationFailed", "AccessDenied: who are you?"),
        ] {
            let what = format!("failed: {why}");
            let failed = wait::until(&api, name, &what, |object| {
                condition(object, "Ready") == Some("False") && reason(object, "Ready") == Some(why)
            });
            let said = message(&failed.await?);
            ensure!(said.contains(text) && !said.contains("s3cret"), "{name}: {said}");
        }
        let assumed = amazon.asked("Action=AssumeRoleWithWebIdentity");
        ensure!(assumed.iter().any(|(_, form)| form.contains("role%2Fread")), "{assumed:?}");
        let signed = amazon.asked("/eu-west-1/s3/aws4_request");
        ensure!(signed.iter().any(|(_, path)| path == "/app/app.yaml"), "{signed:?}");
        Ok(())
    };
    outcome.await.map_err(|error: anyhow::Error| error.context(source.log_tail()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_asked_for_with_the_identity_of_its_service_account() -> Result<()> {
    let (setting, amazon) = (Setting::new("cloud").await?, Amazon::start().await?);
    let source = amazon.controller(&setting, "source-controller").await?;
    let role = "arn:aws:iam::123456789012:role/pull";
    let objects = [
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "puller", "annotations": {"eks.amazonaws.com/role-arn": role}},
        }),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "plain"}}),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "proxy"},
            "stringData": {"address": amazon.url},
        }),
    ];
    for object in objects {
        setting.apply(&object.to_string()).await?;
    }
    let create = async |name: &str, registry: &str, account: &str| -> Result<()> {
        let spec = json!({
            "url": format!("oci://{registry}/app"), "interval": "1h", "timeout": "20s", "provider": "aws",
            "serviceAccountName": account, "proxySecretRef": {"name": "proxy"},
        });
        let object = json!({"apiVersion": SOURCE, "kind": KIND, "metadata": {"name": name}, "spec": spec});
        setting.apply(&object.to_string()).await.map(drop)
    };
    create("role", REGISTRY, "puller").await?;
    create("plain", REGISTRY, "plain").await?;
    create("foreign", "registry.example.test", "puller").await?;
    let api = setting.api(SOURCE, KIND).await?;
    let outcome = async {
        for (name, why, text) in [
            // The login went well: it is the registry that is not reached.
            ("role", "OCIArtifactPullFailed", REGISTRY),
            ("plain", "AuthenticationFailed", "annotation 'eks.amazonaws.com/role-arn' is missing"),
            ("foreign", "AuthenticationFailed", "'registry.example.test' is no registry of aws"),
        ] {
            let what = format!("failed: {why}");
            let failed = wait::until(&api, name, &what, |object| {
                condition(object, "Ready") == Some("False") && reason(object, "Ready") == Some(why)
            });
            let said = message(&failed.await?);
            ensure!(said.contains(text) && !said.contains("p4ss"), "{name}: {said}");
        }
        let assumed = amazon.asked("Action=AssumeRoleWithWebIdentity");
        let (_, form) = assumed.first().context("no role was asked for")?;
        ensure!(form.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fpull"), "{form}");
        let token = form.split("WebIdentityToken=").nth(1).context("no token")?;
        let claims = token.split('.').nth(1).context("no JWT")?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
        ensure!(claims["sub"] == format!("system:serviceaccount:{}:puller", setting.namespace), "{claims}");
        ensure!(claims["aud"] == json!(["sts.amazonaws.com"]), "{claims}");
        let signed = amazon.asked("/eu-west-1/ecr/aws4_request");
        ensure!(signed.iter().all(|(header, _)| header.contains("Credential=ASIAEXAMPLE/")), "{signed:?}");
        // It is kept: what fails later, and is tried again, does not ask again.
        ensure!(
            assumed.len() == 1 && signed.len() == 1,
            "asked {} and {} times",
            assumed.len(),
            signed.len()
        );
        Ok(())
    };
    outcome.await.map_err(|error: anyhow::Error| error.context(source.log_tail()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_logs_in_at_a_registry_of_a_cloud_with_keys_of_their_own() -> Result<()> {
    let (amazon, folder) = (Amazon::start().await?, tempfile::tempdir()?);
    let binaries = tokio::task::spawn_blocking(sluice_tests::binaries).await??;
    let pull = async |registry: &str, keys: &[(&str, &str)]| -> Result<String> {
        let mut command = tokio::process::Command::new(binaries.get("sluice").context("no sluice")?);
        command.args(["pull", "artifact", &format!("oci://{registry}/app:v1"), "--provider=aws"]);
        command.args(["--timeout=20s", "--output"]).arg(folder.path()).envs(keys.iter().copied());
        command.env("AWS_ENDPOINT_URL_ECR", &amazon.url).env("HTTPS_PROXY", &amazon.url);
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &amazon.url).env("HOME", folder.path());
        let output = command.output().await?;
        ensure!(output.status.code() == Some(1), "{output:?}");
        Ok(String::from_utf8(output.stderr)?)
    };
    let keys = [("AWS_ACCESS_KEY_ID", "AKIAPERSON"), ("AWS_SECRET_ACCESS_KEY", "k3y")];
    let said = pull(REGISTRY, &keys).await?;
    // The login went well: it is the registry that is not reached.
    ensure!(said.contains(REGISTRY) && !said.contains("log in") && !said.contains("p4ss"), "{said}");
    let signed = amazon.asked("/eu-west-1/ecr/aws4_request");
    ensure!(signed.len() == 1 && signed[0].0.contains("Credential=AKIAPERSON/"), "{signed:?}");
    let said = pull("registry.example.test", &keys).await?;
    ensure!(
        said.contains("'registry.example.test' is no registry of aws") && said.contains("hint: "),
        "{said}"
    );
    let said = pull(REGISTRY, &[]).await?;
    ensure!(said.contains("no AWS credentials were found") && said.contains("hint: "), "{said}");
    Ok(())
}

//! Files of SOPS whose keys stay in a service, opened with the identity of a ServiceAccount. The services are stand-ins on
//! loopback; the files were made by the real `sops`.

use crate::gitops::{GitOps, KUSTOMIZE, message};
use crate::remote::authority;
use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sluice_tests::{ControlPlane, workspace};
use std::sync::{Arc, Mutex, PoisonError};

const GATE: &str = "--feature-gates=ObjectLevelWorkloadIdentity=true";

/// What the stand-ins know.
#[derive(Clone)]
struct Known {
    asked: Asked,
    /// What Amazon tells about the cluster `prod`.
    cluster: Value,
}

/// Vault, KMS and the token service of Amazon: each opens for whoever logged in, and a cipher is its plain text.
struct Services {
    url: String,
    asked: Asked,
    task: tokio::task::JoinHandle<()>,
}

/// Path, authorization and body of each request.
type Asked = Arc<Mutex<Vec<(String, String, String)>>>;

impl Drop for Services {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Services {
    /// The cluster of Amazon's is the one of the tests.
    async fn start(plane: &ControlPlane) -> Result<Self> {
        let authority = STANDARD.encode(authority(plane)?);
        let cluster = json!({"endpoint": plane.facts().server, "certificateAuthority": {"data": authority}});
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Asked::default();
        let routes = Router::new().fallback(answer).with_state(Known { asked: asked.clone(), cluster });
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, asked, task })
    }

    /// The first request whose path or body has this text.
    fn asked(&self, text: &str) -> Result<(String, String, String)> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let found = asked.iter().find(|(path, _, body)| path.contains(text) || body.contains(text));
        found.cloned().with_context(|| format!("nobody asked for {text}: {asked:?}"))
    }
}

async fn answer(
    State(Known { asked, cluster }): State<Known>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let entry = (uri.path().to_owned(), header("authorization"), body.clone());
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    let content: Value = serde_json::from_str(&body).unwrap_or_default();
    let json = |answer: Value| (StatusCode::OK, answer.to_string());
    if body.contains("Action=AssumeRoleWithWebIdentity") {
        let keys = "<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>k3y</SecretAccessKey>\
                    <SessionToken>s3ssion</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>";
        return (StatusCode::OK, format!("<R><Result><Credentials>{keys}</Credentials></Result></R>"));
    }
    match uri.path() {
        "/v1/auth/kubernetes/login" => {
            json(json!({"auth": {"client_token": "s.account", "lease_duration": 3600}}))
        }
        _ if header("x-vault-token") == "s.account" => {
            let cipher = content["ciphertext"].as_str().unwrap_or_default();
            json(json!({"data": {"plaintext": cipher.trim_start_matches("vault:v1:")}}))
        }
        "/clusters/prod" => json(json!({"cluster": cluster})),
        _ if header("authorization").contains("Credential=ASIAEXAMPLE/") => {
            json(json!({"KeyId": "arn", "Plaintext": content["CiphertextBlob"]}))
        }
        _ => (StatusCode::FORBIDDEN, json!({"errors": ["permission denied"]}).to_string()),
    }
}

/// The claims of a token that was sent.
fn claims(token: &str) -> Result<Value> {
    let claims = token.split('.').nth(1).context("no JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?)
}

/// Amazon says where the cluster is. It is the one of the tests, and that knows no tokens of Amazon's: it is asked, and
/// refuses.
async fn reaches_a_cluster_of_amazon(ops: &GitOps, services: &Services) -> Result<()> {
    let cluster = "arn:aws:eks:eu-west-1:123456789012:cluster/prod";
    let data = json!({"provider": "aws", "cluster": cluster, "serviceAccountName": "decryptor"});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster"}, "data": data});
    ops.apply(&map.to_string()).await?;
    let spec = json!({"path": "map", "kubeConfig": {"configMapRef": {"name": "cluster"}}});
    ops.kustomization("eks", spec).await?;
    let failed = ops.fails(KUSTOMIZE, "Kustomization", "eks", "ReconciliationFailed").await?;
    ensure!(message(&failed).contains("Unauthorized"), "{}", message(&failed));
    let (_, signed, _) = services.asked("/clusters/prod")?;
    ensure!(signed.contains("Credential=ASIAEXAMPLE/") && signed.contains("/eu-west-1/eks/"), "{signed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_vault_and_at_amazon_open_for_the_service_account_of_a_kustomization() -> Result<()> {
    let setting = Setting::new("kms").await?;
    let services = Services::start(setting.plane).await?;
    let variables =
        ["STS", "KMS", "EKS"].map(|service| (format!("AWS_ENDPOINT_URL_{service}"), services.url.as_str()));
    let variables: Vec<_> = variables.iter().map(|(name, url)| (name.as_str(), *url)).collect();
    let arguments = [GATE, "--sops-vault-configmap=vaults"];
    let ops = GitOps::start_with_variables(setting, &arguments, &variables).await?;
    let case = async {
        let corpus = workspace().join("crates/kms/tests/cases");
        let encrypted = |name: &str| -> Result<String> {
            let file = std::fs::read_to_string(corpus.join(name))?;
            Ok(file.replace("http://127.0.0.1:8200", &services.url))
        };
        for (folder, file) in [("vault", "vault.yaml"), ("aws", "aws.yaml")] {
            let content = encrypted(file)?.replace("name: creds", &format!("name: {folder}"));
            ops.repository.write(&format!("{folder}/secret.yaml"), content)?;
        }
        let map = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"map"}}"#;
        ops.repository.write("map/map.yaml", map)?;
        let commit = ops.repository.commit("Secrets")?;
        ops.git_repository(json!({})).await?;
        let instances = |address: &str| {
            let config = format!("instances: [{{address: \"{address}\", loginPath: auth/kubernetes/login}}]");
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "vaults"},
                "data": {"config.yaml": config}})
        };
        let role = "arn:aws:iam::123456789012:role/decrypt";
        for object in [
            instances("https://other.example.test"),
            json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "decryptor", "annotations": {"eks.amazonaws.com/role-arn": role}}}),
        ] {
            ops.apply(&object.to_string()).await?;
        }
        let spec = |folder: &str| {
            let decryption = json!({"provider": "sops", "serviceAccountName": "decryptor"});
            json!({"path": folder, "decryption": decryption})
        };
        // A Vault that is not on the list gets no token.
        ops.kustomization("vault", spec("vault")).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "vault", "BuildFailed").await?;
        let text = format!("no token for Vault at {}", services.url);
        ensure!(message(&failed).contains(&text), "{}", message(&failed));

        ops.apply(&instances(&services.url).to_string()).await?;
        ops.kustomization("aws", spec("aws")).await?;
        ops.reconcile("vault").await?;
        for name in ["vault", "aws"] {
            ops.applied(name, &commit).await.context(name)?;
            let secret = ops.get("v1", "Secret", name).await?;
            ensure!(secret.data["data"]["password"] == "cDRzcyB3b3Jk", "{name}: {:?}", secret.data["data"]);
        }
        let subject = format!("system:serviceaccount:{}:decryptor", ops.namespace);
        let (_, _, login) = services.asked("/v1/auth/kubernetes/login")?;
        let login: Value = serde_json::from_str(&login)?;
        ensure!(login["role"] == format!("{}_decryptor", ops.namespace), "{}", login["role"]);
        let vault = claims(login["jwt"].as_str().context("no token")?)?;
        ensure!(vault["sub"] == subject && vault["aud"] == json!([services.url]), "{vault}");
        let (_, _, form) = services.asked("Action=AssumeRoleWithWebIdentity")?;
        ensure!(form.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fdecrypt"), "{form}");
        let amazon = claims(form.split("WebIdentityToken=").nth(1).context("no token")?)?;
        ensure!(amazon["sub"] == subject && amazon["aud"] == json!(["sts.amazonaws.com"]), "{amazon}");
        let (_, signed, _) = services.asked("CiphertextBlob")?;
        ensure!(signed.contains("/eu-west-1/kms/aws4_request"), "{signed}");
        reaches_a_cluster_of_amazon(&ops, &services).await?;
        Ok(())
    }
    .await;
    ops.explain(case)
}

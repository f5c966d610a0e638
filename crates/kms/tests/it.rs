//! Requests to the services as their documentation has them, against stand-ins on loopback that check what comes and answer
//! as documented. None of them is the real service; the files under `cases/` were made by the real `sops` with the stand-ins
//! for Vault and AWS; its own requests are in the `README.md` there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to end")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use sluice_cloud::{AwsLogin, AzureIdentity, GcpLogin, Tokens};
use sluice_kms::{Credentials, Endpoints, Lookup, Process, Services, Surroundings, VaultLogin};
use sluice_sops::{Format, KeyService, MasterKey, Options, decrypt};

#[derive(Clone, Debug)]
struct Seen {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Answer = Arc<dyn Fn(&Seen) -> (u16, Value) + Send + Sync>;

#[derive(Clone)]
struct StandIn {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Answer,
}

impl StandIn {
    async fn start(answer: impl Fn(&Seen) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let this = Self { url, seen: Arc::default(), answer: Arc::new(answer) };
        let routes = Router::new().fallback(serve).with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        this
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    State(this): State<StandIn>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let seen = Seen { method, uri: uri.to_string(), headers, body: body.to_vec() };
    this.seen.lock().unwrap().push(seen.clone());
    let (status, answer) = (this.answer)(&seen);
    // A text is sent as it is: Amazon's token service answers in XML.
    let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    (StatusCode::from_u16(status).unwrap(), text)
}

/// Asks as the controller does: from a thread that may block.
async fn ask(entries: &[(&str, String)], endpoints: Endpoints, key: MasterKey) -> Result<Vec<u8>, String> {
    ask_as(Arc::new(Process::default()), entries, endpoints, key).await
}

async fn ask_as(
    surroundings: Arc<dyn Surroundings>,
    entries: &[(&str, String)],
    endpoints: Endpoints,
    key: MasterKey,
) -> Result<Vec<u8>, String> {
    let mut credentials = Credentials::default();
    for (name, value) in entries {
        credentials.add(name, value.as_bytes()).unwrap();
    }
    let runtime = tokio::runtime::Handle::current();
    let services = Services::new(credentials, surroundings, endpoints, runtime).unwrap();
    tokio::task::spawn_blocking(move || services.decrypt(&key).unwrap()).await.unwrap()
}

fn vault_key(address: &str, engine: &str, name: &str) -> MasterKey {
    MasterKey::Vault {
        address: address.to_owned(),
        engine_path: engine.to_owned(),
        key_name: name.to_owned(),
        encrypted: "vault:v1:XjsPWPjqPrBi1N2Ms2s1QM798YyFWnO4TR4lsFA=".to_owned(),
    }
}

/// The example of Vault's documentation of the transit engine: "Decrypt data".
#[tokio::test(flavor = "multi_thread")]
async fn vault_is_asked_as_its_documentation_says() {
    let vault = StandIn::start(|seen| match seen.header("x-vault-token") {
        "s.token" => (200, json!({"data": {"plaintext": "dGhlIHF1aWNrIGJyb3duIGZveAo="}})),
        _ => (403, json!({"errors": ["permission denied"]})),
    })
    .await;
    let entries = [("sops.vault-token", "s.token\n".to_owned())];
    let plain = ask(&entries, Endpoints::default(), vault_key(&vault.url, "transit", "my-key")).await;
    assert_eq!(plain.unwrap(), b"the quick brown fox\n");
    let seen = vault.seen();
    assert_eq!((&seen[0].method, seen[0].uri.as_str()), (&Method::PUT, "/v1/transit/decrypt/my-key"));
    assert_eq!(seen[0].json(), json!({"ciphertext": "vault:v1:XjsPWPjqPrBi1N2Ms2s1QM798YyFWnO4TR4lsFA="}));

    let wrong = [("sops.vault-token", "s.wrong".to_owned())];
    let error =
        ask(&wrong, Endpoints::default(), vault_key(&vault.url, "team/transit", "my-key")).await.unwrap_err();
    let text = format!("{}/v1/team/transit/decrypt/my-key: status 403: permission denied", vault.url);
    assert_eq!(error, text);
    let error = ask(&[], Endpoints::default(), vault_key(&vault.url, "transit", "my-key")).await.unwrap_err();
    assert_eq!(error, format!("no token for Vault at {}", vault.url));
    for (engine, name) in
        [("../sys", "x"), ("transit", "a/b"), ("transit?x=", "y"), ("", "x"), ("transit", "..")]
    {
        let error =
            ask(&entries, Endpoints::default(), vault_key(&vault.url, engine, name)).await.unwrap_err();
        assert!(error.contains("are no path and name of a key in Vault"), "{error}");
    }
    assert_eq!(vault.seen().len(), 2, "a wrong name was asked for");
}

/// The form of the example in the API reference of AWS KMS: "Decrypt". The signature itself is checked with Amazon's
/// published vectors in `crates/bucket`.
#[tokio::test(flavor = "multi_thread")]
async fn aws_is_asked_as_its_documentation_says() {
    let kms = StandIn::start(|seen| match seen.json()["CiphertextBlob"].as_str() {
        Some("Y2lwaGVy") => {
            (200, json!({"KeyId": "arn", "Plaintext": "VdzKNHGzUAzJeRBVY+uUmofUGGiDzyB3+i9fVkh3piw="}))
        }
        _ => (400, json!({"__type": "InvalidCiphertextException"})),
    })
    .await;
    let arn = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let key = |encrypted: &str, role: &str| MasterKey::AwsKms {
        arn: arn.to_owned(),
        role: role.to_owned(),
        context: [("App".to_owned(), "web".to_owned())].into(),
        profile: String::new(),
        encrypted: encrypted.to_owned(),
    };
    let keys = "aws_access_key_id: AKIAIOSFODNN7EXAMPLE\naws_secret_access_key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\naws_session_token: session\n";
    let entries = [("sops.aws-kms", keys.to_owned())];
    let endpoints = || Endpoints { aws: Some(kms.url.clone()), ..Endpoints::default() };
    let plain = ask(&entries, endpoints(), key("Y2lwaGVy", "")).await.unwrap();
    assert_eq!(plain, STANDARD.decode("VdzKNHGzUAzJeRBVY+uUmofUGGiDzyB3+i9fVkh3piw=").unwrap());
    let seen = &kms.seen()[0];
    assert_eq!((&seen.method, seen.uri.as_str()), (&Method::POST, "/"));
    assert_eq!(seen.header("x-amz-target"), "TrentService.Decrypt");
    assert_eq!(seen.header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(seen.header("x-amz-security-token"), "session");
    assert_eq!(
        seen.json(),
        json!({"KeyId": arn, "CiphertextBlob": "Y2lwaGVy", "EncryptionContext": {"App": "web"}})
    );
    let authorization = seen.header("authorization");
    let date = seen.header("x-amz-date").get(..8).unwrap();
    let begin = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/{date}/us-west-2/kms/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature="
    );
    assert!(authorization.starts_with(&begin), "{authorization}");
    let error = ask(&entries, endpoints(), key("AAAA", "")).await.unwrap_err();
    assert_eq!(error, format!("{}/: status 400: InvalidCiphertextException", kms.url));

    // A role is taken on first, as the API reference of the token service has it: "AssumeRole".
    let sts = StandIn::start(|_| {
        let keys = "<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>k3y</SecretAccessKey>\
                    <SessionToken>role-session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>";
        let result = format!("<AssumeRoleResult><Credentials>{keys}</Credentials></AssumeRoleResult>");
        (200, json!(format!("<AssumeRoleResponse>{result}</AssumeRoleResponse>")))
    })
    .await;
    let with_role = Endpoints { sts: Some(sts.url.clone()), ..endpoints() };
    ask(&entries, with_role, key("Y2lwaGVy", "arn:aws:iam::1:role/x")).await.unwrap();
    let asked = &sts.seen()[0];
    assert_eq!(
        String::from_utf8_lossy(&asked.body),
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&RoleSessionName=sluice"
    );
    let signed = asked.header("authorization");
    assert!(
        signed.contains("Credential=AKIAIOSFODNN7EXAMPLE/") && signed.contains("/us-west-2/sts/"),
        "{signed}"
    );
    let last = kms.seen().pop().unwrap();
    assert!(last.header("authorization").contains("Credential=ASIAROLE/"), "{last:?}");
    assert_eq!(last.header("x-amz-security-token"), "role-session");
}

/// A ServiceAccount, as a controller knows it.
struct Account {
    tokens: Tokens,
    vault: String,
}

impl Surroundings for Account {
    fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    fn aws(&self, region: String, endpoint: Option<String>) -> Lookup<'_, AwsLogin> {
        let (role, token) = ("arn:aws:iam::1:role/sa".to_owned(), "jwt".to_owned());
        Box::pin(async { Ok(AwsLogin::WebIdentity { role, token, region, endpoint }) })
    }

    fn gcp(&self) -> Lookup<'_, GcpLogin> {
        Box::pin(async { Err("no annotation for Google".to_owned()) })
    }

    fn azure(&self) -> Lookup<'_, AzureIdentity> {
        Box::pin(async { Err("no annotation for Microsoft".to_owned()) })
    }

    fn vault<'l>(&'l self, address: &'l str) -> Lookup<'l, Option<VaultLogin>> {
        let login = (address == self.vault).then(|| VaultLogin {
            path: "auth/kubernetes/login".to_owned(),
            role: "apps_decryptor".to_owned(),
            jwt: "jwt".to_owned(),
        });
        Box::pin(async { Ok(login) })
    }
}

/// The login of Vault's documentation of the auth method "kubernetes", and what follows from an identity elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_logs_in_where_no_credentials_are_given() {
    let server = StandIn::start(|seen| match seen.uri.as_str() {
        "/v1/auth/kubernetes/login" if seen.json()["role"] == "apps_decryptor" => {
            (200, json!({"auth": {"client_token": "s.account", "lease_duration": 3600}}))
        }
        _ if seen.header("x-vault-token") == "s.account" => (200, json!({"data": {"plaintext": "aGk="}})),
        _ => (403, json!({"errors": ["permission denied"]})),
    })
    .await;
    let account = || {
        Arc::new(Account {
            tokens: Tokens::new(8, std::time::Duration::from_mins(5)),
            vault: server.url.clone(),
        })
    };
    let key = || vault_key(&server.url, "transit", "my-key");
    let one = account();
    for _ in 0..2 {
        assert_eq!(ask_as(one.clone(), &[], Endpoints::default(), key()).await.unwrap(), b"hi");
    }
    let login = &server.seen()[0];
    assert_eq!(login.json(), json!({"role": "apps_decryptor", "jwt": "jwt"}));
    assert_eq!(server.seen().len(), 3, "the token of the login is kept");
    // A token of the Secret goes before, and another server gets nothing.
    let entries = [("sops.vault-token", "s.wrong".to_owned())];
    let error = ask_as(account(), &entries, Endpoints::default(), key()).await.unwrap_err();
    assert!(error.contains("permission denied"), "{error}");
    let elsewhere = StandIn::start(|_| (200, json!({}))).await;
    let error =
        ask_as(account(), &[], Endpoints::default(), vault_key(&elsewhere.url, "transit", "my-key")).await;
    assert_eq!(error.unwrap_err(), format!("no token for Vault at {}", elsewhere.url));
    assert!(elsewhere.seen().is_empty());

    let google = MasterKey::GcpKms {
        resource_id: "projects/p/locations/l/keyRings/r/cryptoKeys/k".to_owned(),
        encrypted: "YQ==".to_owned(),
    };
    let error = ask_as(account(), &[], Endpoints::default(), google).await.unwrap_err();
    assert_eq!(error, "no annotation for Google");
}

const RSA: &str = include_str!("cases/rsa.pem");

/// `projects.locations.keyRings.cryptoKeys.decrypt` of the reference of Google Cloud KMS, with a token for an assertion that
/// the account's key has signed (RFC 7523).
#[tokio::test(flavor = "multi_thread")]
async fn google_is_asked_as_its_documentation_says() {
    let google = StandIn::start(|seen| match seen.uri.as_str() {
        "/token" => (200, json!({"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"})),
        _ if seen.header("authorization") == "Bearer ya29.token" => (200, json!({"plaintext": "a2V5"})),
        _ => (401, json!({"error": {"status": "UNAUTHENTICATED", "message": "no"}})),
    })
    .await;
    let resource = "projects/p/locations/global/keyRings/sops/cryptoKeys/sops-key";
    let key = |resource: &str| MasterKey::GcpKms {
        resource_id: resource.to_owned(),
        encrypted: "Y2lwaGVy".to_owned(),
    };
    let account = json!({"client_email": "sops@p.iam.gserviceaccount.com", "private_key": RSA, "private_key_id": "1",
        "token_uri": format!("{}/token", google.url)});
    let entries = [("sops.gcp-kms", account.to_string())];
    let endpoints = || Endpoints { gcp: Some(google.url.clone()), ..Endpoints::default() };
    assert_eq!(ask(&entries, endpoints(), key(resource)).await.unwrap(), b"key");
    let seen = google.seen();
    let form = String::from_utf8(seen[0].body.clone()).unwrap();
    let assertion = form.split('&').find_map(|pair| pair.strip_prefix("assertion=")).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloudkms");
    assert_eq!(claims["iss"], "sops@p.iam.gserviceaccount.com");
    assert_eq!(
        (&seen[1].method, seen[1].uri.as_str()),
        (&Method::POST, format!("/v1/{resource}:decrypt").as_str())
    );
    assert_eq!(seen[1].json(), json!({"ciphertext": "Y2lwaGVy"}));
    for wrong in [
        "projects/p/locations/global/keyRings/../cryptoKeys/x",
        "projects/p?x",
        "",
        "projects/p/locations/l/keyRings/k/cryptoKeys/a%2fb",
    ] {
        let error = ask(&entries, endpoints(), key(wrong)).await.unwrap_err();
        assert!(error.contains("is no resource of a key"), "{error}");
    }
}

/// "Decrypt" of the REST reference of Azure Key Vault, with a token for client credentials (v2.0).
#[tokio::test(flavor = "multi_thread")]
async fn azure_is_asked_as_its_documentation_says() {
    let azure = StandIn::start(|seen| match seen.uri.as_str() {
        "/tenant/oauth2/v2.0/token" => (200, json!({"access_token": "eyJ.token", "expires_in": 3599})),
        _ if seen.header("authorization") == "Bearer eyJ.token" => {
            (200, json!({"kid": "k", "value": "a2V5_w"}))
        }
        _ => (401, json!({"error": {"code": "Unauthorized", "message": "AKV10000: no token"}})),
    })
    .await;
    let key = |vault: &str, name: &str| MasterKey::AzureKeyVault {
        vault_url: vault.to_owned(),
        name: name.to_owned(),
        version: "1234567890abcdef".to_owned(),
        encrypted: "Y2lwaGVy".to_owned(),
    };
    let login = json!({"tenantId": "tenant", "clientId": "client", "clientSecret": "hunter2", "authorityHost": azure.url});
    let entries = [("sops.azure-kv", login.to_string())];
    let plain = ask(&entries, Endpoints::default(), key(&azure.url, "sops-key")).await.unwrap();
    assert_eq!(plain, b"key\xff");
    let seen = azure.seen();
    let form = String::from_utf8(seen[0].body.clone()).unwrap();
    assert!(
        form.contains("grant_type=client_credentials")
            && form.contains("scope=https%3A%2F%2Fvault.azure.net%2F.default"),
        "{form}"
    );
    assert_eq!(
        (&seen[1].method, seen[1].uri.as_str()),
        (&Method::POST, "/keys/sops-key/1234567890abcdef/decrypt?api-version=7.4")
    );
    assert_eq!(seen[1].json(), json!({"alg": "RSA-OAEP-256", "value": "Y2lwaGVy"}));
    for vault in [
        "https://evil.example.com",
        "http://x.vault.azure.net",
        "https://evilvault.azure.net",
        "https://x.vault.azure.net.evil.example.com",
    ] {
        let error = ask(&entries, Endpoints::default(), key(vault, "sops-key")).await.unwrap_err();
        assert!(error.contains("is no URL of an Azure Key Vault"), "{error}");
    }
    assert_eq!(azure.seen().len(), 2, "a token went astray");
}

/// A stand-in whose ciphers are the plain text: what `sops` made with it is read with it.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_sops_made_with_vault_and_kms_decrypt() {
    let vault = StandIn::start(|seen| {
        let cipher = seen.json()["ciphertext"].as_str().unwrap_or_default().to_owned();
        (200, json!({"data": {"plaintext": cipher.trim_start_matches("vault:v1:")}}))
    })
    .await;
    let kms =
        StandIn::start(|seen| (200, json!({"KeyId": "arn", "Plaintext": seen.json()["CiphertextBlob"]})))
            .await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for name in ["vault.yaml", "aws.yaml"] {
        let file = std::fs::read_to_string(folder.join(name)).unwrap();
        // The stand-in has another port today.
        let file = file.replace("http://127.0.0.1:8200", &vault.url);
        let mut credentials = Credentials::default();
        credentials.add("sops.vault-token", b"root").unwrap();
        credentials.add("sops.aws-kms", b"{aws_access_key_id: a, aws_secret_access_key: b}").unwrap();
        let endpoints = Endpoints { aws: Some(kms.url.clone()), ..Endpoints::default() };
        let (surroundings, runtime) = (Arc::new(Process::default()), tokio::runtime::Handle::current());
        let services = Services::new(credentials, surroundings, endpoints, runtime).unwrap();
        // The time of the last change and the code are those of the file: the address of the Vault is no part of them.
        let options = Options { verify_mac: true };
        let plain = tokio::task::spawn_blocking(move || {
            decrypt(file.as_bytes(), Format::Yaml, Format::Yaml, &[&services], options)
        });
        let plain = String::from_utf8(plain.await.unwrap().unwrap()).unwrap();
        assert_eq!(plain, std::fs::read_to_string(folder.join("plain.yaml")).unwrap(), "{name}");
    }
}

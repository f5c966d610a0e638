//! Decrypts data keys of SOPS with keys that stay in a service: HashiCorp Vault and OpenBao, AWS KMS, Google Cloud KMS,
//! Azure Key Vault.
//!
//! [`Credentials`] are read from the entries of a Secret, with the names and forms of Flux. [`Services`] asks the service
//! that a file names, and is a [`KeyService`] for [`sluice_sops::decrypt`]. A file's author chooses where to ask: what goes
//! there is the credentials of that author and nothing else, and of an answer only the service's own error texts are told.
//!
//! It waits for answers: call it from a thread that may block.

mod aws;
mod azure;
mod credentials;
mod gcp;
mod surroundings;
mod vault;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Request};
use serde_json::Value;
use sluice_http::chain;
use sluice_sops::{KeyService, MasterKey};

pub use credentials::{Credentials, ImportError};
pub use surroundings::{Lookup, Process, Surroundings, VaultLogin};

/// The longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;
/// How long a service may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most of a service's own words that are told.
const MAX_WORDS: usize = 500;

/// Where services are, if not where they say: for tests, and for endpoints of one's own.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// The URL of AWS KMS.
    pub aws: Option<String>,
    /// The URL of Amazon's token service.
    pub sts: Option<String>,
    /// The URL of Google Cloud KMS.
    pub gcp: Option<String>,
}

impl Endpoints {
    /// What the environment says: `AWS_ENDPOINT_URL_KMS` and `AWS_ENDPOINT_URL_STS`, as all of Amazon's tools read them.
    pub fn of_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self { aws: variable("AWS_ENDPOINT_URL_KMS"), sts: variable("AWS_ENDPOINT_URL_STS"), gcp: None }
    }
}

/// Services that decrypt data keys, for somebody with credentials.
pub struct Services {
    http: Client,
    runtime: tokio::runtime::Handle,
    credentials: Credentials,
    endpoints: Endpoints,
    surroundings: Arc<dyn Surroundings>,
}

impl Services {
    /// Services with these credentials, and as `surroundings` where there are none. `runtime` does the waiting.
    pub fn new(
        credentials: Credentials,
        surroundings: Arc<dyn Surroundings>,
        endpoints: Endpoints,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, String> {
        // A redirect would take the credentials elsewhere.
        let options = sluice_http::Options { redirects: false, ..sluice_http::Options::default() };
        let http = sluice_http::build(&options).map_err(|error| error.to_string())?;
        Ok(Self { http, runtime, credentials, endpoints, surroundings })
    }

    async fn ask(&self, key: &MasterKey) -> Option<Result<Vec<u8>, String>> {
        Some(match key {
            MasterKey::Vault { address, engine_path, key_name, encrypted } => {
                vault::decrypt(self, address, engine_path, key_name, encrypted).await
            }
            MasterKey::AwsKms { arn, role, context, encrypted, .. } => {
                aws::decrypt(self, arn, role, context, encrypted).await
            }
            MasterKey::GcpKms { resource_id, encrypted } => gcp::decrypt(self, resource_id, encrypted).await,
            MasterKey::AzureKeyVault { vault_url, name, version, encrypted } => {
                azure::decrypt(self, vault_url, name, version, encrypted).await
            }
            _ => return None,
        })
    }

    /// Sends a request and reads the JSON of the answer. `words`: where in an answer the service says what went wrong.
    async fn send(&self, request: Request, words: &[&str]) -> Result<Value, String> {
        let url = request.url().clone();
        let shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
        let failed = |error: reqwest::Error| chain(&error.without_url());
        let mut response =
            self.http.execute(request).await.map_err(|error| format!("{shown}: {}", failed(error)))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| format!("{shown}: {}", failed(error)))?
        {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("{shown}: the answer is larger than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let answer = serde_json::from_slice::<Value>(&body).ok();
        if status.is_success() {
            return answer.ok_or_else(|| format!("{shown}: the answer is no JSON"));
        }
        let said =
            words.iter().filter_map(|path| answer.as_ref()?.pointer(path)?.as_str()).collect::<Vec<_>>();
        let said = said.join(": ").chars().take(MAX_WORDS).collect::<String>();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        Err(format!("{shown}: status {}{said}", status.as_u16()))
    }

    /// A request that posts JSON.
    fn post(&self, url: &str, content: &Value) -> Result<Request, String> {
        let url = reqwest::Url::parse(url).map_err(|error| format!("{url:?} is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{url}: neither http nor https"));
        }
        self.http.post(url).json(content).build().map_err(|error| chain(&error.without_url()))
    }
}

impl KeyService for Services {
    fn decrypt(&self, key: &MasterKey) -> Option<Result<Vec<u8>, String>> {
        let answered = async { tokio::time::timeout(PATIENCE, self.ask(key)).await };
        self.runtime
            .block_on(answered)
            .unwrap_or_else(|_| Some(Err(format!("no answer within {} s", PATIENCE.as_secs()))))
    }
}

/// A field of an answer that is bytes in base64.
fn bytes(answer: &Value, path: &str, engine: &impl base64::Engine) -> Result<Vec<u8>, String> {
    let text =
        answer.pointer(path).and_then(Value::as_str).ok_or_else(|| format!("the answer has no {path}"))?;
    engine.decode(text.trim_end_matches('=')).map_err(|_| format!("{path} of the answer is no base64"))
}

/// Base64 with or without padding at its end is read without.
pub(crate) const STANDARD: base64::engine::GeneralPurpose = base64::engine::general_purpose::STANDARD_NO_PAD;
pub(crate) const URL_SAFE: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;

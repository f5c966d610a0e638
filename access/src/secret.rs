//! Reading Secrets. Messages name the Secret and the key, never a value.

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::Api;
use sluice_runtime::errors;

/// A Secret that was read.
pub struct SecretData {
    /// `namespace/name`.
    pub name: String,
    secret: Secret,
}

/// Why a Secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It, or the object that names it, is not to be had.
    #[error("failed to get {kind} '{name}': {reason}")]
    Get {
        /// `secret` or `service account`.
        kind: &'static str,
        /// `namespace/name`.
        name: String,
        /// The API server's words.
        reason: String,
    },
    /// Bytes where a text should be.
    #[error("secret '{name}': key '{key}' is not valid UTF-8 text")]
    Text {
        /// `namespace/name`.
        name: String,
        /// The key.
        key: String,
    },
    /// What it holds is not what is needed.
    #[error("secret '{name}': {problem}")]
    Invalid {
        /// `namespace/name`.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl SecretData {
    /// Reads a Secret afresh: a copy would outlive a rotation.
    pub async fn read(client: &kube::Client, namespace: &str, name: &str) -> Result<Self, SecretError> {
        let full = format!("{namespace}/{name}");
        match Api::<Secret>::namespaced(client.clone(), namespace).get(name).await {
            Ok(secret) => Ok(SecretData { name: full, secret }),
            Err(error) => {
                Err(SecretError::Get { kind: "secret", name: full, reason: errors::describe(&error) })
            }
        }
    }

    /// Its type, such as `Opaque`.
    pub fn type_(&self) -> &str {
        self.secret.type_.as_deref().unwrap_or_default()
    }

    /// The bytes of the first of `keys` that is there.
    pub fn bytes(&self, keys: &[&str]) -> Option<&[u8]> {
        let data = self.secret.data.as_ref()?;
        keys.iter().find_map(|key| data.get(*key)).map(|value| value.0.as_slice())
    }

    /// All entries.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let data = self.secret.data.iter().flatten();
        data.map(|(key, value)| (key.as_str(), value.0.as_slice()))
    }

    /// The text of a key; `None` if it is not there.
    pub fn text(&self, key: &str) -> Result<Option<String>, SecretError> {
        let text = self.bytes(&[key]).map(|bytes| String::from_utf8(bytes.to_vec())).transpose();
        text.map_err(|_| SecretError::Text { name: self.name.clone(), key: key.to_owned() })
    }

    /// What is wrong with it.
    pub fn invalid(&self, problem: impl Into<String>) -> SecretError {
        SecretError::Invalid { name: self.name.clone(), problem: problem.into() }
    }

    /// One for tests, of the name `ns/auth`.
    pub fn example(type_: &str, entries: &[(&str, &str)]) -> Self {
        let value = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
        let data = entries.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
        let secret = Secret { data: Some(data), type_: Some(type_.to_owned()), ..Secret::default() };
        SecretData { name: "ns/auth".to_owned(), secret }
    }
}

/// The names of the Secrets that a ServiceAccount pulls images with.
pub async fn image_pull_secrets(
    client: &kube::Client,
    namespace: &str,
    name: &str,
) -> Result<Vec<String>, SecretError> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    let account = accounts.get(name).await.map_err(|error| SecretError::Get {
        kind: "service account",
        name: format!("{namespace}/{name}"),
        reason: errors::describe(&error),
    })?;
    let secrets = account.image_pull_secrets.unwrap_or_default().into_iter();
    Ok(secrets.map(|secret| secret.name).filter(|name| !name.is_empty()).collect())
}

//! Reading Secrets. Messages name the Secret and the key, never a value.

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::Api;
use sluice_runtime::errors;

/// A Secret that was read.
pub(crate) struct SecretData {
    /// `namespace/name`.
    pub(crate) name: String,
    secret: Secret,
}

/// A certificate and its key.
pub(crate) type KeyPair = (Vec<u8>, Vec<u8>);

/// Why a Secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("failed to get {kind} '{name}': {reason}")]
    Get { kind: &'static str, name: String, reason: String },
    #[error("secret '{name}': key '{key}' is not valid UTF-8 text")]
    Text { name: String, key: String },
    #[error("secret '{name}': {problem}")]
    Invalid { name: String, problem: String },
}

impl SecretData {
    /// Reads a Secret afresh: a copy would outlive a rotation.
    pub(crate) async fn read(
        client: &kube::Client,
        namespace: &str,
        name: &str,
    ) -> Result<Self, SecretError> {
        let full = format!("{namespace}/{name}");
        match Api::<Secret>::namespaced(client.clone(), namespace).get(name).await {
            Ok(secret) => Ok(SecretData { name: full, secret }),
            Err(error) => {
                Err(SecretError::Get { kind: "secret", name: full, reason: errors::describe(&error) })
            }
        }
    }

    /// Its type, such as `Opaque`.
    pub(crate) fn type_(&self) -> &str {
        self.secret.type_.as_deref().unwrap_or_default()
    }

    /// The bytes of the first of `keys` that is there.
    pub(crate) fn bytes(&self, keys: &[&str]) -> Option<&[u8]> {
        let data = self.secret.data.as_ref()?;
        keys.iter().find_map(|key| data.get(*key)).map(|value| value.0.as_slice())
    }

    /// The text of a key; `None` if it is not there.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, SecretError> {
        let text = self.bytes(&[key]).map(|bytes| String::from_utf8(bytes.to_vec())).transpose();
        text.map_err(|_| SecretError::Text { name: self.name.clone(), key: key.to_owned() })
    }

    /// What is wrong with it.
    pub(crate) fn invalid(&self, problem: impl Into<String>) -> SecretError {
        SecretError::Invalid { name: self.name.clone(), problem: problem.into() }
    }

    /// The client certificate and its key (PEM), by their names in TLS Secrets or Flux's older ones.
    pub(crate) fn certificate(&self) -> Result<Option<KeyPair>, SecretError> {
        match (self.bytes(&["tls.crt", "certFile"]), self.bytes(&["tls.key", "keyFile"])) {
            (Some(certificate), Some(key)) => Ok(Some((certificate.to_vec(), key.to_vec()))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.invalid("key 'tls.crt' is there without 'tls.key'")),
            (None, Some(_)) => Err(self.invalid("key 'tls.key' is there without 'tls.crt'")),
        }
    }

    #[cfg(test)]
    pub(crate) fn of(type_: &str, entries: &[(&str, &str)]) -> Self {
        let value = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
        let data = entries.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
        let secret = Secret { data: Some(data), type_: Some(type_.to_owned()), ..Secret::default() };
        SecretData { name: "ns/auth".to_owned(), secret }
    }
}

/// The names of the Secrets that a ServiceAccount pulls images with.
pub(crate) async fn image_pull_secrets(
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
    Ok(account.image_pull_secrets.unwrap_or_default().into_iter().map(|reference| reference.name).collect())
}

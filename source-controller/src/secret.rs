//! Reading Secrets. Messages name the Secret and the key, never a value.

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use sluice_runtime::errors;

/// A Secret that was read.
pub(crate) struct SecretData {
    /// `namespace/name`.
    pub(crate) name: String,
    secret: Secret,
}

/// Why a Secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("failed to get secret '{name}': {reason}")]
    Get { name: String, reason: String },
    #[error("secret '{name}': key '{key}' is not valid UTF-8 text")]
    Text { name: String, key: String },
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
            Err(error) => Err(SecretError::Get { name: full, reason: errors::describe(&error) }),
        }
    }

    /// The bytes of the first of `keys` that is there.
    pub(crate) fn bytes(&self, keys: &[&str]) -> Option<&[u8]> {
        let data = self.secret.data.as_ref()?;
        keys.iter().find_map(|key| data.get(*key)).map(|value| value.0.as_slice())
    }

    /// All entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let data = self.secret.data.iter().flatten();
        data.map(|(key, value)| (key.as_str(), value.0.as_slice()))
    }

    /// The text of a key; `None` if it is not there.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, SecretError> {
        let text = self.bytes(&[key]).map(|bytes| String::from_utf8(bytes.to_vec())).transpose();
        text.map_err(|_| SecretError::Text { name: self.name.clone(), key: key.to_owned() })
    }

    #[cfg(test)]
    pub(crate) fn of(entries: &[(&str, &str)]) -> Self {
        let value = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
        let data = entries.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
        SecretData { name: "ns/auth".to_owned(), secret: Secret { data: Some(data), ..Secret::default() } }
    }
}

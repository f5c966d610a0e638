//! The key that commits are signed with.

use kube::ResourceExt as _;
use sluice_api::image::{ImageUpdateAutomation, SigningKeyType};
use sluice_git::{SignError, SigningKey};
use sluice_runtime::errors::chain;

use crate::Shared;
use crate::progress::Failure;
use sluice_access::SecretData;

/// The key of an automation, from a Secret in its own namespace; none if commits are not signed.
pub(super) async fn key(
    shared: &Shared,
    object: &ImageUpdateAutomation,
) -> Result<Option<SigningKey>, Failure> {
    let Some(signing) = object.spec.git.as_ref().and_then(|git| git.commit.signing_key.as_ref()) else {
        return Ok(None);
    };
    let namespace = object.namespace().unwrap_or_default();
    let name = &signing.secret_ref.name;
    let secret = SecretData::read(&shared.manager.client, &namespace, name).await;
    let secret = secret.map_err(|error| {
        failed(&format!("could not find signing key secret '{namespace}/{name}': {}", chain(&error)))
    })?;
    read(&secret, signing.type_.unwrap_or_default()).map(Some).map_err(|message| failed(&message))
}

fn read(secret: &SecretData, type_: SigningKeyType) -> Result<SigningKey, String> {
    let name = &secret.name;
    let (field, passphrase) = match type_ {
        SigningKeyType::Gpg => ("git.asc", "passphrase"),
        SigningKeyType::Ssh => ("identity", "password"),
    };
    let key = secret
        .bytes(&[field])
        .ok_or_else(|| format!("signing key secret '{name}' does not contain a '{field}' key"))?;
    let password = secret.text(passphrase).map_err(|error| chain(&error))?;
    let read = match type_ {
        SigningKeyType::Gpg => SigningKey::pgp(key, password.as_deref()),
        SigningKeyType::Ssh => SigningKey::ssh(&String::from_utf8_lossy(key), password.as_deref()),
    };
    read.map_err(|error| match error {
        SignError::Several => {
            format!("multiple entities read from secret '{name}', could not determine which signing key to use")
        }
        SignError::Encrypted => format!(
            "can not use passphrase protected signing key without '{passphrase}' field present in secret {name}"
        ),
        error => format!("signing key secret '{name}': {error}"),
    })
}

fn failed(message: &str) -> Failure {
    Failure::new("GitOperationFailed", format!("failed to update source: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_without_a_key_is_named_with_the_field() {
        let secret = SecretData::example("Opaque", &[("identity", "s3cret")]);
        assert_eq!(
            read(&secret, SigningKeyType::Gpg).unwrap_err(),
            "signing key secret 'ns/auth' does not contain a 'git.asc' key"
        );
        let error = read(&secret, SigningKeyType::Ssh).unwrap_err();
        assert_eq!(error, "signing key secret 'ns/auth': the signing key cannot be read");
    }
}

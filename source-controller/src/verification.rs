//! Signatures of what is in registries.

use kube::ResourceExt as _;
use sluice_api::source::{HelmChartVerification, OCIRepository, OciVerification, VerificationProvider};
use sluice_oci::{Client, Reference};
use sluice_runtime::errors::chain;
use sluice_signature::{Policy, PublicKey};
use tokio::time::Instant;

use crate::Shared;
use crate::source::Failure;
use sluice_access::SecretData;

/// Verifies an OCI artifact as its object asks. Returns what to say of it.
pub(crate) async fn oci(
    shared: &Shared,
    object: &OCIRepository,
    client: &Client,
    reference: &Reference,
    revision: &str,
    deadline: Instant,
) -> Result<String, Failure> {
    let Some(verify) = &object.spec.verify else { return Ok(String::new()) };
    let namespace = object.namespace().unwrap_or_default();
    // What the signature must be for was found out once: a tag may point elsewhere by now.
    let digest = revision.rsplit_once('@').map_or(revision, |(_, digest)| digest);
    let work = signature(shared, &namespace, verify, client, reference, digest);
    let verified = tokio::time::timeout_at(deadline, work).await;
    match verified.unwrap_or_else(|_| Err("timed out".to_owned())) {
        Ok(()) => Ok(format!("verified signature of revision {revision}")),
        Err(problem) => Err(failure(verify, &problem)),
    }
}

/// Verifies a chart in a registry by the digest of its reference.
pub(crate) async fn chart(
    shared: &Shared,
    namespace: &str,
    verify: &HelmChartVerification,
    client: &Client,
    reference: &Reference,
) -> Result<(), String> {
    let verify = OciVerification {
        match_oidc_identity: verify.match_oidc_identity.clone(),
        provider: verify.provider,
        secret_ref: verify.secret_ref.clone(),
        trusted_root_secret_ref: None,
    };
    let digest = reference.digest.as_deref().ok_or("the chart has no digest to verify")?;
    let verified = signature(shared, namespace, &verify, client, reference, digest).await;
    verified.map_err(|problem| failure(&verify, &problem).message)
}

fn failure(verify: &OciVerification, problem: &str) -> Failure {
    let keyless = verify.provider == VerificationProvider::Cosign && verify.secret_ref.is_none();
    let keyless = if keyless { " keyless" } else { "" };
    let provider = verify.provider.as_str();
    Failure::verification(format!(
        "failed to verify the signature using provider '{provider}{keyless}': {problem}"
    ))
}

async fn signature(
    shared: &Shared,
    namespace: &str,
    verify: &OciVerification,
    client: &Client,
    reference: &Reference,
    digest: &str,
) -> Result<(), String> {
    if verify.provider != VerificationProvider::Cosign {
        return Err("it is not supported yet by Sluice".to_owned());
    }
    let Some(secret) = &verify.secret_ref else {
        return Err("without a secretRef it is not supported yet by Sluice".to_owned());
    };
    let secret = SecretData::read(&shared.manager.client, namespace, &secret.name).await;
    let secret = secret.map_err(|error| chain(&error))?;
    let keys = keys(&secret)?;
    let verified = sluice_signature::verify(client, reference, digest, &Policy::Keys(keys)).await;
    verified.map(drop).map_err(|error| chain(&error))
}

/// The public keys of a Secret. One that cannot be read is an error: it may be the one that matters.
fn keys(secret: &SecretData) -> Result<Vec<PublicKey>, String> {
    let files = secret.entries().filter(|(name, _)| name.ends_with(".pub"));
    let parse = |(name, text): (&str, &[u8])| {
        PublicKey::from_pem(text).map_err(|error| format!("secret '{}': '{name}': {error}", secret.name))
    };
    files.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_be_read_are_named_and_not_shown() {
        let error =
            keys(&SecretData::example("Opaque", &[("cosign.pub", "s3cret"), ("x", "y")])).unwrap_err();
        assert!(
            error.starts_with("secret 'ns/auth': 'cosign.pub': the public key cannot be read"),
            "{error}"
        );
        assert!(!error.contains("s3cret"));
        assert!(keys(&SecretData::example("Opaque", &[("cosign.key", "y")])).unwrap().is_empty());
    }
}

//! Signatures of what is in registries.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use kube::ResourceExt as _;
use sluice_api::source::{
    HelmChartVerification, OCIRepository, OciVerification, OidcIdentityMatch, VerificationProvider,
};
use sluice_oci::{Client, Reference};
use sluice_runtime::errors::chain;
use sluice_signature::{Identity, Judgement, Keyless, Notation, Policy, PublicKey, TrustedRoot};
use tokio::time::Instant;

use crate::Shared;
use crate::source::Failure;
use sluice_access::SecretData;

/// Verifies an OCI artifact as its object asks. Returns what to say of it, which is nothing where a policy did not ask for
/// a signature.
pub(crate) async fn oci(
    shared: &Shared,
    object: &OCIRepository,
    client: &Client,
    reference: &Reference,
    revision: &str,
    deadline: Instant,
) -> Result<Option<String>, Failure> {
    let Some(verify) = &object.spec.verify else { return Ok(None) };
    let namespace = object.namespace().unwrap_or_default();
    // What the signature must be for was found out once: a tag may point elsewhere by now.
    let digest = revision.rsplit_once('@').map_or(revision, |(_, digest)| digest);
    let work = signature(shared, &namespace, verify, client, reference, digest);
    let verified = tokio::time::timeout_at(deadline, work).await;
    match verified.unwrap_or_else(|_| Err("timed out".to_owned())) {
        Ok(true) => Ok(Some(format!("verified signature of revision {revision}"))),
        Ok(false) => Ok(None),
        Err(problem) => Err(failure(verify, &problem)),
    }
}

/// Verifies a chart in a registry by the digest of its reference. Whether somebody who is trusted has signed it: a policy may
/// not ask for that.
pub(crate) async fn chart(
    shared: &Shared,
    namespace: &str,
    verify: &HelmChartVerification,
    client: &Client,
    reference: &Reference,
) -> Result<bool, String> {
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
) -> Result<bool, String> {
    let read = async |name: &str| {
        let secret = SecretData::read(&shared.manager.client, namespace, name).await;
        secret.map_err(|error| chain(&error))
    };
    if verify.provider == VerificationProvider::Notation {
        let reference_to = verify.secret_ref.as_ref().ok_or("spec.verify.secretRef is missing")?;
        let notation = notation(&read(&reference_to.name).await?)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let judged = notation.verify(client, reference, digest, now).await;
        return judged.map(|judgement| judgement == Judgement::Verified).map_err(|error| chain(&error));
    }
    let policy = match (&verify.secret_ref, &verify.trusted_root_secret_ref) {
        (Some(secret), _) => Policy::Keys(keys(&read(&secret.name).await?)?),
        (None, root) => {
            let root = match root {
                Some(secret) => trusted_root(&read(&secret.name).await?)?,
                None => TrustedRoot::public(),
            };
            Policy::Keyless(Keyless { root, identities: identities(&verify.match_oidc_identity)? })
        }
    };
    let verified = sluice_signature::verify(client, reference, digest, &policy).await;
    verified.map(|_| true).map_err(|error| chain(&error))
}

const TRUSTED_ROOT: &str = "trusted_root.json";

fn trusted_root(secret: &SecretData) -> Result<Arc<TrustedRoot>, String> {
    let name = &secret.name;
    let json = secret.bytes(&[TRUSTED_ROOT]);
    let json = json.ok_or_else(|| format!("secret '{name}': key '{TRUSTED_ROOT}' is missing"))?;
    let root = TrustedRoot::parse(json);
    root.map(Arc::new).map_err(|error| format!("secret '{name}': '{TRUSTED_ROOT}': {error}"))
}

const TRUST_POLICY: &str = "trustpolicy.json";

fn notation(secret: &SecretData) -> Result<Notation, String> {
    let name = &secret.name;
    let policy = secret.bytes(&[TRUST_POLICY]);
    let policy = policy.ok_or_else(|| format!("secret '{name}': key '{TRUST_POLICY}' is missing"))?;
    let files = secret.entries().filter(|(key, _)| key.ends_with(".crt") || key.ends_with(".pem"));
    Notation::parse(policy, files).map_err(|error| format!("secret '{name}': {error}"))
}

fn identities(matches: &[OidcIdentityMatch]) -> Result<Vec<Identity>, String> {
    let parse = |entry: &OidcIdentityMatch| Identity::new(&entry.issuer, &entry.subject);
    matches.iter().map(|entry| parse(entry).map_err(|error| error.to_string())).collect()
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

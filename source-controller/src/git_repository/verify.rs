//! Verifying the signatures of the commit and the tag before anything is published.

use kube::ResourceExt as _;
use sluice_api::source::{GitRepository, GitVerificationMode};
use sluice_git::{Commit, Keyring, Repository, Resolved};
use sluice_runtime::errors::chain;

use crate::Shared;
use crate::source::Failure;
use sluice_access::SecretData;

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) mode: GitVerificationMode,
    pub(super) message: String,
}

/// Verifies what the spec wants; `None` if it wants nothing.
pub(super) async fn verify(
    shared: &Shared,
    object: &GitRepository,
    repository: &Repository,
    resolved: &Resolved,
    commit: &Commit,
) -> Result<Option<Verified>, Failure> {
    let Some(verification) = &object.spec.verify else { return Ok(None) };
    let namespace = object.namespace().unwrap_or_default();
    let secret = SecretData::read(&shared.manager.client, &namespace, &verification.secret_ref.name).await;
    let secret = secret
        .map_err(|error| Failure::verification(format!("public keys secret error: {}", chain(&error))))?;
    let keys = keyring(&secret)?;
    check(verification.mode(), &keys, repository, resolved, commit).map(Some)
}

fn keyring(secret: &SecretData) -> Result<Keyring, Failure> {
    let mut keys = Keyring::new();
    let failed = |reason: String| Failure::verification(format!("secret '{}': {reason}", secret.name));
    for (name, content) in secret.entries() {
        keys.add(name, content).map_err(|error| failed(chain(&error)))?;
    }
    if keys.is_empty() { Err(failed("it holds no public keys".to_owned())) } else { Ok(keys) }
}

fn check(
    mode: GitVerificationMode,
    keys: &Keyring,
    repository: &Repository,
    resolved: &Resolved,
    commit: &Commit,
) -> Result<Verified, Failure> {
    let tag = matches!(mode, GitVerificationMode::Tag | GitVerificationMode::TagAndHead);
    let head = !matches!(mode, GitVerificationMode::Tag);
    let mut message = String::new();
    if tag {
        let (name, key) = check_tag(keys, repository, resolved)?;
        message = format!("verified signature of\n\t- tag '{name}' with key '{key}'");
    }
    if head {
        let id = commit.id;
        let failed = |reason: &str| {
            Failure::verification(format!("signature verification of commit '{id}' failed: {reason}"))
        };
        let signature = commit.signature().ok_or_else(|| failed("the commit is not signed"))?;
        let key = keys.verify(&signature).map_err(|error| failed(&chain(&error)))?;
        if tag {
            message.push_str(&format!("\n\t- commit '{id}' with key '{key}'"));
        } else {
            message = format!("verified signature of\n\t- commit '{id}' with key '{key}'");
        }
    }
    Ok(Verified { mode, message })
}

fn check_tag(
    keys: &Keyring,
    repository: &Repository,
    resolved: &Resolved,
) -> Result<(String, String), Failure> {
    let is_tag = |name: &&String| !name.starts_with("refs/") || name.starts_with("refs/tags/");
    let Some(id) = resolved.tag else {
        let message = match resolved.name.as_ref().filter(is_tag) {
            Some(name) => format!("cannot verify tag object's signature: '{name}' is not an annotated tag"),
            None => "cannot verify tag object's signature if a tag reference is not specified".to_owned(),
        };
        return Err(Failure::verification(message));
    };
    let tag = repository.tag(id).map_err(|error| Failure::verification(chain(&error)))?;
    let name = resolved.name.clone().unwrap_or_default();
    let failed = |reason: &str| {
        Failure::verification(format!("signature verification of tag '{name}' failed: {reason}"))
    };
    // The object must be the tag that was asked for, not another one under its reference.
    let short = name.strip_prefix("refs/tags/").unwrap_or(&name).trim_end_matches("^{}");
    if tag.name != short {
        return Err(failed(&format!("the tag object is named '{}'", tag.name)));
    }
    let signature = tag.signature().ok_or_else(|| failed("the tag is not signed"))?;
    let key = keys.verify(&signature).map_err(|error| failed(&chain(&error)))?;
    Ok((name, key))
}

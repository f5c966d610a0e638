//! What errors of Git mean for the object.

use kube::ResourceExt as _;
use sluice_api::meta::{INCLUDE_UNAVAILABLE_CONDITION, LocalObjectReference};
use sluice_api::source::GitRepository;
use sluice_git::CredentialPart;
use sluice_git::tree::TreeError;
use sluice_runtime::errors::chain;

use crate::source::{Failure, Retry};

pub(super) fn url(error: &sluice_git::Error) -> Failure {
    Failure::stalled("URLInvalid", format!("failed to parse url: {}", chain(error)))
}

/// `what`: `authentication` or `proxy`.
pub(super) fn authentication(what: &str, error: &str) -> Failure {
    Failure::fetch("AuthenticationFailed", format!("failed to configure {what} options: {error}"))
}

pub(super) fn provider(retry: Retry, message: impl Into<String>) -> Failure {
    Failure { retry, ..Failure::fetch("InvalidProviderConfiguration", message) }
}

/// `action`: what was tried with `url`, such as `unable to clone`.
pub(super) fn git(
    action: &str,
    object: &GitRepository,
    url: &sluice_git::RemoteUrl,
    error: &sluice_git::Error,
) -> Failure {
    let spec = &object.spec;
    let secret = |reference: &Option<LocalObjectReference>| {
        let name = reference.as_ref().map(|reference| reference.name.as_str()).unwrap_or_default();
        format!("{}/{name}", object.namespace().unwrap_or_default())
    };
    match error {
        sluice_git::Error::KeyEncrypted => {
            let name = secret(&spec.secret_ref);
            authentication("authentication", &format!("{error} in the secret '{name}'"))
        }
        // Without a Secret there is none to name: the URL has the rest.
        sluice_git::Error::Credential { part: CredentialPart::Proxy, reason } => {
            let name = secret(&spec.proxy_secret_ref);
            authentication("proxy", &format!("secret '{name}': key 'address': {reason}"))
        }
        sluice_git::Error::Credential { part, reason } if spec.secret_ref.is_some() => {
            let (name, key) = (secret(&spec.secret_ref), key(*part));
            authentication("authentication", &format!("secret '{name}': key '{key}': {reason}"))
        }
        sluice_git::Error::Empty => Failure::fetch("EmptyGitRepository", chain(error)),
        error => checkout(&format!("{action} '{url}': {}", chain(error))),
    }
}

/// Where Secrets have a part of the credentials.
fn key(part: CredentialPart) -> &'static str {
    match part {
        CredentialPart::Identity => "identity",
        CredentialPart::KnownHosts => "known_hosts",
        CredentialPart::Token => "bearerToken",
        CredentialPart::Authorities => "ca.crt",
        CredentialPart::Certificate => "tls.crt",
        CredentialPart::Proxy => "address",
        _ => "",
    }
}

pub(super) fn reference(error: &sluice_git::Error) -> Failure {
    checkout(&chain(error))
}

fn checkout(problem: &str) -> Failure {
    Failure::fetch("GitOperationFailed", format!("failed to checkout and determine revision: {problem}"))
}

/// Reading the tree or writing the artifact.
pub(super) fn archive(error: &sluice_git::Error) -> Failure {
    match error {
        sluice_git::Error::Tree(TreeError::Missing(_)) => {
            let message = format!("failed to sparse checkout directories : {}", chain(error));
            Failure::fetch("GitOperationFailed", message)
        }
        error => Failure::archive(error),
    }
}

pub(super) fn include(reason: &'static str, message: impl Into<String>) -> Failure {
    Failure::new(INCLUDE_UNAVAILABLE_CONDITION, reason, Retry::Dependency, message)
}

//! What errors of Git mean for the object.

use sluice_api::meta::INCLUDE_UNAVAILABLE_CONDITION;
use sluice_git::tree::TreeError;
use sluice_runtime::errors::chain;

use crate::secret::SecretError;
use crate::source::{Failure, Retry};

pub(super) fn url(error: &sluice_git::Error) -> Failure {
    Failure::stalled("URLInvalid", format!("failed to parse url: {}", chain(error)))
}

pub(super) fn secret(what: &str, error: &SecretError) -> Failure {
    authentication(what, &chain(error))
}

/// `what`: `authentication` or `proxy`.
pub(super) fn authentication(what: &str, error: &str) -> Failure {
    Failure::fetch("AuthenticationFailed", format!("failed to configure {what} options: {error}"))
}

pub(super) fn provider(retry: Retry, message: impl Into<String>) -> Failure {
    Failure { retry, ..Failure::fetch("InvalidProviderConfiguration", message) }
}

/// `action`: what was tried with `url`, such as `unable to clone`.
pub(super) fn git(action: &str, url: &sluice_git::RemoteUrl, error: &sluice_git::Error) -> Failure {
    match error {
        sluice_git::Error::KeyEncrypted => authentication("authentication", &chain(error)),
        sluice_git::Error::Empty => Failure::fetch("EmptyGitRepository", chain(error)),
        error => checkout(&format!("{action} '{url}': {}", chain(error))),
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

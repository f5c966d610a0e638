//! What errors mean for the object: condition, reason, and when to try again.

use sluice_api::meta::{
    FEATURE_GATE_DISABLED_REASON, FETCH_FAILED_CONDITION, INCLUDE_UNAVAILABLE_CONDITION,
    SOURCE_VERIFIED_CONDITION, STORAGE_OPERATION_FAILED_CONDITION,
};
use sluice_artifact::storage::{PublishError, StorageError};
use sluice_git::tree::TreeError;
use sluice_runtime::errors::chain;

use crate::secret::SecretError;

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// With growing delays.
    Backoff,
    /// When the dependency may be there.
    Dependency,
    /// Only a change of the spec, or a request, helps.
    Never,
}

/// Why a run did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) condition: &'static str,
    pub(super) reason: &'static str,
    pub(super) retry: Retry,
    pub(super) message: String,
}

impl Failure {
    fn new(condition: &'static str, reason: &'static str, retry: Retry, message: impl Into<String>) -> Self {
        Failure { condition, reason, retry, message: message.into() }
    }

    pub(super) fn url(error: &sluice_git::Error) -> Self {
        let message = format!("failed to parse url: {}", chain(error));
        Self::new(FETCH_FAILED_CONDITION, "URLInvalid", Retry::Never, message)
    }

    pub(super) fn secret(what: &str, error: &SecretError) -> Self {
        Self::authentication(what, &chain(error))
    }

    /// `what`: `authentication` or `proxy`.
    pub(super) fn authentication(what: &str, error: &str) -> Self {
        let message = format!("failed to configure {what} options: {error}");
        Self::new(FETCH_FAILED_CONDITION, "AuthenticationFailed", Retry::Backoff, message)
    }

    pub(super) fn provider(retry: Retry, message: impl Into<String>) -> Self {
        Self::new(FETCH_FAILED_CONDITION, "InvalidProviderConfiguration", retry, message)
    }

    pub(super) fn gate() -> Self {
        let message = "to use spec.serviceAccountName for provider authentication please enable the \
                       ObjectLevelWorkloadIdentity feature gate in the controller";
        Self::new(FETCH_FAILED_CONDITION, FEATURE_GATE_DISABLED_REASON, Retry::Never, message)
    }

    /// `action`: what was tried with `url`, such as `unable to clone`.
    pub(super) fn git(action: &str, url: &sluice_git::RemoteUrl, error: &sluice_git::Error) -> Self {
        match error {
            sluice_git::Error::KeyEncrypted => Self::authentication("authentication", &chain(error)),
            sluice_git::Error::Empty => {
                Self::new(FETCH_FAILED_CONDITION, "EmptyGitRepository", Retry::Backoff, chain(error))
            }
            error => {
                let message =
                    format!("failed to checkout and determine revision: {action} '{url}': {}", chain(error));
                Self::new(FETCH_FAILED_CONDITION, "GitOperationFailed", Retry::Backoff, message)
            }
        }
    }

    pub(super) fn reference(error: &sluice_git::Error) -> Self {
        let message = format!("failed to checkout and determine revision: {}", chain(error));
        Self::new(FETCH_FAILED_CONDITION, "GitOperationFailed", Retry::Backoff, message)
    }

    pub(super) fn verification(message: impl Into<String>) -> Self {
        Self::new(SOURCE_VERIFIED_CONDITION, "VerificationError", Retry::Backoff, message)
    }

    pub(super) fn storage(reason: &'static str, error: &StorageError) -> Self {
        Self::new(STORAGE_OPERATION_FAILED_CONDITION, reason, Retry::Backoff, chain(error))
    }

    pub(super) fn path(error: &sluice_artifact::storage::LocationError) -> Self {
        Self::new(STORAGE_OPERATION_FAILED_CONDITION, "InvalidPath", Retry::Backoff, chain(error))
    }

    /// Reading the tree or writing the artifact.
    pub(super) fn archive(error: &sluice_git::Error) -> Self {
        match error {
            sluice_git::Error::Tree(TreeError::Missing(_)) => {
                let message = format!("failed to sparse checkout directories : {}", chain(error));
                Self::new(FETCH_FAILED_CONDITION, "GitOperationFailed", Retry::Backoff, message)
            }
            error => {
                let message = format!("unable to archive artifact to storage: {}", chain(error));
                Self::new(
                    STORAGE_OPERATION_FAILED_CONDITION,
                    "ArchiveOperationFailed",
                    Retry::Backoff,
                    message,
                )
            }
        }
    }

    pub(super) fn publish(error: PublishError<Failure>) -> Self {
        match error {
            PublishError::Content(failure) => failure,
            PublishError::Directory(error) => Self::storage("DirectoryCreationFailed", &error),
            PublishError::Lock(error) => Self::storage("AcquireLockFailed", &error),
            PublishError::Storage(error) => Self::storage("ArchiveOperationFailed", &error),
            error => {
                let message = chain(&error);
                Self::new(
                    STORAGE_OPERATION_FAILED_CONDITION,
                    "ArchiveOperationFailed",
                    Retry::Backoff,
                    message,
                )
            }
        }
    }

    pub(super) fn include(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(INCLUDE_UNAVAILABLE_CONDITION, reason, Retry::Dependency, message)
    }

    pub(super) fn copy(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(STORAGE_OPERATION_FAILED_CONDITION, reason, Retry::Backoff, message)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

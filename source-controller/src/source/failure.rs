//! What errors mean for the object: condition, reason, and when to try again.

use sluice_api::meta::{
    FEATURE_GATE_DISABLED_REASON, FETCH_FAILED_CONDITION, SOURCE_VERIFIED_CONDITION,
    STORAGE_OPERATION_FAILED_CONDITION,
};
use sluice_artifact::storage::{LocationError, PublishError, StorageError};
use sluice_runtime::errors::chain;

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// With growing delays.
    Backoff,
    /// When the dependency may be there.
    Dependency,
    /// Only a change of the spec, or a request, helps.
    Never,
}

/// Why a run did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) condition: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) retry: Retry,
    pub(crate) message: String,
    /// Whether the signature is to blame, beside what `condition` says.
    pub(crate) unverified: bool,
}

impl Failure {
    pub(crate) fn new(
        condition: &'static str,
        reason: &'static str,
        retry: Retry,
        message: impl Into<String>,
    ) -> Self {
        Failure { condition, reason, retry, message: message.into(), unverified: false }
    }

    /// Upstream could not be fetched; it is tried again.
    pub(crate) fn fetch(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(FETCH_FAILED_CONDITION, reason, Retry::Backoff, message)
    }

    /// Upstream can never be fetched as the spec stands.
    pub(crate) fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(FETCH_FAILED_CONDITION, reason, Retry::Never, message)
    }

    pub(crate) fn gate() -> Self {
        let message = "to use spec.serviceAccountName for provider authentication please enable the \
                       ObjectLevelWorkloadIdentity feature gate in the controller";
        Self::stalled(FEATURE_GATE_DISABLED_REASON, message)
    }

    pub(crate) fn verification(message: impl Into<String>) -> Self {
        Self::new(SOURCE_VERIFIED_CONDITION, "VerificationError", Retry::Backoff, message)
    }

    pub(crate) fn storage(reason: &'static str, error: &StorageError) -> Self {
        Self::disk(reason, chain(error))
    }

    pub(crate) fn path(error: &LocationError) -> Self {
        Self::disk("InvalidPath", chain(error))
    }

    /// The storage failed.
    pub(crate) fn disk(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(STORAGE_OPERATION_FAILED_CONDITION, reason, Retry::Backoff, message)
    }

    /// Writing the artifact.
    pub(crate) fn archive(error: &(dyn std::error::Error + 'static)) -> Self {
        let message = format!("unable to archive artifact to storage: {}", chain(error));
        Self::disk("ArchiveOperationFailed", message)
    }

    pub(crate) fn publish(error: PublishError<Failure>) -> Self {
        match error {
            PublishError::Content(failure) => failure,
            PublishError::Directory(error) => Self::storage("DirectoryCreationFailed", &error),
            PublishError::Lock(error) => Self::storage("AcquireLockFailed", &error),
            PublishError::Storage(error) => Self::storage("ArchiveOperationFailed", &error),
            error => Self::disk("ArchiveOperationFailed", chain(&error)),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

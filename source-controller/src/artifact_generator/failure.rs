//! Why a generator did not come to its end.

use std::time::Duration;

use sluice_api::meta::ACCESS_DENIED_REASON;
use sluice_runtime::errors;

use crate::source::Retry;

/// Why a run failed, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: &'static str,
    pub(super) retry: Retry,
    pub(super) message: String,
}

impl Failure {
    fn new(reason: &'static str, retry: Retry, message: impl Into<String>) -> Self {
        Failure { reason, retry, message: message.into() }
    }

    /// The spec contradicts itself.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new("ValidationFailed", Retry::Never, message)
    }

    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(ACCESS_DENIED_REASON, Retry::Never, message)
    }

    /// A source is not there, not ready or not to be had; it is watched.
    pub(super) fn source(message: impl Into<String>) -> Self {
        Self::new("SourceFetchFailed", Retry::Dependency, message)
    }

    /// An artifact cannot be made of the sources as they are.
    pub(super) fn build(message: impl Into<String>) -> Self {
        Self::new("BuildFailed", Retry::Backoff, message)
    }

    /// An artifact can never be made as the spec stands.
    pub(super) fn stalled(message: impl Into<String>) -> Self {
        Self::new("BuildFailed", Retry::Never, message)
    }

    /// The object of an artifact cannot be written.
    pub(super) fn output(name: &str, error: &kube::Error) -> Self {
        let message = format!("{name} reconcile failed: {}", errors::describe(error));
        Self::new("ReconciliationFailed", Retry::Backoff, message)
    }

    /// The object of an artifact belongs to somebody else.
    pub(super) fn taken(message: impl Into<String>) -> Self {
        Self::new("ReconciliationFailed", Retry::Backoff, message)
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is passed as a function")]
    pub(super) fn scratch(error: std::io::Error) -> Self {
        Self::build(format!("failed to create tmp dir: {error}"))
    }

    pub(super) fn timeout(after: Duration) -> Self {
        Self::build(format!("not done after {}", sluice_duration::format_std(after)))
    }
}

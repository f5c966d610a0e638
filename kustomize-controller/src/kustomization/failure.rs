//! What an error means for a Kustomization: condition reason, event, and when to try again.

use std::time::Duration;

use sluice_artifact::fetch::FetchError;
use sluice_runtime::{Severity, errors};

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// After the retry interval of the object.
    Interval,
    /// After a time.
    After(Duration),
    /// After the growing delay of the work queue.
    Backoff,
    /// Not before something changes.
    Never,
}

/// Why a Kustomization is not ready.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Reason of the condition Ready.
    pub(crate) reason: &'static str,
    /// Message of the condition.
    pub(crate) message: String,
    /// The event, if any.
    pub(crate) event: Option<(Severity, String)>,
    /// When to try again.
    pub(crate) retry: Retry,
    /// Whether only a change of the spec or of the controller helps.
    pub(crate) stalled: bool,
    /// Whether the observed generation moves although the object is not ready.
    pub(crate) observed: bool,
}

impl Failure {
    /// A failure with an error event that is tried again after the retry interval: the usual one.
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let event = Some((Severity::Error, message.clone()));
        Self { reason, message, event, retry: Retry::Interval, stalled: false, observed: false }
    }

    /// One without an event that is tried again after a time.
    pub(crate) fn quiet(reason: &'static str, message: impl Into<String>, retry: Retry) -> Self {
        Self { reason, message: message.into(), event: None, retry, stalled: false, observed: false }
    }

    /// One that is not tried again.
    pub(crate) fn terminal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { retry: Retry::Never, stalled: true, ..Self::new(reason, message) }
    }

    /// An expression that does not compile.
    pub(crate) fn invalid_expression(error: &str) -> Self {
        let message = format!("Reconciliation failed terminally due to configuration error: {error}");
        Self { observed: true, ..Self::terminal(super::reason::INVALID_CEL_EXPRESSION, message) }
    }

    /// The build went wrong.
    pub(crate) fn build(message: impl Into<String>) -> Self {
        Self::new(super::reason::BUILD_FAILED, message)
    }

    /// The artifact could not be had. `dependency`: when to look again for one that is not there yet.
    pub(crate) fn fetch(error: &FetchError, dependency: Duration) -> Self {
        match error {
            FetchError::NotFound(_) => {
                let delay = sluice_duration::format_std(dependency);
                let message = format!("Source is not ready, artifact not found, retrying in {delay}");
                Self::quiet(super::reason::ARTIFACT_FAILED, message, Retry::After(dependency))
            }
            error => {
                let text = errors::chain(error);
                let message = match error {
                    FetchError::Transport { .. } | FetchError::Status { .. } => {
                        format!("failed to download archive: {text}")
                    }
                    _ => text,
                };
                Self::new(super::reason::ARTIFACT_FAILED, message)
            }
        }
    }
}

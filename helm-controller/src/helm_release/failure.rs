//! What an error before the release itself means: condition reason, event, and when to try again.

use std::time::Duration;

use sluice_runtime::Severity;

use super::reason;

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// After a time, somewhat varied.
    After(Duration),
    /// After exactly this time.
    AfterExactly(Duration),
    /// After the growing delay of the work queue.
    Backoff,
    /// Not before something changes.
    Never,
}

/// Why a HelmRelease is not ready.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Reason of the condition Ready; empty leaves it alone.
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
    /// A failure with an error event that is tried again with growing delays: the usual one.
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let event = Some((Severity::Error, message.clone()));
        Self { reason, message, event, retry: Retry::Backoff, stalled: false, observed: false }
    }

    /// One without an event.
    pub(crate) fn quiet(reason: &'static str, message: impl Into<String>, retry: Retry) -> Self {
        let observed = matches!(retry, Retry::After(_));
        Self { reason, message: message.into(), event: None, retry, stalled: false, observed }
    }

    /// One that is not tried again.
    pub(crate) fn terminal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { retry: Retry::Never, stalled: true, observed: true, ..Self::new(reason, message) }
    }

    /// An expression that does not compile.
    pub(crate) fn invalid_expression(error: &str) -> Self {
        let message = format!("Reconciliation failed terminally due to configuration error: {error}");
        let event = Some((Severity::Error, error.to_owned()));
        Self { event, ..Self::terminal(reason::INVALID_CEL_EXPRESSION, message) }
    }
}

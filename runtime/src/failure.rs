//! What an error means for an object: condition reason, event, and when to try again.

use std::time::Duration;

use crate::Severity;

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// As the kind usually does: after the retry interval of the object, or with growing delays.
    Usual,
    /// After a time, somewhat varied.
    After(Duration),
    /// After exactly this time.
    AfterExactly(Duration),
    /// After the growing delay of the work queue.
    Backoff,
    /// Not before something changes.
    Never,
}

/// Why an object is not ready.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Reason of the condition Ready; empty leaves the condition alone.
    pub reason: &'static str,
    /// Message of the condition.
    pub message: String,
    /// The event, if any.
    pub event: Option<(Severity, String)>,
    /// When to try again.
    pub retry: Retry,
    /// Whether only a change of the spec or of the controller helps.
    pub stalled: bool,
    /// Whether the observed generation moves although the object is not ready.
    pub observed: bool,
}

impl Failure {
    /// A failure with an error event that is tried again as usual.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let event = Some((Severity::Error, message.clone()));
        Self { reason, message, event, retry: Retry::Usual, stalled: false, observed: false }
    }

    /// One without an event.
    pub fn quiet(reason: &'static str, message: impl Into<String>, retry: Retry) -> Self {
        Self { reason, message: message.into(), event: None, retry, stalled: false, observed: false }
    }

    /// One that is not tried again.
    pub fn terminal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { retry: Retry::Never, stalled: true, ..Self::new(reason, message) }
    }

    /// The same, seen to: the observed generation moves.
    pub fn observed(self) -> Self {
        Self { observed: true, ..self }
    }

    /// The same with another event.
    pub fn with_event(self, severity: Severity, message: impl Into<String>) -> Self {
        Self { event: Some((severity, message.into())), ..self }
    }
}

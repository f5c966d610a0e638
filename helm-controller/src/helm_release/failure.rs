//! Failures of HelmReleases that are made in several places.

use sluice_runtime::{Failure, Severity};

use super::reason;

/// An expression that does not compile.
pub(crate) fn invalid_expression(error: &str) -> Failure {
    let message = format!("Reconciliation failed terminally due to configuration error: {error}");
    Failure::terminal(reason::INVALID_CEL_EXPRESSION, message).observed().with_event(Severity::Error, error)
}

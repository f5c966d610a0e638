//! Failures of Kustomizations that are made in several places.

use std::time::Duration;

use sluice_artifact::fetch::FetchError;
use sluice_runtime::{Failure, Retry, errors};

use super::reason;

/// An expression that does not compile.
pub(crate) fn invalid_expression(error: &str) -> Failure {
    let message = format!("Reconciliation failed terminally due to configuration error: {error}");
    Failure::terminal(reason::INVALID_CEL_EXPRESSION, message).observed()
}

/// The build went wrong.
pub(crate) fn build(message: impl Into<String>) -> Failure {
    Failure::new(reason::BUILD_FAILED, message)
}

/// The artifact could not be had. `dependency`: when to look again for one that is not there yet.
pub(crate) fn fetch(error: &FetchError, dependency: Duration) -> Failure {
    match error {
        FetchError::NotFound(_) => {
            let delay = sluice_duration::format_std(dependency);
            let message = format!("Source is not ready, artifact not found, retrying in {delay}");
            Failure::quiet(reason::ARTIFACT_FAILED, message, Retry::AfterExactly(dependency))
        }
        error => {
            let text = errors::chain(error);
            let message = match error {
                FetchError::Transport { .. } | FetchError::Status { .. } => {
                    format!("failed to download archive: {text}")
                }
                _ => text,
            };
            Failure::new(reason::ARTIFACT_FAILED, message)
        }
    }
}

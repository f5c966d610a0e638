//! Failures of Kustomizations that are made in several places.

use std::time::Duration;

use sluice_artifact::fetch::FetchError;
use sluice_runtime::{Failure, Retry, errors};

use super::reason;

/// A server of artifacts that has not answered for so long is an event.
const NEWS: Duration = Duration::from_mins(3);

/// An expression that does not compile.
pub(crate) fn invalid_expression(error: &str) -> Failure {
    let message = format!("Reconciliation failed terminally due to configuration error: {error}");
    Failure::terminal(reason::INVALID_CEL_EXPRESSION, message).observed()
}

/// The build went wrong.
pub(crate) fn build(message: impl Into<String>) -> Failure {
    Failure::new(reason::BUILD_FAILED, message)
}

/// The artifact could not be had. `dependency`: when to look again for one that is not there yet. `silent`: for how long
/// its server has not answered.
pub(crate) fn fetch(error: &FetchError, dependency: Duration, silent: Duration) -> Failure {
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
            let failure = Failure::new(reason::ARTIFACT_FAILED, message);
            if !error.is_transient() {
                return failure;
            }
            // The queue tries again, with no worker held. A server that is started anew is no news.
            Failure { retry: Retry::Backoff, event: failure.event.filter(|_| silent > NEWS), ..failure }
        }
    }
}

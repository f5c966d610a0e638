//! What errors of a chart mean for the object.

use sluice_api::meta::{BUILD_FAILED_CONDITION, FETCH_FAILED_CONDITION};
use sluice_runtime::errors::chain;

use crate::chart_repository::{AccessError, RepositoryError};
use crate::source::{Failure, Retry};

/// There can be no such chart as long as neither spec nor source changes.
pub(super) fn reference(problem: &str) -> Failure {
    Failure::stalled("InvalidChartReference", format!("invalid chart reference: {problem}"))
}

pub(super) fn pull(problem: &str) -> Failure {
    Failure::fetch("ChartPullError", format!("chart pull error: {problem}"))
}

pub(super) fn unknown(problem: &str) -> Failure {
    Failure::fetch("Unknown", format!("unknown build error: {problem}"))
}

pub(super) fn metadata(problem: &str) -> Failure {
    let message = format!("chart metadata patch error: {problem}");
    Failure::new(BUILD_FAILED_CONDITION, "MetadataPatchError", Retry::Never, message)
}

pub(super) fn values(problem: &str) -> Failure {
    let message = format!("values files merge error: {problem}");
    Failure::new(BUILD_FAILED_CONDITION, "ValuesFilesError", Retry::Never, message)
}

pub(super) fn dependency(problem: &str) -> Failure {
    let message = format!("dependency build error: {problem}");
    Failure::new(BUILD_FAILED_CONDITION, "DependencyBuildError", Retry::Backoff, message)
}

pub(super) fn package(problem: &str) -> Failure {
    let message = format!("chart package error: {problem}");
    Failure::new(BUILD_FAILED_CONDITION, "ChartPackageError", Retry::Backoff, message)
}

/// Both the chart and its signature are said to have failed.
pub(super) fn verification(problem: &str) -> Failure {
    let message = format!("chart verification error: {problem}");
    Failure {
        unverified: true,
        ..Failure::new(BUILD_FAILED_CONDITION, "ChartVerificationError", Retry::Backoff, message)
    }
}

/// An unusable repository.
pub(super) fn access(error: &AccessError) -> Failure {
    match error {
        AccessError::Url(problem) => {
            Failure::new(FETCH_FAILED_CONDITION, "URLInvalid", Retry::Never, problem.clone())
        }
        AccessError::Authentication(problem) => unknown(problem),
    }
}

/// Looking a chart up in an index.
pub(super) fn lookup(name: &str, version: &str, error: &RepositoryError) -> Failure {
    match error {
        RepositoryError::Lookup(error) => {
            let problem = chain(error);
            reference(&format!(
                "failed to get chart version for remote reference '{name}' ({version}): {problem}"
            ))
        }
        error => pull(&chain(error)),
    }
}

//! Jobs, by two rules.

use crate::field::{Conditions, integer_or, string_or};
use crate::{Assessment, Error};
use serde_json::Value;

struct Counts {
    succeeded: i64,
    active: i64,
    failed: i64,
}

/// The kstatus rule: a Job that has started is current.
pub(crate) fn stock(object: &Value) -> Result<Assessment, Error> {
    let counts = counts(object);
    if let Some(finished) = finished(object, &counts)? {
        return Ok(finished);
    }
    Ok(if started(object) {
        Assessment::current(in_progress(&counts))
    } else {
        Assessment::in_progress("JobNotStarted", "Job not started")
    })
}

/// Flux's rule: a Job is current when it is complete, or suspended.
pub(crate) fn run_to_completion(object: &Value) -> Result<Assessment, Error> {
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return Ok(Assessment::current("Job is suspended"));
    }
    let counts = counts(object);
    if let Some(finished) = finished(object, &counts)? {
        return Ok(finished);
    }
    Ok(if started(object) {
        Assessment::in_progress("JobInProgress", in_progress(&counts))
    } else {
        Assessment::in_progress("JobNotStarted", "Job not started")
    })
}

fn counts(object: &Value) -> Counts {
    let count = |name| integer_or(object, &["status", name], 0);
    Counts { succeeded: count("succeeded"), active: count("active"), failed: count("failed") }
}

fn started(object: &Value) -> bool {
    !string_or(object, &["status", "startTime"], "").is_empty()
}

fn in_progress(counts: &Counts) -> String {
    let Counts { succeeded, active, failed } = counts;
    format!("Job in progress. success:{succeeded}, active: {active}, failed: {failed}")
}

fn finished(object: &Value, counts: &Counts) -> Result<Option<Assessment>, Error> {
    let parallelism = integer_or(object, &["spec", "parallelism"], 1);
    let completions = integer_or(object, &["spec", "completions"], parallelism);
    for condition in Conditions::read(object)?.iter() {
        match (condition.type_, condition.status) {
            ("Complete", "True") => {
                let message = format!("Job Completed. succeeded: {}/{completions}", counts.succeeded);
                return Ok(Some(Assessment::current(message)));
            }
            ("Failed", "True") => {
                let message = format!("Job Failed. failed: {}/{completions}", counts.failed);
                return Ok(Some(Assessment::failed("JobFailed", message)));
            }
            _ => {}
        }
    }
    Ok(None)
}

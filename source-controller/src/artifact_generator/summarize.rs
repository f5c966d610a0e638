//! What a run means: status, event, next run. Pure.

use sluice_api::meta::{
    ConditionStatus, PROGRESSING_REASON, PROGRESSING_WITH_RETRY_REASON, READY_CONDITION,
    RECONCILING_CONDITION, Reconcilable as _, STALLED_CONDITION, SUCCEEDED_REASON,
};
use sluice_api::source::{ArtifactGenerator, ArtifactGeneratorStatus};
use sluice_runtime::{Severity, conditions};

use super::Outcome;
use super::failure::Failure;
use crate::source::{Event, Retry};

/// What is to be written and done after a run.
pub(super) struct Report {
    pub(super) status: ArtifactGeneratorStatus,
    pub(super) event: Option<Event>,
    /// When to try again; none if there is nothing to.
    pub(super) retry: Option<Retry>,
}

fn generation(object: &ArtifactGenerator) -> i64 {
    object.metadata.generation.unwrap_or_default()
}

/// The status, with the request noted.
fn begin(object: &ArtifactGenerator) -> ArtifactGeneratorStatus {
    let mut status = object.status.clone().unwrap_or_default();
    if let Some(at) = object.requested_at() {
        at.clone_into(&mut status.last_handled_reconcile_at);
    }
    status
}

fn is_requested(object: &ArtifactGenerator) -> bool {
    let handled = object.status.as_ref().map(|status| status.last_handled_reconcile_at.as_str());
    object.requested_at().is_some_and(|at| Some(at) != handled)
}

/// Whether the last run came to a good end for the spec as it is.
pub(super) fn is_settled(object: &ArtifactGenerator, status: &ArtifactGeneratorStatus) -> bool {
    conditions::find(&status.conditions, READY_CONDITION).is_some_and(|ready| {
        ready.status == ConditionStatus::True && ready.observed_generation == Some(generation(object))
    })
}

/// Artifacts are about to be made.
pub(super) fn working(object: &ArtifactGenerator) -> ArtifactGeneratorStatus {
    let mut status = object.status.clone().unwrap_or_default();
    let generation = generation(object);
    if conditions::find(&status.conditions, READY_CONDITION).is_none() {
        let unknown = ConditionStatus::Unknown;
        let message = "reconciliation in progress";
        conditions::set(
            &mut status.conditions,
            generation,
            READY_CONDITION,
            unknown,
            PROGRESSING_REASON,
            message,
        );
    }
    let message = "reconciliation in progress";
    conditions::mark_reconciling(&mut status.conditions, generation, PROGRESSING_REASON, message);
    status
}

/// The object is to be left alone.
pub(super) fn disabled(object: &ArtifactGenerator) -> (ArtifactGeneratorStatus, Option<Event>) {
    let mut status = begin(object);
    let (reason, message) = ("ReconciliationDisabled", "Reconciliation is disabled");
    for type_ in [RECONCILING_CONDITION, STALLED_CONDITION] {
        conditions::remove(&mut status.conditions, type_);
    }
    if conditions::find(&status.conditions, READY_CONDITION).is_none() {
        let true_ = ConditionStatus::True;
        conditions::set(&mut status.conditions, generation(object), READY_CONDITION, true_, reason, message);
    }
    (status, Some(Event::new(Severity::Trace, reason, message)))
}

/// Sums up a run.
pub(super) fn summarize(object: &ArtifactGenerator, attempt: Result<Outcome, Failure>) -> Report {
    let mut status = begin(object);
    let generation = generation(object);
    for type_ in [RECONCILING_CONDITION, STALLED_CONDITION] {
        conditions::remove(&mut status.conditions, type_);
    }
    let failure = match attempt {
        Ok(Outcome::Kept) => {
            let count = status.inventory.len();
            let message = format!("No drift detected, {count} artifact(s) up to date");
            let event = is_requested(object).then(|| Event::new(Severity::Trace, READY_CONDITION, message));
            return Report { status, event, retry: None };
        }
        Ok(Outcome::Made { inventory, digest, changed }) => {
            let message = format!("reconciliation succeeded, generated {} artifact(s)", inventory.len());
            status.inventory = inventory;
            status.observed_sources_digest = digest;
            let true_ = ConditionStatus::True;
            conditions::set(
                &mut status.conditions,
                generation,
                READY_CONDITION,
                true_,
                SUCCEEDED_REASON,
                message.clone(),
            );
            let event = if changed.is_empty() {
                Event::new(Severity::Trace, READY_CONDITION, message)
            } else {
                let message = format!("external artifacts reconciled: {}", changed.join(", "));
                Event::new(Severity::Info, READY_CONDITION, message)
            };
            return Report { status, event: Some(event), retry: None };
        }
        Err(failure) => failure,
    };
    let Failure { reason, retry, message } = failure;
    let known = object.conditions().iter().find(|condition| condition.type_ == READY_CONDITION);
    let told = known.is_some_and(|ready| ready.reason == reason && ready.message == message);
    let false_ = ConditionStatus::False;
    conditions::set(&mut status.conditions, generation, READY_CONDITION, false_, reason, &message);
    if retry == Retry::Never {
        conditions::mark_stalled(&mut status.conditions, generation, reason, &message);
    } else {
        let progress = PROGRESSING_WITH_RETRY_REASON;
        conditions::mark_reconciling(&mut status.conditions, generation, progress, &message);
    }
    // A source that is waited for is told of once.
    let event = (retry != Retry::Dependency || !told).then(|| Event::new(Severity::Error, reason, message));
    Report { status, event, retry: Some(retry) }
}

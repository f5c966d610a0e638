//! What a run means: status, events, next run. Pure.

use std::collections::BTreeMap;

use sluice_api::meta::{
    ARTIFACT_IN_STORAGE_CONDITION, ARTIFACT_OUTDATED_CONDITION, Artifact, Condition, ConditionStatus,
    EVENT_DIGEST_KEY, EVENT_REVISION_KEY, PROGRESSING_WITH_RETRY_REASON, READY_CONDITION,
    RECONCILING_CONDITION, Reconcilable as _, SOURCE_VERIFIED_CONDITION, STALLED_CONDITION, SUCCEEDED_REASON,
};
use sluice_api::source::{GitRepository, GitRepositoryStatus};
use sluice_runtime::{Severity, conditions};

use super::Outcome;
use super::act::Stored;
use super::draft::{Draft, FAILURES, SUMMARY};
use super::failure::{Failure, Retry};
use super::verify::Verified;

/// The longest subject of a commit in an event, in characters.
const MAX_SUBJECT: usize = 50;

/// When the object is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextRun {
    Interval,
    Dependency,
    Backoff,
    /// Only when somebody changes it or asks for it.
    Change,
}

/// An event to emit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) severity: Severity,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) metadata: BTreeMap<String, String>,
}

/// What is to be written and done after a run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) status: GitRepositoryStatus,
    pub(super) events: Vec<Event>,
    pub(super) next: NextRun,
}

/// Sums up a run.
pub(super) fn summarize(object: &GitRepository, draft: Draft, attempt: Result<Outcome, Failure>) -> Report {
    let requested = draft.is_requested();
    let Draft { mut status, before, generation, .. } = draft;
    record_request(object, &mut status);
    let (mut events, next) = match attempt {
        Ok(outcome) => {
            let event = succeed(object, &mut status, &before, generation, requested, outcome);
            (event, NextRun::Interval)
        }
        Err(failure) => fail(&mut status, generation, failure),
    };
    if generation != before.observed_generation {
        events.extend(ignored_fields(object));
    }
    ready(&mut status, generation);
    keep_times(&mut status, &before);
    Report { status, events, next }
}

/// Fields of old versions that are accepted and do nothing.
fn ignored_fields(object: &GitRepository) -> Option<Event> {
    let fields = object.ignored_fields();
    (!fields.is_empty()).then(|| Event {
        severity: Severity::Warning,
        reason: "DeprecatedField",
        message: format!("{} is deprecated and has no effect", fields.join(", ")),
        metadata: BTreeMap::new(),
    })
}

/// A condition that changed in the middle of a run and is at its end what it was before has not changed.
fn keep_times(status: &mut GitRepositoryStatus, before: &GitRepositoryStatus) {
    for condition in &mut status.conditions {
        let same = |old: &&Condition| {
            old.status == condition.status
                && old.reason == condition.reason
                && old.message == condition.message
        };
        if let Some(old) = conditions::find(&before.conditions, &condition.type_).filter(same) {
            condition.last_transition_time = old.last_transition_time.clone();
        }
    }
}

/// The status of an object that is to be left alone.
pub(super) fn suspended(object: &GitRepository) -> GitRepositoryStatus {
    let mut status = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or_default();
    record_request(object, &mut status);
    if !status.conditions.is_empty() {
        status.observed_generation = generation;
        conditions::remove(&mut status.conditions, STALLED_CONDITION);
        retrying(&mut status, generation);
        ready(&mut status, generation);
    }
    status
}

fn record_request(object: &GitRepository, status: &mut GitRepositoryStatus) {
    if let Some(at) = object.requested_at() {
        at.clone_into(&mut status.last_handled_reconcile_at);
    }
}

fn ready(status: &mut GitRepositoryStatus, generation: i64) {
    let conditions = &mut status.conditions;
    conditions::summarize(conditions, generation, SUMMARY);
    let unverified = conditions::find(conditions, SOURCE_VERIFIED_CONDITION)
        .filter(|condition| condition.status == ConditionStatus::False)
        .map(|condition| (condition.reason.clone(), condition.message.clone()));
    if let Some((reason, message)) = unverified {
        conditions::set(conditions, generation, READY_CONDITION, ConditionStatus::False, &reason, message);
    }
}

fn succeed(
    object: &GitRepository,
    status: &mut GitRepositoryStatus,
    before: &GitRepositoryStatus,
    generation: i64,
    requested: bool,
    outcome: Outcome,
) -> Vec<Event> {
    let recovered = conditions::is(&before.conditions, SOURCE_VERIFIED_CONDITION, ConditionStatus::False)
        || FAILURES.iter().any(|type_| conditions::is_true(&before.conditions, type_));
    for type_ in FAILURES {
        conditions::remove(&mut status.conditions, type_);
    }
    for type_ in [ARTIFACT_OUTDATED_CONDITION, RECONCILING_CONDITION, STALLED_CONDITION] {
        conditions::remove(&mut status.conditions, type_);
    }
    status.observed_generation = generation;
    let events = match outcome {
        Outcome::Kept(revision) => kept(status, recovered, requested, &revision),
        Outcome::Stored(stored) => store(object, status, before, generation, recovered, *stored),
    };
    if object.spec.verify.is_none() {
        status.source_verification_mode = None;
        conditions::remove(&mut status.conditions, SOURCE_VERIFIED_CONDITION);
    }
    if let Some(artifact) = &status.artifact {
        let message = format!("stored artifact for revision '{}'", artifact.revision);
        let (type_, true_) = (ARTIFACT_IN_STORAGE_CONDITION, ConditionStatus::True);
        conditions::set(&mut status.conditions, generation, type_, true_, SUCCEEDED_REASON, message);
    }
    events
}

/// Nothing was done. A reconcile that nobody asked for and that changes nothing is not worth an event.
fn kept(status: &GitRepositoryStatus, recovered: bool, requested: bool, revision: &str) -> Vec<Event> {
    let metadata = status.artifact.as_ref().map(metadata).unwrap_or_default();
    if recovered {
        let message = format!("stored artifact for commit '{revision}'");
        return vec![Event { severity: Severity::Info, reason: SUCCEEDED_REASON, message, metadata }];
    }
    if requested {
        let message = format!("no changes since last reconciliation: observed revision '{revision}'");
        return vec![Event { severity: Severity::Trace, reason: "GitOperationSucceeded", message, metadata }];
    }
    Vec::new()
}

fn store(
    object: &GitRepository,
    status: &mut GitRepositoryStatus,
    before: &GitRepositoryStatus,
    generation: i64,
    recovered: bool,
    stored: Stored,
) -> Vec<Event> {
    let spec = &object.spec;
    status.observed_ignore.clone_from(&spec.ignore);
    status.observed_include.clone_from(&spec.include);
    status.observed_recurse_submodules = spec.recurse_submodules;
    status.observed_sparse_checkout.clone_from(&spec.sparse_checkout);
    status.included_artifacts = stored.includes.into_iter().map(|included| included.artifact).collect();
    if let Some(Verified { mode, message }) = stored.verified {
        status.source_verification_mode = Some(mode.as_str().to_owned());
        let (type_, true_) = (SOURCE_VERIFIED_CONDITION, ConditionStatus::True);
        conditions::set(&mut status.conditions, generation, type_, true_, SUCCEEDED_REASON, message);
    }
    let message = format!("stored artifact for commit '{}'", shorten(&stored.subject));
    let metadata = metadata(&stored.artifact);
    let same = before.artifact.as_ref().is_some_and(|old| old.digest == stored.artifact.digest);
    let reason = match (same, recovered) {
        (false, _) => Some("NewArtifact"),
        (true, true) => Some(SUCCEEDED_REASON),
        (true, false) => None,
    };
    let mut events: Vec<Event> = reason
        .map(|reason| Event { severity: Severity::Info, reason, message, metadata: metadata.clone() })
        .into_iter()
        .collect();
    if stored.lfs_pointers > 0 && !same {
        let message = format!(
            "the artifact holds {} pointers of Git LFS in place of files: LFS objects are not fetched",
            stored.lfs_pointers
        );
        events.push(Event { severity: Severity::Trace, reason: "GitLFSPointers", message, metadata });
    }
    status.artifact = Some(stored.artifact);
    events
}

fn shorten(subject: &str) -> String {
    match subject.char_indices().nth(MAX_SUBJECT) {
        Some((end, _)) => format!("{}...", &subject[..end]),
        None => subject.to_owned(),
    }
}

fn metadata(artifact: &Artifact) -> BTreeMap<String, String> {
    let key = |name| format!("source.toolkit.fluxcd.io/{name}");
    BTreeMap::from([
        (key(EVENT_REVISION_KEY), artifact.revision.clone()),
        (key(EVENT_DIGEST_KEY), artifact.digest.clone()),
    ])
}

fn fail(status: &mut GitRepositoryStatus, generation: i64, failure: Failure) -> (Vec<Event>, NextRun) {
    let Failure { condition, reason, retry, message } = failure;
    let value =
        if condition == SOURCE_VERIFIED_CONDITION { ConditionStatus::False } else { ConditionStatus::True };
    conditions::set(&mut status.conditions, generation, condition, value, reason, &message);
    let (severity, next) = match retry {
        Retry::Never => {
            conditions::mark_stalled(&mut status.conditions, generation, reason, &message);
            status.observed_generation = generation;
            (Severity::Error, NextRun::Change)
        }
        Retry::Dependency => {
            retrying(status, generation);
            (Severity::Trace, NextRun::Dependency)
        }
        Retry::Backoff => {
            retrying(status, generation);
            (Severity::Error, NextRun::Backoff)
        }
    };
    (vec![Event { severity, reason, message, metadata: BTreeMap::new() }], next)
}

/// Work goes on later.
fn retrying(status: &mut GitRepositoryStatus, generation: i64) {
    let found =
        conditions::find(&status.conditions, RECONCILING_CONDITION).map(|found| found.message.clone());
    if let Some(message) = found {
        let reason = PROGRESSING_WITH_RETRY_REASON;
        conditions::mark_reconciling(&mut status.conditions, generation, reason, message);
    }
}

//! What a run means: status, events, next run. Pure.

use std::collections::BTreeMap;

use sluice_api::meta::{
    ARTIFACT_IN_STORAGE_CONDITION, ARTIFACT_OUTDATED_CONDITION, Artifact, Condition, ConditionStatus,
    EVENT_DIGEST_KEY, EVENT_REVISION_KEY, PROGRESSING_WITH_RETRY_REASON, READY_CONDITION,
    RECONCILING_CONDITION, SOURCE_VERIFIED_CONDITION, STALLED_CONDITION, SUCCEEDED_REASON, Status,
};
use sluice_runtime::{Severity, conditions};

use super::draft::Draft;
use super::failure::{Failure, Retry};
use super::{FAILURES, Fetch, SUMMARY, Source};

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
pub(crate) struct Event {
    pub(crate) severity: Severity,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Event {
    /// An event without metadata.
    pub(crate) fn new(severity: Severity, reason: &'static str, message: impl Into<String>) -> Self {
        Event { severity, reason, message: message.into(), metadata: BTreeMap::new() }
    }

    /// With revision and digest of an artifact.
    pub(crate) fn of(mut self, artifact: &Artifact) -> Self {
        let key = |name| format!("source.toolkit.fluxcd.io/{name}");
        self.metadata.insert(key(EVENT_REVISION_KEY), artifact.revision.clone());
        self.metadata.insert(key(EVENT_DIGEST_KEY), artifact.digest.clone());
        self
    }
}

/// What is to be written and done after a run.
pub(super) struct Report<K: Source> {
    pub(super) status: K::Status,
    pub(super) events: Vec<Event>,
    pub(super) next: NextRun,
}

/// A run that came to its end, for the kind to say what it means.
pub(crate) struct Success<'a, K: Source> {
    pub(crate) status: &'a mut K::Status,
    pub(crate) before: &'a K::Status,
    pub(crate) generation: i64,
    /// Whether the run before failed.
    pub(crate) recovered: bool,
    /// Whether somebody asked for this run.
    pub(crate) requested: bool,
    pub(crate) events: Vec<Event>,
}

impl<K: Source> Success<'_, K> {
    /// There is a new artifact. `reason` is told when its content is new or the run before failed. Returns whether
    /// the content is new.
    pub(crate) fn store(
        &mut self,
        artifact: Artifact,
        url: String,
        reason: &'static str,
        message: String,
    ) -> bool {
        let same = K::artifact(self.before).is_some_and(|old| old.digest == artifact.digest);
        let reason = match (same, self.recovered) {
            (false, _) => Some(reason),
            // Charts have one reason for both.
            (true, true) if reason == "NewArtifact" => Some(SUCCEEDED_REASON),
            (true, true) => Some(reason),
            (true, false) => None,
        };
        self.events.extend(reason.map(|reason| Event::new(Severity::Info, reason, message).of(&artifact)));
        *K::artifact_mut(self.status) = Some(artifact);
        if let Some(known) = K::url_mut(self.status) {
            *known = url;
        }
        !same
    }

    /// The artifact is what it should be. A reconcile that nobody asked for and that changes nothing is worth no event.
    pub(crate) fn keep(&mut self, recovered: &str) {
        let Some(artifact) = K::artifact(self.status) else { return };
        if self.recovered {
            self.events.push(Event::new(Severity::Info, SUCCEEDED_REASON, recovered).of(artifact));
        } else if self.requested {
            let message = format!("artifact up-to-date with remote revision: '{}'", artifact.revision);
            self.events.push(Event::new(Severity::Trace, "ArtifactUpToDate", message).of(artifact));
        }
    }

    /// Says of the artifact that it is in the storage.
    pub(crate) fn in_storage(&mut self, reason: &str, message: impl FnOnce(&Artifact) -> String) {
        let Some(message) = K::artifact(self.status).map(message) else { return };
        self.set(ARTIFACT_IN_STORAGE_CONDITION, reason, message);
    }

    /// Sets a condition to `True`.
    pub(crate) fn set(&mut self, type_: &str, reason: &str, message: String) {
        let true_ = ConditionStatus::True;
        conditions::set(self.status.conditions_mut(), self.generation, type_, true_, reason, message);
    }

    /// Sets or removes what is said of the signature.
    pub(crate) fn verified(&mut self, wanted: bool, message: Option<String>) {
        if let Some(message) = message {
            self.set(SOURCE_VERIFIED_CONDITION, SUCCEEDED_REASON, message);
        } else if !wanted {
            conditions::remove(self.status.conditions_mut(), SOURCE_VERIFIED_CONDITION);
        }
    }
}

/// Sums up a run.
pub(super) fn summarize<F: Fetch>(
    object: &F::Object,
    draft: Draft<F::Object>,
    attempt: Result<F::Outcome, Failure>,
) -> Report<F::Object> {
    let requested = draft.is_requested();
    let Draft { mut status, before, generation, .. } = draft;
    record_request(object, &mut status);
    let (mut events, next) = match attempt {
        Ok(outcome) => {
            let recovered = recovered(&before);
            for type_ in FAILURES {
                conditions::remove(status.conditions_mut(), type_);
            }
            for type_ in [ARTIFACT_OUTDATED_CONDITION, RECONCILING_CONDITION, STALLED_CONDITION] {
                conditions::remove(status.conditions_mut(), type_);
            }
            status.set_observed_generation(generation);
            let mut success = Success {
                status: &mut status,
                before: &before,
                generation,
                recovered,
                requested,
                events: Vec::new(),
            };
            F::succeed(object, &mut success, outcome);
            (success.events, NextRun::Interval)
        }
        Err(failure) => fail(&mut status, generation, failure),
    };
    if generation != before.observed_generation() {
        events.extend(ignored_fields(object));
    }
    ready(&mut status, generation);
    keep_times(&mut status, &before);
    Report { status, events, next }
}

/// Whether the run before failed.
fn recovered(before: &impl Status) -> bool {
    conditions::is(before.conditions(), SOURCE_VERIFIED_CONDITION, ConditionStatus::False)
        || FAILURES.iter().any(|type_| conditions::is_true(before.conditions(), type_))
}

/// Fields of old versions that are accepted and do nothing.
fn ignored_fields<K: Source>(object: &K) -> Option<Event> {
    let fields = object.ignored_fields();
    let message = format!("{} is deprecated and has no effect", fields.join(", "));
    (!fields.is_empty()).then(|| Event::new(Severity::Warning, "DeprecatedField", message))
}

/// A condition that changed in the middle of a run and is at its end what it was before has not changed.
fn keep_times<S: Status>(status: &mut S, before: &S) {
    for condition in status.conditions_mut() {
        let same = |old: &&Condition| {
            old.status == condition.status
                && old.reason == condition.reason
                && old.message == condition.message
        };
        if let Some(old) = conditions::find(before.conditions(), &condition.type_).filter(same) {
            condition.last_transition_time = old.last_transition_time.clone();
        }
    }
}

/// The status of an object that is to be left alone.
pub(super) fn suspended<K: Source>(object: &K) -> K::Status {
    let mut status = object.status().cloned().unwrap_or_default();
    let generation = object.meta().generation.unwrap_or_default();
    record_request(object, &mut status);
    if !status.conditions().is_empty() {
        status.set_observed_generation(generation);
        conditions::remove(status.conditions_mut(), STALLED_CONDITION);
        retrying(&mut status, generation);
        ready(&mut status, generation);
    }
    status
}

fn record_request<K: Source>(object: &K, status: &mut K::Status) {
    if let Some(at) = object.requested_at() {
        status.set_last_handled_reconcile_at(at.to_owned());
    }
}

fn ready(status: &mut impl Status, generation: i64) {
    let conditions = status.conditions_mut();
    conditions::summarize(conditions, generation, SUMMARY);
    let unverified = conditions::find(conditions, SOURCE_VERIFIED_CONDITION)
        .filter(|condition| condition.status == ConditionStatus::False)
        .map(|condition| (condition.reason.clone(), condition.message.clone()));
    if let Some((reason, message)) = unverified {
        conditions::set(conditions, generation, READY_CONDITION, ConditionStatus::False, &reason, message);
    }
}

fn fail(status: &mut impl Status, generation: i64, failure: Failure) -> (Vec<Event>, NextRun) {
    let Failure { condition, reason, retry, message, unverified } = failure;
    let value =
        if condition == SOURCE_VERIFIED_CONDITION { ConditionStatus::False } else { ConditionStatus::True };
    conditions::set(status.conditions_mut(), generation, condition, value, reason, &message);
    if unverified {
        let (type_, false_) = (SOURCE_VERIFIED_CONDITION, ConditionStatus::False);
        conditions::set(status.conditions_mut(), generation, type_, false_, "VerificationError", &message);
    }
    let (severity, next) = match retry {
        Retry::Never => {
            conditions::mark_stalled(status.conditions_mut(), generation, reason, &message);
            status.set_observed_generation(generation);
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
    (vec![Event::new(severity, reason, message)], next)
}

/// Work goes on later.
fn retrying(status: &mut impl Status, generation: i64) {
    let found =
        conditions::find(status.conditions(), RECONCILING_CONDITION).map(|found| found.message.clone());
    if let Some(message) = found {
        let reason = PROGRESSING_WITH_RETRY_REASON;
        conditions::mark_reconciling(status.conditions_mut(), generation, reason, message);
    }
}

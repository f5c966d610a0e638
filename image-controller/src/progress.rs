//! What the three kinds share: the conditions of a run from its beginning to its end, and the events that tell of it.

use std::time::Duration;

use sluice_api::meta::{
    Condition, ConditionStatus, PROGRESSING_REASON, PROGRESSING_WITH_RETRY_REASON, READY_CONDITION,
    RECONCILING_CONDITION, Reconcilable, STALLED_CONDITION, SUCCEEDED_REASON, Status,
};
use sluice_runtime::{Severity, conditions};

/// The conditions that this controller writes.
pub(crate) const OWNED: [&str; 3] = [READY_CONDITION, RECONCILING_CONDITION, STALLED_CONDITION];

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// With growing delays.
    Backoff,
    /// After this time.
    After(Duration),
    /// Only a change of the spec, or a request, helps.
    Never,
}

/// Why a run did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) retry: Retry,
}

impl Failure {
    /// A failure that is tried again with growing delays.
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry: Retry::Backoff }
    }

    /// A failure that only a change helps.
    pub(crate) fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry: Retry::Never }
    }

    /// The same failure, tried again after this time.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { retry: Retry::After(delay), ..self }
    }
}

/// An event to emit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) severity: Severity,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// A status in the making.
pub(crate) struct Progress<S> {
    pub(crate) status: S,
    before: Vec<Condition>,
    generation: i64,
    requested: Option<String>,
    news: bool,
}

impl<S: Status> Progress<S> {
    /// Marks an object as being worked on.
    pub(crate) fn begin<K: Reconcilable<Status = S>>(object: &K) -> Self {
        let status = object.status().cloned().unwrap_or_default();
        let generation = object.meta().generation.unwrap_or_default();
        let requested = object.requested_at().filter(|at| *at != status.last_handled_reconcile_at());
        let requested = requested.map(str::to_owned);
        let before = status.conditions().to_vec();
        let old = status.observed_generation();
        let news = generation != old || requested.is_some();
        let mut progress = Progress { status, before, generation, requested, news };
        if generation == old {
            progress.doing("reconciliation in progress");
        } else {
            progress.doing(format!("processing object: new generation {old} -> {generation}"));
        }
        progress
    }

    /// Whether people should see at once that work has begun.
    pub(crate) fn is_news(&self) -> bool {
        self.news
    }

    /// Whether the run before this one succeeded.
    pub(crate) fn was_ready(&self) -> bool {
        let ready = conditions::find(&self.before, READY_CONDITION);
        ready.is_some_and(|ready| ready.status == ConditionStatus::True)
    }

    /// Whether somebody asked for this run.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.is_some()
    }

    /// What is being done.
    pub(crate) fn doing(&mut self, message: impl Into<String>) {
        let message = message.into();
        let generation = self.generation;
        let conditions = self.status.conditions_mut();
        let known = conditions::find(conditions, READY_CONDITION).map(|ready| ready.status);
        if matches!(known, None | Some(ConditionStatus::Unknown)) {
            let unknown = ConditionStatus::Unknown;
            conditions::set(conditions, generation, READY_CONDITION, unknown, PROGRESSING_REASON, &message);
        }
        conditions::mark_reconciling(conditions, generation, PROGRESSING_REASON, message);
    }

    /// What was there is there no more: the object is not known to be ready.
    pub(crate) fn lost(&mut self, message: &str) {
        let (generation, unknown) = (self.generation, ConditionStatus::Unknown);
        let conditions = self.status.conditions_mut();
        conditions::set(conditions, generation, READY_CONDITION, unknown, PROGRESSING_REASON, message);
    }

    /// The end of a run that succeeded. Events tell what is new; `detail` is for those who asked.
    pub(crate) fn succeed(mut self, message: &str, detail: &str) -> (S, Option<Event>) {
        let generation = self.generation;
        let conditions = self.status.conditions_mut();
        conditions::remove(conditions, RECONCILING_CONDITION);
        conditions::remove(conditions, STALLED_CONDITION);
        let yes = ConditionStatus::True;
        conditions::set(conditions, generation, READY_CONDITION, yes, SUCCEEDED_REASON, message);
        self.status.set_observed_generation(generation);
        let known = conditions::find(&self.before, READY_CONDITION)
            .is_some_and(|ready| ready.status == yes && ready.message == message);
        let event = |severity, message: &str| Event {
            severity,
            reason: SUCCEEDED_REASON.to_owned(),
            message: message.to_owned(),
        };
        let event = match (known, self.requested.is_some()) {
            (false, _) => Some(event(Severity::Info, message)),
            (true, true) => Some(event(Severity::Trace, detail)),
            (true, false) => None,
        };
        (self.end(), event)
    }

    /// The end of a run that failed.
    pub(crate) fn fail(mut self, failure: &Failure) -> (S, Option<Event>) {
        let generation = self.generation;
        let Failure { reason, message, retry } = failure;
        let conditions = self.status.conditions_mut();
        let no = ConditionStatus::False;
        conditions::set(conditions, generation, READY_CONDITION, no, reason, message);
        if *retry == Retry::Never {
            conditions::mark_stalled(conditions, generation, reason, message);
            self.status.set_observed_generation(generation);
        } else {
            let doing =
                conditions::find(conditions, RECONCILING_CONDITION).map(|doing| doing.message.clone());
            let doing = doing.unwrap_or_else(|| message.clone());
            conditions::mark_reconciling(conditions, generation, PROGRESSING_WITH_RETRY_REASON, doing);
        }
        let event =
            Event { severity: Severity::Error, reason: (*reason).to_owned(), message: message.clone() };
        (self.end(), Some(event))
    }

    fn end(mut self) -> S {
        if let Some(at) = self.requested {
            self.status.set_last_handled_reconcile_at(at);
        }
        // What changed in the middle of a run and is at its end what it was before has not changed.
        for condition in self.status.conditions_mut() {
            let same = |old: &&Condition| {
                old.status == condition.status
                    && old.reason == condition.reason
                    && old.message == condition.message
            };
            if let Some(old) = conditions::find(&self.before, &condition.type_).filter(same) {
                condition.last_transition_time = old.last_transition_time.clone();
            }
        }
        self.status
    }
}

/// The status of an object that is to be left alone, with the request noted.
pub(crate) fn suspended<K: Reconcilable>(object: &K) -> K::Status {
    let mut status = object.status().cloned().unwrap_or_default();
    if let Some(at) = object.requested_at() {
        status.set_last_handled_reconcile_at(at.to_owned());
    }
    status
}

#[cfg(test)]
mod tests {
    use sluice_api::image::ImageRepository;

    use super::*;

    fn object(status: &serde_json::Value) -> ImageRepository {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImageRepository",
            "metadata": {"name": "app", "namespace": "ns", "generation": 2,
                         "annotations": {"reconcile.fluxcd.io/requestedAt": "now"}},
            "spec": {"image": "ghcr.io/org/app", "interval": "1m"}, "status": status,
        }))
        .unwrap()
    }

    fn shown(conditions: &[Condition]) -> Vec<String> {
        let show = |c: &Condition| format!("{} {} {}: {}", c.type_, c.status.as_str(), c.reason, c.message);
        conditions.iter().map(show).collect()
    }

    #[test]
    fn a_run_leaves_the_conditions_of_its_end() {
        let progress = Progress::begin(&object(&serde_json::json!({"observedGeneration": 1})));
        assert!(progress.is_news() && progress.is_requested());
        assert_eq!(
            shown(&progress.status.conditions),
            [
                "Reconciling True Progressing: processing object: new generation 1 -> 2",
                "Ready Unknown Progressing: processing object: new generation 1 -> 2"
            ]
        );
        let (status, event) = progress.succeed("done", "nothing new");
        assert_eq!(shown(&status.conditions), ["Ready True Succeeded: done"]);
        assert_eq!((status.observed_generation, status.last_handled_reconcile_at.as_str()), (2, "now"));
        assert_eq!(event.unwrap().severity, Severity::Info);
        let again = object(&serde_json::to_value(&status).unwrap());
        assert_eq!(Progress::begin(&again).succeed("done", "nothing new").1, None);
    }

    #[test]
    fn a_stalled_object_waits_and_a_failed_one_does_not() {
        let begin = || Progress::begin(&object(&serde_json::json!({"observedGeneration": 1})));
        let (status, _) = begin().fail(&Failure::stalled("ImageURLInvalid", "bad"));
        assert_eq!(
            shown(&status.conditions),
            ["Stalled True ImageURLInvalid: bad", "Ready False ImageURLInvalid: bad"]
        );
        assert_eq!(status.observed_generation, 2);
        let (status, event) = begin().fail(&Failure::new("ReadOperationFailed", "away"));
        assert_eq!(status.observed_generation, 1);
        assert_eq!(status.conditions[0].reason, "ProgressingWithRetry");
        assert_eq!(event.unwrap().message, "away");
    }
}

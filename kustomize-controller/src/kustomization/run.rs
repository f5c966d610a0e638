//! One run over a Kustomization: its status on the way, and how it is told to others.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_api::kustomize::{Kustomization, KustomizationStatus};
use sluice_api::meta::{
    Artifact, ConditionStatus, PROGRESSING_REASON, PROGRESSING_WITH_RETRY_REASON, READY_CONDITION,
    RECONCILING_CONDITION, Reconcilable,
};
use sluice_runtime::{Failure, Severity, conditions};

use super::{Context, history, reason};

/// How long a phase may take before it is worth a write of the status.
const WORTH_TELLING: Duration = Duration::from_millis(700);

/// A run: the object as last written, and the status as it shall be.
pub(crate) struct Run {
    pub(crate) object: Arc<Kustomization>,
    pub(crate) status: KustomizationStatus,
    pub(crate) started: Instant,
    pub(crate) generation: i64,
    /// The request to reconcile that this run is for. One that comes while it runs is for the next.
    pub(crate) requested: Option<String>,
    /// The revision that is worked on; empty before it is known.
    pub(crate) revision: String,
    /// The revision of the upstream's upstream.
    pub(crate) origin_revision: String,
    /// Digest of the built manifests; empty before the build.
    pub(crate) checksum: String,
    /// Whether objects were changed although the revision was applied before.
    pub(crate) corrects_drift: bool,
}

impl Run {
    pub(crate) fn new(object: Arc<Kustomization>) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        let requested = object.requested_at().map(ToOwned::to_owned);
        Self {
            object,
            status,
            requested,
            started: Instant::now(),
            generation,
            revision: String::new(),
            origin_revision: String::new(),
            checksum: String::new(),
            corrects_drift: false,
        }
    }

    /// Notes which artifact is worked on.
    pub(crate) fn work_on(&mut self, artifact: &Artifact) {
        self.revision.clone_from(&artifact.revision);
        crate::sources::origin_revision(artifact).clone_into(&mut self.origin_revision);
    }

    /// Marks the object as being worked on. Nothing is written.
    pub(crate) fn mark_progress(&mut self, doing: &str) {
        let message = self.progress_message(doing);
        let ready = "Reconciliation in progress";
        self.set(READY_CONDITION, ConditionStatus::Unknown, PROGRESSING_REASON, ready);
        conditions::mark_reconciling(
            &mut self.status.conditions,
            self.generation,
            PROGRESSING_REASON,
            message,
        );
    }

    /// `<doing> for revision <revision> with a timeout of <timeout>`.
    pub(crate) fn progress_message(&self, doing: &str) -> String {
        format!("{doing} for revision {} with a timeout of {}", self.revision, self.object.spec.timeout())
    }

    /// Sets a condition.
    pub(crate) fn set(
        &mut self,
        type_: &str,
        status: ConditionStatus,
        reason: &str,
        message: impl Into<String>,
    ) {
        conditions::set(&mut self.status.conditions, self.generation, type_, status, reason, message);
    }

    /// Does some work of a phase. The status is written when it takes so long that people may wonder.
    pub(crate) async fn phase<T>(
        &mut self,
        context: &Context,
        doing: &str,
        work: impl Future<Output = T>,
    ) -> T {
        self.mark_progress(doing);
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(WORTH_TELLING) => {}
        }
        self.write(context).await;
        work.await
    }

    /// Writes the status as it is.
    pub(crate) async fn write(&mut self, context: &Context) {
        context.status.save(&mut self.object, &mut self.status).await;
    }

    /// Tells an event. Its reason is that of the condition Ready.
    pub(crate) fn event(
        &self,
        context: &Context,
        severity: Severity,
        message: impl Into<String>,
        update: bool,
    ) {
        let ready = conditions::find(&self.status.conditions, READY_CONDITION);
        let severity_name = if severity == Severity::Error { "error" } else { "info" };
        let reason = ready.map_or(severity_name, |ready| ready.reason.as_str());
        let metadata = event_metadata(&self.revision, &self.origin_revision, update);
        context.manager.recorder.emit(&*self.object, severity, reason, message, metadata);
    }

    /// Notes the outcome in the history.
    pub(crate) fn note(&mut self, outcome: &str) {
        if self.checksum.is_empty() {
            return;
        }
        let mut metadata = BTreeMap::from([("revision".to_owned(), self.revision.clone())]);
        if !self.origin_revision.is_empty() {
            metadata.insert("originRevision".to_owned(), self.origin_revision.clone());
        }
        history::note(&mut self.status.history, &self.checksum, outcome, self.started.elapsed(), metadata);
    }

    /// The last word of a run that went well: conditions, revisions, history. Returns what the event says.
    pub(crate) fn succeed(&mut self) {
        self.status.last_applied_revision.clone_from(&self.revision);
        self.status.last_applied_origin_revision.clone_from(&self.origin_revision);
        self.status.last_attempted_revision.clone_from(&self.revision);
        let message = format!("Applied revision: {}", self.revision);
        self.set(READY_CONDITION, ConditionStatus::True, reason::RECONCILIATION_SUCCEEDED, message);
        conditions::remove(&mut self.status.conditions, RECONCILING_CONDITION);
        conditions::remove(&mut self.status.conditions, sluice_api::meta::STALLED_CONDITION);
        self.status.observed_generation = self.generation;
        self.note(reason::RECONCILIATION_SUCCEEDED);
    }

    /// The last word of a run that failed.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.set(READY_CONDITION, ConditionStatus::False, failure.reason, failure.message.clone());
        if failure.stalled {
            let message = failure.message.clone();
            conditions::mark_stalled(&mut self.status.conditions, self.generation, failure.reason, message);
        }
        if failure.observed {
            self.status.observed_generation = self.generation;
        }
        let reconciling = conditions::find(&self.status.conditions, RECONCILING_CONDITION);
        if let Some(message) = reconciling.map(|condition| condition.message.clone()) {
            self.set(RECONCILING_CONDITION, ConditionStatus::True, PROGRESSING_WITH_RETRY_REASON, message);
        }
        if matches!(
            failure.reason,
            reason::RECONCILIATION_FAILED | reason::PRUNE_FAILED | reason::HEALTH_CHECK_FAILED
        ) {
            self.note(failure.reason);
        }
    }

    /// Whether somebody asked for this run.
    pub(crate) fn is_requested(&self) -> bool {
        let token = self.requested.as_ref();
        token.is_some_and(|token| *token != self.status.last_handled_reconcile_at)
    }

    /// Notes that the request to reconcile was seen to.
    pub(crate) fn handle_request(&mut self) {
        if let Some(token) = &self.requested {
            token.clone_into(&mut self.status.last_handled_reconcile_at);
        }
    }
}

/// Metadata of an event.
pub(crate) fn event_metadata(
    revision: &str,
    origin_revision: &str,
    update: bool,
) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            metadata.insert(format!("{}/{name}", sluice_api::kustomize::GROUP), value.to_owned());
        }
    };
    add("revision", revision);
    add("originRevision", origin_revision);
    if update {
        add("commit_status", "update");
    }
    metadata
}

/// A span of time as messages show it, to the millisecond.
pub(crate) fn shown(duration: Duration) -> String {
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    sluice_duration::format(milliseconds.saturating_mul(sluice_duration::MILLISECOND))
}

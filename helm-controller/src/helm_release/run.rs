//! One run over a HelmRelease: its status on the way, and how it is told to others.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_api::helm::{HelmRelease, HelmReleaseStatus, Snapshot};
use sluice_api::meta::{
    ConditionStatus, PROGRESSING_REASON, PROGRESSING_WITH_RETRY_REASON, READY_CONDITION,
    RECONCILING_CONDITION, Reconcilable, STALLED_CONDITION,
};
use sluice_runtime::{Failure, Severity, conditions};

use super::{Context, reason};

/// A run: the object as last written, and the status as it shall be.
pub(crate) struct Run {
    pub(crate) object: Arc<HelmRelease>,
    pub(crate) status: HelmReleaseStatus,
    pub(crate) generation: i64,
    /// The request to reconcile that this run is for. One that comes while it runs is for the next.
    pub(crate) requested: Option<String>,
}

impl Run {
    pub(crate) fn new(object: Arc<HelmRelease>) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        let requested = object.requested_at().map(ToOwned::to_owned);
        Self { object, status, generation, requested }
    }

    /// Marks the object as being worked on. Nothing is written.
    pub(crate) fn mark_progress(&mut self, message: impl Into<String>) {
        conditions::mark_reconciling(
            &mut self.status.conditions,
            self.generation,
            PROGRESSING_REASON,
            message,
        );
    }

    /// Marks the object as to be worked on again.
    pub(crate) fn mark_retry(&mut self, message: impl Into<String>) {
        conditions::mark_reconciling(
            &mut self.status.conditions,
            self.generation,
            PROGRESSING_WITH_RETRY_REASON,
            message,
        );
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

    /// Removes a condition.
    pub(crate) fn remove(&mut self, type_: &str) {
        conditions::remove(&mut self.status.conditions, type_);
    }

    /// A failure of an earlier run that is past: nobody knows yet what comes.
    pub(crate) fn clear_failure(&mut self, reasons: &[&str]) {
        let ready = conditions::find(&self.status.conditions, READY_CONDITION);
        if ready.is_some_and(|ready| {
            ready.status == ConditionStatus::False && reasons.contains(&ready.reason.as_str())
        }) {
            self.set(
                READY_CONDITION,
                ConditionStatus::Unknown,
                PROGRESSING_REASON,
                "reconciliation in progress",
            );
        }
    }

    /// Writes the status as it is.
    pub(crate) async fn write(&mut self, context: &Context) {
        context.status.save(&mut self.object, &mut self.status).await;
    }

    /// Tells an event about a revision of the release.
    pub(crate) fn event(
        &self,
        context: &Context,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
        metadata: BTreeMap<String, String>,
    ) {
        context.manager.recorder.emit(&*self.object, severity, reason, message, metadata);
    }

    /// Makes Ready the most important of the conditions that tell of the release.
    pub(crate) fn summarize(&mut self) {
        let test = self.object.spec.test.clone().unwrap_or_default();
        if !test.enable {
            self.remove(reason::TEST_SUCCESS);
        }
        let mut order = vec![reason::REMEDIATED];
        if test.enable && !test.ignore_failures {
            order.push(reason::TEST_SUCCESS);
        }
        order.push(reason::RELEASED);
        let found: Vec<_> =
            order.iter().filter_map(|type_| conditions::find(&self.status.conditions, type_)).collect();
        let latest = found.iter().map(|condition| condition.observed_generation).max();
        let Some(top) =
            found.into_iter().find(|condition| Some(condition.observed_generation) == latest).cloned()
        else {
            return;
        };
        // A remedy is no success.
        let status = if top.type_ == reason::REMEDIATED { ConditionStatus::False } else { top.status };
        if status == ConditionStatus::True {
            self.remove(STALLED_CONDITION);
        }
        self.set(READY_CONDITION, status, &top.reason, top.message);
    }

    /// The last word of a run that failed before it came to the release.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        if !failure.reason.is_empty() {
            self.set(READY_CONDITION, ConditionStatus::False, failure.reason, failure.message.clone());
        }
        if failure.stalled {
            let message = failure.message.clone();
            conditions::mark_stalled(&mut self.status.conditions, self.generation, failure.reason, message);
        }
        if failure.observed {
            self.status.observed_generation = self.generation;
        }
        let reconciling = conditions::find(&self.status.conditions, RECONCILING_CONDITION);
        if let Some(message) = reconciling.map(|condition| condition.message.clone()) {
            self.mark_retry(message);
        }
    }

    /// Notes that the request to reconcile was seen to.
    pub(crate) fn handle_request(&mut self) {
        if let Some(token) = &self.requested {
            token.clone_into(&mut self.status.last_handled_reconcile_at);
        }
    }
}

/// Metadata of an event about a revision of a release. `token` is the digest of values.
pub(crate) fn event_metadata(
    chart_version: &str,
    token: &str,
    app_version: &str,
    oci_digest: &str,
) -> BTreeMap<String, String> {
    let pairs = [
        ("revision", chart_version),
        ("token", token),
        ("app-version", app_version),
        ("oci-digest", oci_digest),
    ];
    pairs
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (format!("{}/{name}", sluice_api::helm::GROUP), value.to_owned()))
        .collect()
}

/// Metadata of an event about a snapshot.
pub(crate) fn snapshot_metadata(snapshot: &Snapshot) -> BTreeMap<String, String> {
    event_metadata(
        &snapshot.chart_version,
        &snapshot.config_digest,
        &snapshot.app_version,
        &snapshot.oci_digest,
    )
}

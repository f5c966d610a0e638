//! Beyond Flux: what to do about objects that somebody changed, by annotation.

use std::collections::BTreeMap;

use sluice_api::kustomize::Kustomization;
use sluice_api::meta::ConditionStatus;
use sluice_runtime::apply::{Applier, IgnoreRules, Plan, lines};
use sluice_runtime::identity::Identity;
use sluice_runtime::{Failure, Severity, conditions};

use super::memory::Memory;
use super::run::{Run, event_metadata};
use super::{Context, reason};

/// The annotation: `correct` (as Flux does), `warn` or `ignore`.
const ANNOTATION: &str = "sluice.dev/drift";
/// The condition that tells of drift that is not corrected.
pub(crate) const CONDITION: &str = "Drifted";
const DRIFT_DETECTED: &str = "DriftDetected";

/// What to do about drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Correct,
    Warn,
    Ignore,
}

impl Mode {
    /// The mode of an object. What is not understood is corrected, as without the annotation.
    pub(crate) fn of(object: &Kustomization) -> Self {
        let annotations = object.metadata.annotations.as_ref();
        match annotations.and_then(|annotations| annotations.get(ANNOTATION)).map(String::as_str) {
            Some("warn") => Self::Warn,
            Some("ignore") => Self::Ignore,
            _ => Self::Correct,
        }
    }
}

impl Run {
    /// Whether this revision was applied by this spec before, so that any difference is drift.
    pub(crate) fn is_settled(&self) -> bool {
        self.status.last_applied_revision == self.revision
            && self.status.observed_generation == self.generation
            && self.status.inventory.is_some()
    }
}

/// Tells of drift, and leaves it.
pub(crate) async fn tell(
    context: &Context,
    run: &mut Run,
    memory: &mut Memory,
    identity: &Identity,
    plan: Plan,
    ignore: IgnoreRules,
) -> Result<(), Failure> {
    let options = super::apply::options(context, run, ignore, true);
    let applier = Applier { cluster: &identity.cluster, client: &identity.client, options: &options };
    let work = applier.apply_all(plan.into_lasting(), &mut memory.ledger);
    let outcome = run.phase(context, "Detecting drift", work).await;
    if let Some(error) = outcome.error {
        return Err(Failure::new(reason::RECONCILIATION_FAILED, error.to_string()));
    }
    let drifted = lines(&outcome.changes, |change| change.action.is_change());
    if drifted.is_empty() {
        conditions::remove(&mut run.status.conditions, CONDITION);
        return Ok(());
    }
    let known =
        conditions::find(&run.status.conditions, CONDITION).map(|condition| condition.message.clone());
    if known.as_deref() != Some(&drifted) {
        let metadata: BTreeMap<_, _> = event_metadata(&run.revision, &run.origin_revision, false);
        let message = format!("Drift detected, left as it is:\n{drifted}");
        context.manager.recorder.emit(&*run.object, Severity::Error, DRIFT_DETECTED, message, metadata);
    }
    run.set(CONDITION, ConditionStatus::True, DRIFT_DETECTED, drifted);
    Ok(())
}

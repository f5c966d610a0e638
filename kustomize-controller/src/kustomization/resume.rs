//! Going on with a run that waited for health: it ends, goes on waiting, or is given up for something newer.

use std::sync::Arc;

use sluice_api::meta::{ConditionStatus, READY_CONDITION, Reconcilable};
use sluice_runtime::{Failure, ObjectKey, Severity};

use super::memory::{Memory, Wait};
use super::run::Run;
use super::{Context, health, lock, reason, source};

pub(super) enum Resumed {
    /// The wait is over, with this result.
    Ended(Result<(), Failure>),
    /// Nothing has changed; it goes on.
    Waiting(Wait),
    /// Something has changed: all starts anew.
    GivenUp,
}

/// Goes on with a run that waited for health.
pub(super) async fn resume(
    context: &Arc<Context>,
    run: &mut Run,
    memory: &mut Memory,
    wait: Wait,
) -> Resumed {
    let key = ObjectKey::of(&*run.object);
    let source = source::find(context, &run.object).await;
    let artifact = source.as_ref().ok().and_then(Option::as_ref);
    let trigger = if wait.inputs.generation != run.generation
        || wait.requested_at.as_deref() != run.object.requested_at()
    {
        Some(format!("Kustomization/{key}"))
    } else if let Some(config) = lock(&context.triggers).get(&key) {
        Some(config.clone())
    } else if artifact.is_some_and(|artifact| artifact.digest != wait.inputs.artifact_digest) {
        let reference = &run.object.spec.source_ref;
        Some(format!("{}/{}/{}", reference.kind, reference.namespace_or(&key.namespace), reference.name))
    } else {
        None
    };
    if let Some(artifact) = artifact {
        run.work_on(artifact);
    }
    run.revision.clone_from(&wait.inputs.revision);
    run.checksum.clone_from(&wait.checksum);
    run.started = wait.run_started;
    let Some(trigger) = trigger else {
        return match wait.result() {
            None => Resumed::Waiting(wait),
            Some(Ok(())) if wait.more.is_some() => {
                memory.passed = wait.more.map(|step| (wait.inputs, step));
                Resumed::GivenUp
            }
            Some(result) => {
                let result = health::conclude(context, run, &wait, result);
                if result.is_err() {
                    memory.applied = None;
                }
                Resumed::Ended(result)
            }
        };
    };
    memory.applied = None;
    let message = format!("New reconciliation triggered by {trigger}");
    tracing::info!(trigger, "New reconciliation triggered, canceling health checks");
    run.set(READY_CONDITION, ConditionStatus::False, reason::HEALTH_CHECK_CANCELED, message);
    let event = format!("Health checks canceled due to new reconciliation triggered by {trigger}");
    run.event(context, Severity::Info, event, false);
    let object = run.object.clone();
    let status = std::mem::take(&mut run.status);
    *run = Run::new(object);
    run.status = status;
    Resumed::GivenUp
}

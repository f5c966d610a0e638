//! Waiting for health in a task of its own, so that no worker is held.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sluice_api::meta::{ConditionStatus, HEALTHY_CONDITION, PROGRESSING_REASON, SUCCEEDED_REASON};
use sluice_runtime::apply::health::{Expectation, Patience};
use sluice_runtime::apply::{Action, Change, Ledger, Object, ObjectId, health};
use sluice_runtime::expressions::HealthRules;
use sluice_runtime::identity::Identity;
use sluice_runtime::{Failure, ObjectKey, Severity, conditions};

use super::memory::{Inputs, Wait};
use super::run::{Run, shown};
use super::{Context, reason};

/// What is to be waited for; nothing when neither `wait` nor `healthChecks` is set.
pub(crate) fn expectations(
    run: &Run,
    changes: &[Change],
    objects: &[VanishingJob],
    ledger: &Ledger,
    rules: &HealthRules,
) -> Vec<Expectation> {
    let spec = &run.object.spec;
    let listed: Vec<(ObjectId, String)> = if spec.wait {
        let applied = changes.iter().filter(|change| change.action != Action::Skipped);
        applied.map(|change| (change.tracked.id.clone(), change.tracked.api_version())).collect()
    } else {
        let named = spec.health_checks.iter().map(|reference| {
            let api_version =
                if reference.api_version.is_empty() { "apps/v1" } else { &reference.api_version };
            let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
            let id = ObjectId {
                namespace: reference.namespace.clone(),
                name: reference.name.clone(),
                group: group.to_owned(),
                kind: reference.kind.clone(),
            };
            (id, api_version.to_owned())
        });
        named.collect()
    };
    expect(run, listed, changes, objects, ledger, rules)
}

/// What a step of a plan is waited for.
pub(crate) fn of_changes(
    run: &Run,
    changes: &[Change],
    objects: &[VanishingJob],
    ledger: &Ledger,
    rules: &HealthRules,
) -> Vec<Expectation> {
    let applied = changes.iter().filter(|change| change.action != Action::Skipped);
    let listed = applied.map(|change| (change.tracked.id.clone(), change.tracked.api_version())).collect();
    expect(run, listed, changes, objects, ledger, rules)
}

fn expect(
    run: &Run,
    listed: Vec<(ObjectId, String)>,
    changes: &[Change],
    objects: &[VanishingJob],
    ledger: &Ledger,
    rules: &HealthRules,
) -> Vec<Expectation> {
    let own = &run.object.metadata;
    let applied = |id: &ObjectId| changes.iter().any(|change| change.tracked.id == *id);
    let is_self = |id: &ObjectId| {
        id.kind == "Kustomization"
            && own.name.as_ref() == Some(&id.name)
            && own.namespace.as_ref() == Some(&id.namespace)
    };
    let others = listed.into_iter().filter(|(id, _)| !is_self(id));
    others
        .map(|(id, api_version)| Expectation {
            written: ledger.written(&id),
            managed: applied(&id),
            may_vanish: objects.iter().any(|job| job.0 == id),
            judge: rules.judge(&id),
            api_version,
            id,
        })
        .collect()
}

/// A Job that goes away by itself when it is done.
pub(crate) struct VanishingJob(ObjectId);

/// The Jobs among the objects that go away by themselves.
pub(crate) fn vanishing_jobs<'o>(objects: impl Iterator<Item = &'o Object>) -> Vec<VanishingJob> {
    let vanishes = |object: &&'o Object| {
        object.kind() == "Job"
            && object.group() == "batch"
            && object.fields().get("spec").is_some_and(|spec| spec.get("ttlSecondsAfterFinished").is_some())
    };
    objects.filter(vanishes).map(|object| VanishingJob(object.id())).collect()
}

/// Starts to wait. The object is woken when the wait is over.
pub(crate) async fn start(
    context: &Arc<Context>,
    run: &mut Run,
    identity: &Identity,
    expectations: Vec<Expectation>,
    inputs: Inputs,
    drifted: bool,
    more: Option<usize>,
) -> Wait {
    let was_healthy = is_healthy(run);
    let message = run.progress_message("Running health checks");
    run.mark_progress("Running health checks");
    run.set(HEALTHY_CONDITION, ConditionStatus::Unknown, PROGRESSING_REASON, message);
    run.write(context).await;

    let (token, cancel) = Wait::token();
    let result = Arc::new(Mutex::new(None));
    let wait = Wait {
        inputs,
        requested_at: run.requested.clone(),
        checksum: run.checksum.clone(),
        run_started: run.started,
        started: Instant::now(),
        drifted,
        was_healthy,
        result: result.clone(),
        more,
        _cancel: cancel,
    };
    let patience =
        Patience { timeout: run.object.spec.timeout().to_std(), fail_fast: context.settings.fail_fast };
    let (context, identity, key) = (context.clone(), identity.clone(), ObjectKey::of(&*run.object));
    tokio::spawn(async move {
        let stop = context.manager.stop.clone();
        let work = health::wait(&identity.cluster, &identity.client, expectations, patience);
        tokio::select! {
            ended = work => {
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
                context.waker.wake(&key);
            }
            () = token.cancelled() => {}
            () = stop.cancelled() => {}
        }
    });
    wait
}

/// Draws the conclusion of a wait that ended.
pub(crate) fn conclude(
    context: &Context,
    run: &mut Run,
    wait: &Wait,
    result: Result<(), String>,
) -> Result<(), Failure> {
    let took = shown(wait.started.elapsed());
    match result {
        Ok(()) => {
            passed(context, run, &took, wait.drifted, wait.was_healthy);
            Ok(())
        }
        Err(error) => {
            run.set(HEALTHY_CONDITION, ConditionStatus::False, reason::HEALTH_CHECK_FAILED, error.clone());
            Err(Failure::new(
                reason::HEALTH_CHECK_FAILED,
                format!("health check failed after {took}: {error}"),
            ))
        }
    }
}

/// Notes that everything is healthy, with an event where that is news.
pub(crate) fn passed(context: &Context, run: &mut Run, took: &str, drifted: bool, was_healthy: bool) {
    let new_revision = run.status.last_applied_revision != run.revision;
    let message = format!("Health check passed in {took}");
    if !was_healthy || new_revision && drifted {
        run.event(context, Severity::Info, message.clone(), false);
    }
    run.set(HEALTHY_CONDITION, ConditionStatus::True, SUCCEEDED_REASON, message);
}

/// Whether the last health check passed.
pub(crate) fn is_healthy(run: &Run) -> bool {
    conditions::is_true(&run.status.conditions, HEALTHY_CONDITION)
}

//! The release itself: one action after the other until records and cluster are as wanted, or nothing more can be done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sluice_api::helm::{DriftDetectionMode, HelmReleaseSpec};
use sluice_api::meta::{ConditionStatus, PROGRESSING_REASON, READY_CONDITION, RECONCILING_CONDITION};
use sluice_helm::Values;
use sluice_releases::Redaction;
use sluice_runtime::identity::Identity;
use sluice_runtime::{Failure, ObjectKey, Severity, conditions};

use super::plan::{self, Circumstances, Plan, Remedy, Sort, State, Wanted};
use super::records::Place;
use super::run::Run;
use super::{Context, act, digest, drift, history, reason, source};
use crate::action::{Session, Storage};

/// What a release is to be made of, and where.
pub(crate) struct Request {
    pub(crate) chart: source::Wanted,
    pub(crate) values: Values,
    pub(crate) config_digest: String,
    /// The digest of the chart in its registry; empty where it comes from elsewhere.
    pub(crate) oci_digest: String,
    pub(crate) post_renderers_digest: String,
    pub(crate) common_metadata_digest: String,
    pub(crate) identity: Identity,
    pub(crate) storage: Storage,
    /// Whether somebody asked for an action whatever the state.
    pub(crate) forced: bool,
    pub(crate) redaction: Redaction,
    /// The name of the release, short enough.
    pub(crate) name: String,
}

impl Request {
    /// Chart and version, as `name@version`.
    pub(crate) fn versioned_chart(&self) -> String {
        format!("{}@{}", self.chart.label.name, self.chart.label.version)
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All is as wanted.
    Done,
    /// Nothing more can be done now; the next look comes after the usual time.
    Settled,
    /// To be tried again after this time.
    RetryAfter(Duration),
    /// To be gone on with soon.
    Again,
    /// To be gone on with at once.
    AtOnce,
    /// Only a change helps.
    Stalled(String),
    /// To be tried again, with growing delays.
    Failed(String),
}

/// Does one action after the other, at most one of each sort. The error: the chart is needed and cannot be had.
pub(crate) async fn settle(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
) -> Result<Ending, Failure> {
    let stage = act::Stage { context, request, session };
    // As it was written last, so that an action which waits keeps no older one.
    let mut object = run.object.clone();
    let mut ran: Vec<Sort> = Vec::new();
    let mut forced = request.forced;
    loop {
        if session.is_stopped() {
            return Ok(Ending::AtOnce);
        }
        let (state, drifted) = match Box::pin(observe(context, run, request, session)).await {
            Ok(found) => found,
            Err(error) => {
                run.set(READY_CONDITION, ConditionStatus::False, reason::STATE_ERROR, error.clone());
                return Ok(Ending::Failed(error));
            }
        };
        let around = Circumstances {
            forced: std::mem::take(&mut forced),
            retry_by_default: context.settings.retry_by_default,
            correct_drift: drift_mode(&object.spec) == DriftDetectionMode::Enabled,
        };
        tracing::debug!(?state, "state of the release");
        let mut next = plan::next(&object.spec, &run.status, &state, around);
        if let Plan::RollBack(snapshot) = &next {
            // Truncated first, as what is older than the target has no use any more.
            let stored = Box::pin(session.storage.get(&snapshot.name, snapshot.version)).await.ok().flatten();
            let intact = stored.is_some_and(|stored| {
                digest::is_of_release(&snapshot.digest, &stored, &snapshot.oci_digest) == Ok(true)
            });
            if !intact {
                next = Plan::Upgrade { forget: false };
            }
        }
        if next.needs_chart() {
            let loading = Box::pin(request.chart.load(context));
            let loaded = context.manager.stop.run_until_cancelled(loading).await;
            if loaded.transpose()?.is_none() {
                return Ok(Ending::AtOnce);
            }
        }
        if next == Plan::Adopt {
            if let Err(error) = Box::pin(act::adopt(stage, run)).await {
                return Ok(Ending::Failed(error));
            }
            continue;
        }
        let Some((sort, name)) = next.action() else {
            return Ok(without_action(context, run, request, &state, next, drifted.as_ref()));
        };
        if ran.contains(&sort) {
            return Ok(blocked(context, run, &object.spec));
        }
        if matches!(state, State::Failed(_)) && sort == Sort::Remediate {
            truncate(context, run, &object.spec);
        }
        Box::pin(announce(context, run, &object.spec, &next, sort, name)).await;
        if run.object.metadata.generation == object.metadata.generation {
            object = run.object.clone();
        }
        ran.push(sort);
        if let Some(drifted) = drifted.as_ref().filter(|_| sort == Sort::Drift) {
            drift::tell(context, run, request, drifted);
            Box::pin(drift::correct(context, run, request, session, drifted)).await;
        } else if let Err(error) = act::perform(stage, run, &next).await {
            if session.is_stopped() {
                return Ok(Ending::AtOnce);
            }
            Box::pin(run.write(context)).await;
            if let Some(interval) =
                plan::retry_interval(&object.spec, &run.status, context.settings.retry_by_default)
            {
                return Ok(retry(run, interval));
            }
            if conditions::is_true(&run.status.conditions, READY_CONDITION) {
                run.set(READY_CONDITION, ConditionStatus::False, reason::RECONCILE_ERROR, error.clone());
            }
            return Ok(Ending::Failed(error));
        }
        if session.is_stopped() {
            return Ok(Ending::AtOnce);
        }
        if sort == Sort::Remediate {
            return Ok(after_remedy(context, run, &object.spec));
        }
        // Otherwise what comes next is told at once: another action, or how the run ended.
        if sort != Sort::Release || drift_mode(&object.spec) != DriftDetectionMode::Disabled {
            Box::pin(run.write(context)).await;
        }
    }
}

async fn observe(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
) -> Result<(State, Option<drift::Drift>), String> {
    let mode = drift_mode(&run.object.spec);
    let place = place(run, request, session);
    let newest = run.status.history.first();
    let compares = mode != DriftDetectionMode::Disabled;
    let key = ObjectKey::of(&*run.object);
    // What this run has just written need not be asked for.
    let written =
        session.stored().and_then(|written| context.records.known(&key, place, &written, newest, compares));
    let stored = if written.is_some() {
        written
    } else {
        let found = context.records.last(&key, place, newest, compares).await;
        let (stored, revisions) = found.map_err(|error| error.to_string())?;
        session.note_seen(&request.name, revisions);
        stored
    };
    let preserves = run.object.spec.upgrade.as_ref().is_some_and(|upgrade| upgrade.preserve_values);
    let config_digest = match (newest, stored.as_deref()) {
        // Beyond Flux, which upgrades without end: what is recorded is more than what is wanted.
        (Some(newest), Some(record)) if preserves && has_all(&record.release.config, &request.values) => {
            &newest.config_digest
        }
        _ => &request.config_digest,
    };
    let wanted = Wanted {
        chart_name: &request.chart.label.name,
        chart_version: &request.chart.label.version,
        config_digest,
        post_renderers_digest: &request.post_renderers_digest,
        common_metadata_digest: &request.common_metadata_digest,
    };
    let state = plan::observe(&run.object, &run.status, stored.as_deref(), wanted);
    if state != State::InSync || !compares {
        return Ok((state, None));
    }
    let Some(record) = stored else { return Ok((state, None)) };
    let drift = drift::detect(context, run, request, session, &record.release).await?;
    Ok(if drift.is_any() { (State::Drifted, Some(drift)) } else { (State::InSync, None) })
}

/// Where the release of an object is recorded.
pub(crate) fn place<'a>(run: &'a Run, request: &'a Request, session: &'a Session<'_>) -> Place<'a> {
    Place {
        cluster: &request.identity.cluster,
        storage: session.storage,
        name: (&run.status.storage_namespace, &request.name),
    }
}

/// Whether an upgrade that keeps the values of a release would give it none that it does not have.
fn has_all(recorded: &Values, wanted: &Values) -> bool {
    wanted.iter().all(|(key, value)| match (recorded.get(key), value) {
        (None | Some(Value::Null), Value::Null) => true,
        (Some(Value::Object(recorded)), Value::Object(wanted)) => has_all(recorded, wanted),
        (Some(Value::Number(recorded)), Value::Number(wanted)) => recorded.as_f64() == wanted.as_f64(),
        (Some(recorded), wanted) => recorded == wanted,
        (None, _) => false,
    })
}

pub(crate) fn drift_mode(spec: &HelmReleaseSpec) -> DriftDetectionMode {
    spec.drift_detection.as_ref().and_then(|detection| detection.mode).unwrap_or_default()
}

/// Tells that an action begins, so that people know what takes its time.
async fn announce(
    context: &Context,
    run: &mut Run,
    spec: &HelmReleaseSpec,
    plan: &Plan,
    sort: Sort,
    name: &str,
) {
    let timeout = sluice_duration::format_std(act::timeout(spec, plan));
    let message = format!("Running '{name}' action with timeout of {timeout}");
    run.mark_progress(message.clone());
    if sort == Sort::Release || sort == Sort::Drift {
        run.set(READY_CONDITION, ConditionStatus::Unknown, PROGRESSING_REASON, message.clone());
    }
    tracing::info!("{message}");
    run.write(context).await;
}

fn truncate(context: &Context, run: &mut Run, spec: &HelmReleaseSpec) {
    let ignores_tests = Remedy::active(spec, &run.status).is_some_and(|remedy| remedy.ignores_tests);
    let retries = plan::retry_interval(spec, &run.status, context.settings.retry_by_default).is_some();
    history::truncate(&mut run.status.history, ignores_tests, retries);
}

/// What is left to do where there is nothing to do.
fn without_action(
    context: &Context,
    run: &mut Run,
    request: &Request,
    state: &State,
    plan: Plan,
    drifted: Option<&drift::Drift>,
) -> Ending {
    let spec = run.object.spec.clone();
    match plan {
        Plan::GiveUp => {
            // What the exhausted tries were of: the state tells, where the last action does not.
            let remedy = match state {
                State::Absent(_) => Remedy::of_install(&spec, &run.status),
                State::OutOfSync(_) => Remedy::of_upgrade(&spec, &run.status),
                _ => Remedy::active(&spec, &run.status).unwrap_or(Remedy::of_install(&spec, &run.status)),
            };
            run.summarize();
            Ending::Stalled(give_up(run, remedy))
        }
        Plan::NoTarget => {
            let message = "Failed to perform remediation: missing target release for rollback: cannot remediate failed release";
            let conditions = &mut run.status.conditions;
            conditions::mark_stalled(conditions, run.generation, reason::MISSING_ROLLBACK_TARGET, message);
            Ending::Stalled(message.to_owned())
        }
        Plan::Fail(error) => {
            run.set(READY_CONDITION, ConditionStatus::False, reason::STATE_ERROR, error.clone());
            Ending::Failed(error)
        }
        plan => {
            truncate(context, run, &spec);
            in_sync(run);
            if plan == Plan::ReportDrift
                && let Some(drifted) = drifted
            {
                drift::tell(context, run, request, drifted);
            } else if drift_mode(&spec) == DriftDetectionMode::Disabled {
                run.remove(reason::DRIFTED);
            } else {
                let message = "No drift detected against the cluster state";
                run.set(reason::DRIFTED, ConditionStatus::False, reason::NO_DRIFT_DETECTED, message);
            }
            if plan::retry_interval(&spec, &run.status, context.settings.retry_by_default).is_some() {
                run.status.failures = 0;
                run.status.install_failures = 0;
                run.status.upgrade_failures = 0;
            }
            run.remove(RECONCILING_CONDITION);
            run.summarize();
            Ending::Done
        }
    }
}

fn give_up(run: &mut Run, remedy: Remedy) -> String {
    let action = if remedy.of_upgrade { plan::UPGRADE } else { plan::INSTALL };
    let message = format!("Failed to {action} after {} attempt(s)", remedy.failures);
    conditions::mark_stalled(
        &mut run.status.conditions,
        run.generation,
        reason::RETRIES_EXCEEDED,
        message.clone(),
    );
    message
}

/// Puts right what conditions say of a release that is as it should be.
fn in_sync(run: &mut Run) {
    let newest = run
        .status
        .history
        .first()
        .map(|snapshot| (snapshot.full_release_name(), snapshot.versioned_chart_name()));
    let Some((release, chart)) = newest else { return };
    let conditions = &run.status.conditions;
    if let Some(remedied) = conditions::find(conditions, reason::REMEDIATED)
        && remedied.status == ConditionStatus::True
    {
        let time = remedied.last_transition_time.clone();
        run.remove(reason::REMEDIATED);
        let message = format!("Helm upgrade succeeded for release {release} with chart {chart}");
        run.set(reason::RELEASED, ConditionStatus::True, reason::UPGRADE_SUCCEEDED, message);
        let released = run.status.conditions.iter_mut().find(|condition| condition.type_ == reason::RELEASED);
        if let Some(released) = released {
            released.last_transition_time = time;
        }
        return;
    }
    let is_good = |type_: &str| conditions::is_true(conditions, type_);
    let released = conditions::find(conditions, reason::RELEASED).map(|released| released.reason.clone());
    if is_good(READY_CONDITION) && is_good(reason::RELEASED) {
        return;
    }
    let (word, reason) = match released.as_deref() {
        Some(reason::INSTALL_FAILED) => ("install", reason::INSTALL_SUCCEEDED),
        Some(reason::UPGRADE_FAILED) => ("upgrade", reason::UPGRADE_SUCCEEDED),
        // Taken over from somebody who told of it otherwise, or not at all.
        None => ("upgrade", reason::UPGRADE_SUCCEEDED),
        Some(_) => return,
    };
    let message = format!("Helm {word} succeeded for release {release} with chart {chart}");
    run.set(reason::RELEASED, ConditionStatus::True, reason, message);
}

fn retry(run: &mut Run, interval: Duration) -> Ending {
    run.mark_retry(format!("retrying after {}", sluice_duration::format_std(interval)));
    Ending::RetryAfter(interval)
}

/// An action of the same sort was done already: whatever comes next comes in another run.
fn blocked(context: &Context, run: &mut Run, spec: &HelmReleaseSpec) -> Ending {
    if let Some(interval) = plan::retry_interval(spec, &run.status, context.settings.retry_by_default) {
        return retry(run, interval);
    }
    let remedy = Remedy::active(spec, &run.status);
    if remedy.is_some_and(|remedy| !remedy.exhausted) {
        let ready = conditions::find(&run.status.conditions, READY_CONDITION);
        let message = ready.map(|ready| ready.message.clone()).unwrap_or_default();
        run.mark_retry(message);
        return Ending::Again;
    }
    run.remove(RECONCILING_CONDITION);
    Ending::Settled
}

fn after_remedy(context: &Context, run: &mut Run, spec: &HelmReleaseSpec) -> Ending {
    if let Some(interval) = plan::retry_interval(spec, &run.status, context.settings.retry_by_default) {
        return retry(run, interval);
    }
    let Some(remedy) = Remedy::active(spec, &run.status) else { return Ending::Again };
    let reinstall = remedy.of_upgrade && remedy.strategy == sluice_api::helm::RemediationStrategy::Uninstall;
    if !remedy.exhausted || reinstall {
        return Ending::Again;
    }
    Ending::Stalled(give_up(run, remedy))
}

/// Tells an event about the release that is asked for.
pub(crate) fn tell(
    context: &Context,
    run: &Run,
    severity: Severity,
    reason: &str,
    message: String,
    metadata: BTreeMap<String, String>,
) {
    run.event(context, severity, reason, message, metadata);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_that_a_release_has_already_are_no_news() {
        let recorded = json!({"a": {"b": 1, "c": [1]}, "d": "x"});
        let is_no_news = |wanted: Value| has_all(recorded.as_object().unwrap(), wanted.as_object().unwrap());
        for wanted in
            [json!({}), json!({"a": {"b": 1.0}}), json!({"d": "x", "gone": null}), json!({"a": {"c": [1]}})]
        {
            assert!(is_no_news(wanted.clone()), "{wanted}");
        }
        for wanted in
            [json!({"a": {"b": 2}}), json!({"a": null}), json!({"e": {}}), json!({"a": {"c": [1, 2]}})]
        {
            assert!(!is_no_news(wanted.clone()), "{wanted}");
        }
    }
}

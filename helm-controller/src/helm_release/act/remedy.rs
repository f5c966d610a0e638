//! Undoing what failed: rollback and uninstallation.

use sluice_api::helm::Snapshot;
use sluice_api::meta::ConditionStatus;

use super::super::plan::Plan;
use super::super::run::{Run, event_metadata, snapshot_metadata};
use super::super::{history, inventory, reason};
use super::uninstall::uninstallation;
use super::{Stage, method, timeout, waiting};
use crate::action::{self, Common, Error, Rollback};

/// Goes back to an older revision, and tells how it went.
pub(super) async fn roll_back(stage: Stage<'_>, run: &mut Run, target: &Snapshot) -> Result<(), String> {
    let Stage { context, request, session } = stage;
    let object = run.object.clone();
    let spec = &object.spec;
    let options = spec.rollback.clone().unwrap_or_default();
    if options.recreate {
        tracing::warn!("spec.rollback.recreate is deprecated and has no effect");
    }
    let rollback = Rollback {
        name: target.name.clone(),
        version: target.version,
        common: Common {
            timeout: timeout(spec, &Plan::RollBack(Box::new(target.clone()))),
            hooks: !options.disable_hooks,
            waiting: waiting(options.disable_wait, options.disable_wait_for_jobs),
        },
        method: method(options.server_side_apply),
        force: options.force,
        cleanup: options.cleanup_on_fail,
        max_history: spec.max_history(),
    };
    let outcome = action::rollback(session, &request.identity.cluster, rollback).await;
    let written = session.take_written();
    history::note_all(&mut run.status.history, context.settings.digest, &written, "rollback", true);
    if let Some(last) = written.last() {
        let definitions = inventory::of_definitions(context, run, request).await;
        run.status.inventory = Some(inventory::of(context, run, request, last, definitions).await);
    }
    let (release, chart) = (target.full_release_name(), target.versioned_chart_name());
    let metadata = event_metadata(
        &target.chart_version,
        &request.config_digest,
        &target.app_version,
        &target.oci_digest,
    );
    let text = format!("Helm rollback to previous release {release} with chart {chart}");
    match outcome {
        Ok(()) => {
            let message = format!("{text} succeeded");
            run.set(reason::REMEDIATED, ConditionStatus::True, reason::ROLLBACK_SUCCEEDED, message.clone());
            run.summarize();
            stage.praise(run, reason::ROLLBACK_SUCCEEDED, message, metadata);
            Ok(())
        }
        Err(error) if session.is_broken_off() => Err(stage.shown(&error)),
        Err(error) => {
            let message = format!("{text} failed: {}", stage.shown(&error));
            run.status.failures += 1;
            run.set(reason::REMEDIATED, ConditionStatus::False, reason::ROLLBACK_FAILED, message.clone());
            run.summarize();
            stage.blame(run, reason::ROLLBACK_FAILED, &message, metadata);
            if written.is_empty() { Err(message) } else { Ok(()) }
        }
    }
}

/// Uninstalls what failed, and tells how it went.
pub(super) async fn remove(stage: Stage<'_>, run: &mut Run) -> Result<(), String> {
    let Stage { context, request, session } = stage;
    let newest = run.status.history.first().cloned();
    let outcome = action::uninstall(session, uninstallation(&run.object.spec, &request.name)).await;
    let written = session.take_written();
    history::note_all(
        &mut run.status.history,
        context.settings.digest,
        &written,
        "uninstall-remediation",
        false,
    );
    let Some(newest) = newest else { return Err("there is no release to uninstall".to_owned()) };
    let (release, chart) = (newest.full_release_name(), newest.versioned_chart_name());
    let text = format!("Helm uninstall remediation for release {release} with chart {chart}");
    let metadata = snapshot_metadata(&newest);
    let outcome = match outcome {
        Ok(_) if written.is_empty() => Err(Error::State(
            "uninstall completed with error: release not updated in Helm storage".to_owned(),
        )),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    // Ready goes on telling why the release failed.
    match outcome {
        Ok(()) => {
            let message = format!("{text} succeeded");
            run.set(reason::REMEDIATED, ConditionStatus::True, reason::UNINSTALL_SUCCEEDED, message.clone());
            stage.praise(run, reason::UNINSTALL_SUCCEEDED, message, metadata);
            Ok(())
        }
        Err(error) if session.is_broken_off() => Err(stage.shown(&error)),
        Err(error) => {
            let message = format!("{text} failed: {}", stage.shown(&error));
            run.status.failures += 1;
            run.set(reason::REMEDIATED, ConditionStatus::False, reason::UNINSTALL_FAILED, message.clone());
            stage.blame(run, reason::UNINSTALL_FAILED, &message, metadata);
            if written.is_empty() { Err(message) } else { Ok(()) }
        }
    }
}

//! Releases that somebody else was at work on.

use sluice_api::meta::ConditionStatus;
use sluice_helm::release::Status;

use super::super::plan;
use super::super::run::{Run, event_metadata, snapshot_metadata};
use super::super::{history, inventory, reason};
use super::Stage;

/// Takes over a release as it is: from now on it is one of this object.
pub(crate) async fn adopt(stage: Stage<'_>, run: &mut Run) -> Result<(), String> {
    let Stage { context, request, session } = stage;
    let stored = session.storage.last(&request.name).await.map_err(|error| error.to_string())?;
    let Some(release) = stored else { return Err("the release is gone".to_owned()) };
    let snapshot = history::snapshot(context.settings.digest, &release, plan::INSTALL, &request.oci_digest);
    let definitions = inventory::of_definitions(context, run, request).await;
    run.status.inventory = Some(inventory::of(context, run, request, &release, definitions).await);
    let (name, chart) = (snapshot.full_release_name(), snapshot.versioned_chart_name());
    let metadata = snapshot_metadata(&snapshot);
    plan::INSTALL.clone_into(&mut run.status.last_attempted_release_action);
    run.status.history.insert(0, snapshot);
    let message = format!("Helm release {name} with chart {chart} was taken over as it is");
    run.set(reason::RELEASED, ConditionStatus::True, reason::INSTALL_SUCCEEDED, message.clone());
    run.summarize();
    stage.praise(run, reason::INSTALL_SUCCEEDED, message, metadata);
    Ok(())
}

/// Gives a release free that a process was at work on which is no more.
pub(super) async fn unlock(stage: Stage<'_>, run: &mut Run, status: Status) -> Result<(), String> {
    let Stage { context, request, session } = stage;
    let stored = session.storage.last(&request.name).await.map_err(|error| error.to_string())?;
    let Some(mut release) = stored.filter(|release| plan::is_locked(release.info.status)) else {
        return Ok(());
    };
    release.info.status = Status::Failed;
    release.info.description = format!("Release unlocked from stale '{status}' state");
    let outcome = session.update(&release).await;
    session.take_written();
    if let Some(known) = run.status.history.iter_mut().find(|known| history::targets(known, &release)) {
        let action = known.action.clone();
        *known = history::snapshot(context.settings.digest, &release, &action, &known.oci_digest.clone());
    }
    let subject = format!("{}/{}.v{}", release.namespace, release.name, release.version);
    let metadata = &release.chart.metadata;
    let text =
        format!("Helm release {subject} with chart {}@{} in {status} state", metadata.name, metadata.version);
    let facts = event_metadata(&metadata.version, &request.config_digest, &metadata.app_version, "");
    match outcome {
        Ok(()) => {
            let message = format!("Unlocked {text}");
            run.set(reason::RELEASED, ConditionStatus::False, reason::PENDING_RELEASE, message.clone());
            run.summarize();
            stage.praise(run, reason::PENDING_RELEASE, message, facts);
            Ok(())
        }
        Err(error) => {
            let message = format!("Unlock of {text} failed: {error}");
            run.set(reason::RELEASED, ConditionStatus::False, reason::PENDING_RELEASE, message.clone());
            run.summarize();
            stage.blame(run, reason::PENDING_RELEASE, &message, facts);
            Err(message)
        }
    }
}

//! Revisions: installation and upgrade.

use std::time::Instant;

use sluice_api::helm::{CrdsPolicy, DriftDetectionMode, Snapshot};
use sluice_api::meta::{ConditionStatus, ResourceRef};
use sluice_runtime::ObjectKey;

use super::super::plan::{self, Plan};
use super::super::release::{drift_mode, place};
use super::super::run::{Run, event_metadata};
use super::super::{history, inventory, reason};
use super::{Stage, method, timeout, waiting};
use crate::action::{self, Chart, Common, CrdPolicy, Crds, Error, Install, Method, Upgrade};

/// Installs, and tells how it went.
pub(super) async fn install(stage: Stage<'_>, run: &mut Run) -> Result<(), String> {
    begin(run, plan::INSTALL);
    run.status.history.clear();
    let started = Instant::now();
    let mut definitions = Vec::new();
    let outcome = try_install(stage, run, &mut definitions).await;
    took(run, started);
    Box::pin(conclude(stage, run, outcome, definitions, &INSTALLATION)).await
}

/// Upgrades, and tells how it went.
pub(super) async fn upgrade(stage: Stage<'_>, run: &mut Run) -> Result<(), String> {
    begin(run, plan::UPGRADE);
    let started = Instant::now();
    let mut definitions = Vec::new();
    let outcome = try_upgrade(stage, run, &mut definitions).await;
    took(run, started);
    Box::pin(conclude(stage, run, outcome, definitions, &UPGRADE)).await
}

async fn try_install(stage: Stage<'_>, run: &Run, definitions: &mut Vec<ResourceRef>) -> Result<(), Error> {
    let Stage { context, request, session } = stage;
    let spec = &run.object.spec;
    let options = spec.install.clone().unwrap_or_default();
    let server = options.server_side_apply.unwrap_or(!context.settings.helm3_defaults);
    let method = if server { Method::Server } else { Method::Client };
    let chart = Box::pin(stage.chart()).await?;
    *definitions =
        Box::pin(apply_crds(stage, run, &chart, options.crds, (method, !options.disable_wait))).await?;
    let capabilities = Box::pin(context.capabilities.get(&request.identity.cluster)).await;
    let capabilities = capabilities.map_err(Error::Render)?;
    let install = Install {
        chart,
        values: request.values.clone(),
        capabilities,
        render: context.render_options(&run.object, &request.name, options.disable_schema_validation),
        common: Common {
            timeout: timeout(spec, &Plan::Install),
            hooks: !options.disable_hooks,
            waiting: waiting(options.disable_wait, options.disable_wait_for_jobs),
        },
        method,
        adopt: !options.disable_take_ownership,
        replace: options.replace,
        create_namespace: options.create_namespace && !spec.target_namespace.is_empty(),
        strict: !options.disable_open_api_validation,
    };
    action::install(session, &request.identity.cluster, install).await
}

async fn try_upgrade(stage: Stage<'_>, run: &Run, definitions: &mut Vec<ResourceRef>) -> Result<(), Error> {
    let Stage { context, request, session } = stage;
    let spec = &run.object.spec;
    let options = spec.upgrade.clone().unwrap_or_default();
    let wanted = method(options.server_side_apply);
    // Definitions are applied by the server unless that is switched off.
    let by = wanted.unwrap_or(Method::Server);
    let chart = Box::pin(stage.chart()).await?;
    *definitions =
        Box::pin(apply_crds(stage, run, &chart, options.crds, (by, !options.disable_wait))).await?;
    let capabilities = Box::pin(context.capabilities.get(&request.identity.cluster)).await;
    let capabilities = capabilities.map_err(Error::Render)?;
    let upgrade = Upgrade {
        chart,
        values: request.values.clone(),
        capabilities,
        render: context.render_options(&run.object, &request.name, options.disable_schema_validation),
        common: Common {
            timeout: timeout(spec, &Plan::Upgrade { forget: false }),
            hooks: !options.disable_hooks,
            waiting: waiting(options.disable_wait, options.disable_wait_for_jobs),
        },
        method: wanted,
        adopt: !options.disable_take_ownership,
        force: options.force,
        cleanup: options.cleanup_on_fail,
        preserve_values: options.preserve_values,
        max_history: spec.max_history(),
        strict: !options.disable_open_api_validation,
    };
    action::upgrade(session, &request.identity.cluster, upgrade).await
}

/// Brings the definitions of the chart to the cluster first. Gives their entries in the inventory.
async fn apply_crds(
    stage: Stage<'_>,
    run: &Run,
    chart: &Chart,
    policy: Option<CrdsPolicy>,
    (method, wait): (Method, bool),
) -> Result<Vec<ResourceRef>, Error> {
    let objects = action::crds_of_chart(chart, &stage.request.values);
    let known = objects.as_deref().unwrap_or_default();
    let entries = inventory::entries(stage.request, known, run.object.release_namespace()).await;
    let policy = match policy.unwrap_or_default() {
        CrdsPolicy::Skip => return Ok(entries),
        CrdsPolicy::Create => CrdPolicy::Create,
        CrdsPolicy::CreateReplace => CrdPolicy::CreateReplace,
    };
    let labels = sluice_releases::origin_labels(&run.object);
    let crds = Crds { objects: objects?, policy, labels, method, wait };
    if action::apply_crds(stage.session, crds).await? {
        stage.context.capabilities.forget();
    }
    Ok(entries)
}

/// Clears what was said about an action before, and notes that one begins.
fn begin(run: &mut Run, action: &str) {
    action.clone_into(&mut run.status.last_attempted_release_action);
    run.status.last_attempted_release_action_duration = None;
    run.remove(reason::TEST_SUCCESS);
    run.remove(reason::REMEDIATED);
}

fn took(run: &mut Run, started: Instant) {
    let nanoseconds = i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX);
    run.status.last_attempted_release_action_duration =
        Some(sluice_api::meta::Duration::from_nanos(nanoseconds));
}

/// How an action is told of.
struct Wording {
    word: &'static str,
    succeeded: &'static str,
    failed: &'static str,
}

const INSTALLATION: Wording =
    Wording { word: plan::INSTALL, succeeded: reason::INSTALL_SUCCEEDED, failed: reason::INSTALL_FAILED };

const UPGRADE: Wording =
    Wording { word: plan::UPGRADE, succeeded: reason::UPGRADE_SUCCEEDED, failed: reason::UPGRADE_FAILED };

/// What an installation or upgrade leaves in status and events.
async fn conclude(
    stage: Stage<'_>,
    run: &mut Run,
    outcome: Result<(), Error>,
    definitions: Vec<ResourceRef>,
    wording: &Wording,
) -> Result<(), String> {
    let Stage { context, request, session } = stage;
    let word = wording.word;
    let mut written = session.take_written();
    history::note(&mut run.status.history, context.settings.digest, &written, word, &request.oci_digest);
    if let Some(last) = written.last() {
        run.status.inventory = Some(inventory::of(context, run, request, last, definitions).await);
    }
    run.status.observed_post_renderers_digest.clone_from(&request.post_renderers_digest);
    run.status.observed_common_metadata_digest.clone_from(&request.common_metadata_digest);
    let chart = request.versioned_chart();
    let metadata = event_metadata(
        &request.chart.label.version,
        &request.config_digest,
        &request.chart.label.app_version,
        &request.oci_digest,
    );
    let Err(error) = outcome else {
        let release = run.status.history.first().map(Snapshot::full_release_name).unwrap_or_default();
        let message = format!("Helm {word} succeeded for release {release} with chart {chart}");
        run.set(reason::RELEASED, ConditionStatus::True, wording.succeeded, message.clone());
        if run.object.spec.test.as_ref().is_some_and(|test| test.enable) {
            let message = format!("Helm release {release} with chart {chart} is awaiting tests");
            run.set(reason::TEST_SUCCESS, ConditionStatus::Unknown, reason::AWAITING_TESTS, message);
        }
        run.summarize();
        stage.praise(run, wording.succeeded, message, metadata);
        if let (Some(last), Some(revision), Some(newest)) =
            (written.pop(), session.stored(), run.status.history.first())
            && revision.version == last.version
            && history::targets(newest, &last)
        {
            let compares = drift_mode(&run.object.spec) != DriftDetectionMode::Disabled;
            let place = place(run, request, session);
            context.records.note(&ObjectKey::of(&*run.object), place, (revision, last), newest, compares);
        }
        return Ok(());
    };
    if session.is_broken_off() {
        // No failure of the release: it is tried again.
        return Err(stage.shown(&error));
    }
    let release = format!("{}/{}", run.object.release_namespace(), request.name);
    let told = stage.shown(&error);
    let message = format!("Helm {word} failed for release {release} with chart {chart}: {told}");
    run.status.failures += 1;
    if !written.is_empty() {
        if word == plan::INSTALL {
            run.status.install_failures += 1;
        } else {
            run.status.upgrade_failures += 1;
        }
    }
    run.set(reason::RELEASED, ConditionStatus::False, wording.failed, message.clone());
    run.summarize();
    if !matches!(error, Error::Superseded) {
        stage.blame(run, wording.failed, &message, metadata);
    }
    if written.is_empty() { Err(message) } else { Ok(()) }
}

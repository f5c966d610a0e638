//! Actions on a release, and what they leave in status and events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::PropagationPolicy;
use sluice_api::helm::{CrdsPolicy, DeletionPropagation, HelmRelease, HelmReleaseSpec, ServerSideApplyMode};
use sluice_api::meta::ConditionStatus;
use sluice_helm::release::Status;
use sluice_runtime::Severity;

use super::plan::{self, Plan, Remedy};
use super::release::{Request, tell};
use super::run::{Run, event_metadata, snapshot_metadata};
use super::{Context, history, inventory, reason};
use crate::action::{
    self, Common, CrdPolicy, Crds, Error, Install, Log, Method, Rollback, Session, TestFilter, Uninstall,
    Uninstalled, Upgrade, Waiting,
};

/// How long each step of an action may take.
pub(crate) fn timeout(spec: &HelmReleaseSpec, plan: &Plan) -> Duration {
    let own = match plan {
        Plan::Install => spec.install.as_ref().and_then(|install| install.timeout),
        Plan::Upgrade { .. } => spec.upgrade.as_ref().and_then(|upgrade| upgrade.timeout),
        Plan::Test => spec.test.as_ref().and_then(|test| test.timeout),
        Plan::RollBack(_) => spec.rollback.as_ref().and_then(|rollback| rollback.timeout),
        Plan::Remove => spec.uninstall.as_ref().and_then(|uninstall| uninstall.timeout),
        _ => None,
    };
    own.unwrap_or(spec.timeout()).to_std()
}

fn waiting(disable: bool, disable_for_jobs: bool) -> Waiting {
    match (disable, disable_for_jobs) {
        (true, _) => Waiting::Hooks,
        (false, true) => Waiting::Objects,
        (false, false) => Waiting::ObjectsAndJobs,
    }
}

fn method(mode: Option<ServerSideApplyMode>) -> Option<Method> {
    match mode.unwrap_or_default() {
        ServerSideApplyMode::Enabled => Some(Method::Server),
        ServerSideApplyMode::Disabled => Some(Method::Client),
        ServerSideApplyMode::Auto => None,
    }
}

/// Does what a plan says. The error: it failed, and nothing of it is recorded.
pub(crate) async fn perform(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
    log: &Log,
    plan: &Plan,
) -> Result<(), String> {
    match plan {
        Plan::Install => install(context, run, request, session, log).await,
        Plan::Upgrade { forget } => {
            if *forget {
                run.status.history.clear();
            }
            upgrade(context, run, request, session, log).await
        }
        Plan::Test => test(context, run, request, session).await,
        Plan::RollBack(snapshot) => roll_back(context, run, request, session, log, snapshot).await,
        Plan::Remove => remove(context, run, request, session, log).await,
        Plan::Unlock(status) => unlock(context, run, request, session, *status).await,
        Plan::Adopt
        | Plan::CorrectDrift
        | Plan::ReportDrift
        | Plan::Done
        | Plan::GiveUp
        | Plan::NoTarget
        | Plan::Fail(_) => Ok(()),
    }
}

/// An error as conditions and events tell it.
fn shown(request: &Request, error: &Error) -> String {
    request.redaction.apply(error.to_string())
}

/// The text of a failure's event: with what was logged last.
fn with_log(request: &Request, message: &str, log: &Log) -> String {
    let lines = log.text();
    if lines.is_empty() {
        return message.to_owned();
    }
    format!("{message}\n\nLast Helm logs:\n\n{}", request.redaction.apply(lines))
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

async fn install(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
    log: &Log,
) -> Result<(), String> {
    let spec = run.object.spec.clone();
    let options = spec.install.clone().unwrap_or_default();
    begin(run, plan::INSTALL);
    run.status.history.clear();
    let started = Instant::now();
    let server = options.server_side_apply.unwrap_or(!context.settings.helm3_defaults);
    let method = if server { Method::Server } else { Method::Client };
    let outcome = async {
        let crds = crds(request, &run.object, options.crds, method, !options.disable_wait)?;
        apply_crds(context, session, crds).await?;
        let common = Common {
            timeout: timeout(&spec, &Plan::Install),
            hooks: !options.disable_hooks,
            waiting: waiting(options.disable_wait, options.disable_wait_for_jobs),
        };
        let install = Install {
            chart: request.chart.clone(),
            values: request.values.clone(),
            capabilities: context.capabilities.get(&request.identity.cluster).await?,
            render: context.render_options(&run.object, &request.name, options.disable_schema_validation),
            common,
            method,
            adopt: !options.disable_take_ownership,
            replace: options.replace,
            create_namespace: options.create_namespace && !spec.target_namespace.is_empty(),
            strict: !options.disable_open_api_validation,
        };
        action::install(session, &request.identity.cluster, install).await
    }
    .await;
    took(run, started);
    released(context, run, request, session, log, outcome, "install").await
}

async fn upgrade(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
    log: &Log,
) -> Result<(), String> {
    let spec = run.object.spec.clone();
    let options = spec.upgrade.clone().unwrap_or_default();
    begin(run, plan::UPGRADE);
    let started = Instant::now();
    let outcome = async {
        let wanted = method(options.server_side_apply);
        // Definitions are applied by the server unless that is switched off.
        let method = wanted.unwrap_or(Method::Server);
        let crds = crds(request, &run.object, options.crds, method, !options.disable_wait)?;
        apply_crds(context, session, crds).await?;
        let common = Common {
            timeout: timeout(&spec, &Plan::Upgrade { forget: false }),
            hooks: !options.disable_hooks,
            waiting: waiting(options.disable_wait, options.disable_wait_for_jobs),
        };
        let upgrade = Upgrade {
            chart: request.chart.clone(),
            values: request.values.clone(),
            capabilities: context.capabilities.get(&request.identity.cluster).await?,
            render: context.render_options(&run.object, &request.name, options.disable_schema_validation),
            common,
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
    .await;
    took(run, started);
    released(context, run, request, session, log, outcome, "upgrade").await
}

fn crds(
    request: &Request,
    object: &HelmRelease,
    policy: Option<CrdsPolicy>,
    method: Method,
    wait: bool,
) -> Result<Crds, Error> {
    let policy = match policy.unwrap_or_default() {
        CrdsPolicy::Skip => CrdPolicy::Skip,
        CrdsPolicy::Create => CrdPolicy::Create,
        CrdsPolicy::CreateReplace => CrdPolicy::CreateReplace,
    };
    let objects = action::crds_of_chart(&request.chart, &request.values)?;
    Ok(Crds { objects, policy, labels: super::customization::origin_labels(object), method, wait })
}

async fn apply_crds(context: &Context, session: &Session<'_>, crds: Crds) -> Result<(), Error> {
    if action::apply_crds(session, crds).await? {
        context.capabilities.forget();
    }
    Ok(())
}

/// What an installation or upgrade leaves in status and events.
async fn released(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
    log: &Log,
    outcome: Result<(), Error>,
    word: &str,
) -> Result<(), String> {
    let written = session.take_written();
    let algorithm = context.settings.digest;
    history::note(&mut run.status.history, algorithm, &written, word, &request.oci_digest);
    if let Some(last) = written.last() {
        run.status.inventory = Some(inventory::of(context, run, request, last).await);
    }
    run.status.observed_post_renderers_digest.clone_from(&request.post_renderers_digest);
    run.status.observed_common_metadata_digest.clone_from(&request.common_metadata_digest);
    let (succeeded, failed) = match word {
        "install" => (reason::INSTALL_SUCCEEDED, reason::INSTALL_FAILED),
        _ => (reason::UPGRADE_SUCCEEDED, reason::UPGRADE_FAILED),
    };
    let chart = request.versioned_chart();
    let metadata = event_metadata(
        &request.chart.metadata.version,
        &request.config_digest,
        &request.chart.metadata.app_version,
        &request.oci_digest,
    );
    match outcome {
        Ok(()) => {
            let release = run.status.history.first().map(sluice_api::helm::Snapshot::full_release_name);
            let release = release.unwrap_or_default();
            let message = format!("Helm {word} succeeded for release {release} with chart {chart}");
            run.set(reason::RELEASED, ConditionStatus::True, succeeded, message.clone());
            if run.object.spec.test.as_ref().is_some_and(|test| test.enable) {
                let message = format!("Helm release {release} with chart {chart} is awaiting tests");
                run.set(reason::TEST_SUCCESS, ConditionStatus::Unknown, reason::AWAITING_TESTS, message);
            }
            run.summarize();
            tell(context, run, Severity::Info, succeeded, message, metadata);
            Ok(())
        }
        Err(error) => {
            let superseded = matches!(error, Error::Superseded);
            let error = shown(request, &error);
            let release = format!("{}/{}", run.object.release_namespace(), request.name);
            let message = format!("Helm {word} failed for release {release} with chart {chart}: {error}");
            run.status.failures += 1;
            if !written.is_empty() {
                if word == "install" {
                    run.status.install_failures += 1;
                } else {
                    run.status.upgrade_failures += 1;
                }
            }
            run.set(reason::RELEASED, ConditionStatus::False, failed, message.clone());
            run.summarize();
            if !superseded {
                tell(context, run, Severity::Error, failed, with_log(request, &message, log), metadata);
            }
            if written.is_empty() { Err(message) } else { Ok(()) }
        }
    }
}

async fn test(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
) -> Result<(), String> {
    let spec = run.object.spec.clone();
    let options = spec.test.clone().unwrap_or_default();
    let named = |exclude: bool| {
        let filters = options.filters.iter().filter(|filter| filter.exclude == exclude);
        filters.map(|filter| filter.name.clone()).collect::<Vec<_>>()
    };
    let filter = TestFilter { only: named(false), without: named(true) };
    let tested = action::test(session, &request.name, &filter, timeout(&spec, &Plan::Test)).await;
    session.take_written();
    let newest = run.status.history.first().cloned();
    let (hooks, outcome) = match tested {
        Ok((release, outcome)) => {
            let matches = newest.as_ref().is_some_and(|newest| history::targets(newest, &release));
            if matches {
                (Some(history::test_hooks(&release, |name| filter.wants(name))), outcome)
            } else {
                let text = format!(
                    "release mismatch: tested release {}/{}.v{}",
                    release.namespace, release.name, release.version
                );
                (None, Err(Error::State(text)))
            }
        }
        Err(error) => (None, Err(error)),
    };
    let (Some(newest), Some(snapshot)) = (newest, run.status.history.first_mut()) else {
        return Err("there is no release to test".to_owned());
    };
    let ran = hooks.is_some();
    let count = hooks.as_ref().map_or(0, std::collections::BTreeMap::len);
    if let Some(hooks) = hooks {
        snapshot.test_hooks = Some(hooks);
    }
    let (release, chart) = (newest.full_release_name(), newest.versioned_chart_name());
    let metadata = snapshot_metadata(&newest);
    match outcome {
        Ok(()) => {
            let tests = match count {
                0 => "no test hooks".to_owned(),
                1 => "1 test hook completed successfully".to_owned(),
                count => format!("{count} test hooks completed successfully"),
            };
            let message = format!("Helm test succeeded for release {release} with chart {chart}: {tests}");
            run.set(reason::TEST_SUCCESS, ConditionStatus::True, reason::TEST_SUCCEEDED, message.clone());
            run.summarize();
            tell(context, run, Severity::Info, reason::TEST_SUCCEEDED, message, metadata);
            Ok(())
        }
        Err(error) => {
            let error = shown(request, &error);
            let message = format!("Helm test failed for release {release} with chart {chart}: {error}");
            run.set(reason::TEST_SUCCESS, ConditionStatus::False, reason::TEST_FAILED, message.clone());
            run.status.failures += 1;
            let failed = run.status.history.first().is_some_and(history::has_failed_test);
            if let Some(remedy) = Remedy::active(&spec, &run.status)
                && failed
                && !remedy.ignores_tests
            {
                if remedy.of_upgrade {
                    run.status.upgrade_failures += 1;
                } else {
                    run.status.install_failures += 1;
                }
            }
            run.summarize();
            tell(context, run, Severity::Error, reason::TEST_FAILED, message.clone(), metadata);
            if ran { Ok(()) } else { Err(message) }
        }
    }
}

async fn roll_back(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
    log: &Log,
    target: &sluice_api::helm::Snapshot,
) -> Result<(), String> {
    let spec = run.object.spec.clone();
    let options = spec.rollback.clone().unwrap_or_default();
    if options.recreate {
        tracing::warn!("spec.rollback.recreate is deprecated and has no effect");
    }
    let rollback = Rollback {
        name: target.name.clone(),
        version: target.version,
        common: Common {
            timeout: timeout(&spec, &Plan::RollBack(Box::new(target.clone()))),
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
        run.status.inventory = Some(inventory::of(context, run, request, last).await);
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
            tell(context, run, Severity::Info, reason::ROLLBACK_SUCCEEDED, message, metadata);
            Ok(())
        }
        Err(error) => {
            let message = format!("{text} failed: {}", shown(request, &error));
            run.status.failures += 1;
            run.set(reason::REMEDIATED, ConditionStatus::False, reason::ROLLBACK_FAILED, message.clone());
            run.summarize();
            tell(
                context,
                run,
                Severity::Error,
                reason::ROLLBACK_FAILED,
                with_log(request, &message, log),
                metadata,
            );
            if written.is_empty() { Err(message) } else { Ok(()) }
        }
    }
}

/// The options of an uninstallation.
pub(crate) fn uninstallation(spec: &HelmReleaseSpec, name: &str) -> Uninstall {
    let options = spec.uninstall.clone().unwrap_or_default();
    Uninstall {
        name: name.to_owned(),
        common: Common {
            timeout: timeout(spec, &Plan::Remove),
            hooks: !options.disable_hooks,
            waiting: waiting(options.disable_wait, false),
        },
        keep_history: options.keep_history,
        propagation: match options.deletion_propagation.unwrap_or_default() {
            DeletionPropagation::Background => PropagationPolicy::Background,
            DeletionPropagation::Foreground => PropagationPolicy::Foreground,
            DeletionPropagation::Orphan => PropagationPolicy::Orphan,
        },
    }
}

async fn remove(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
    log: &Log,
) -> Result<(), String> {
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
            tell(context, run, Severity::Info, reason::UNINSTALL_SUCCEEDED, message, metadata);
            Ok(())
        }
        Err(error) => {
            let message = format!("{text} failed: {}", shown(request, &error));
            run.status.failures += 1;
            run.set(reason::REMEDIATED, ConditionStatus::False, reason::UNINSTALL_FAILED, message.clone());
            tell(
                context,
                run,
                Severity::Error,
                reason::UNINSTALL_FAILED,
                with_log(request, &message, log),
                metadata,
            );
            if written.is_empty() { Err(message) } else { Ok(()) }
        }
    }
}

/// Uninstalls for good. The error tells why it could not be done.
pub(crate) async fn uninstall(
    context: &Context,
    run: &mut Run,
    session: &Session<'_>,
    log: &Log,
    name: &str,
) -> Result<(), String> {
    let newest = run.status.history.first().cloned();
    let outcome = action::uninstall(session, uninstallation(&run.object.spec, name)).await;
    let written = session.take_written();
    history::note_all(&mut run.status.history, context.settings.digest, &written, "uninstall", false);
    let subject = newest.as_ref().map_or_else(
        || format!("{}/{name}", run.object.release_namespace()),
        |newest| format!("{} with chart {}", newest.full_release_name(), newest.versioned_chart_name()),
    );
    let metadata = newest.as_ref().map(snapshot_metadata).unwrap_or_default();
    let quiet = |run: &mut Run, message: String| {
        run.set(reason::RELEASED, ConditionStatus::False, reason::UNINSTALL_SUCCEEDED, message);
        run.summarize();
        Ok(())
    };
    match outcome {
        Ok(Uninstalled::NotFound) => {
            quiet(run, format!("Release {subject} was not found, assuming it is uninstalled"))
        }
        Ok(Uninstalled::Already) => quiet(run, format!("Release {subject} was already uninstalled")),
        Ok(Uninstalled::Done) => {
            run.status.inventory = None;
            let message = format!("Helm uninstall succeeded for release {subject}");
            run.set(reason::RELEASED, ConditionStatus::False, reason::UNINSTALL_SUCCEEDED, message.clone());
            run.summarize();
            tell(context, run, Severity::Info, reason::UNINSTALL_SUCCEEDED, message, metadata);
            Ok(())
        }
        Err(error) => {
            let message = format!("Helm uninstall failed for release {subject}: {error}");
            run.status.failures += 1;
            run.set(reason::RELEASED, ConditionStatus::False, reason::UNINSTALL_FAILED, message.clone());
            run.summarize();
            let lines = log.text();
            let text = if lines.is_empty() {
                message.clone()
            } else {
                format!("{message}\n\nLast Helm logs:\n\n{lines}")
            };
            tell(context, run, Severity::Error, reason::UNINSTALL_FAILED, text, metadata);
            Err(message)
        }
    }
}

/// Takes over a release as it is: from now on it is one of this object.
pub(crate) async fn adopt(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
) -> Result<(), String> {
    let stored = session.storage.last(&request.name).await.map_err(|error| error.to_string())?;
    let Some(release) = stored else { return Err("the release is gone".to_owned()) };
    let snapshot = history::snapshot(context.settings.digest, &release, plan::INSTALL, &request.oci_digest);
    run.status.inventory = Some(inventory::of(context, run, request, &release).await);
    let (name, chart) = (snapshot.full_release_name(), snapshot.versioned_chart_name());
    let metadata = snapshot_metadata(&snapshot);
    plan::INSTALL.clone_into(&mut run.status.last_attempted_release_action);
    run.status.history.insert(0, snapshot);
    let message = format!("Helm release {name} with chart {chart} was taken over as it is");
    run.set(reason::RELEASED, ConditionStatus::True, reason::INSTALL_SUCCEEDED, message.clone());
    run.summarize();
    tell(context, run, Severity::Info, reason::INSTALL_SUCCEEDED, message, metadata);
    Ok(())
}

/// Gives a release free that a process was at work on which is no more.
async fn unlock(
    context: &Arc<Context>,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
    status: Status,
) -> Result<(), String> {
    let stored = session.storage.last(&request.name).await.map_err(|error| error.to_string())?;
    let Some(mut release) = stored.filter(|release| release.info.status.is_pending()) else { return Ok(()) };
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
            tell(context, run, Severity::Info, reason::PENDING_RELEASE, message, facts);
            Ok(())
        }
        Err(error) => {
            let message = format!("Unlock of {text} failed: {error}");
            run.set(reason::RELEASED, ConditionStatus::False, reason::PENDING_RELEASE, message.clone());
            run.summarize();
            tell(context, run, Severity::Error, reason::PENDING_RELEASE, message.clone(), facts);
            Err(message)
        }
    }
}

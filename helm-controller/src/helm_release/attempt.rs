//! One run: what leads up to the release, the release, and what is told of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_api::helm::{HelmRelease, WaitStrategyName};
use sluice_api::meta::{
    ConditionStatus, FORCE_REQUEST_ANNOTATION, READY_CONDITION, RECONCILING_CONDITION,
    RESET_REQUEST_ANNOTATION, Reconcilable,
};
use sluice_releases::{ClusterReferences, Redaction, compose, release_name};
use sluice_runtime::expressions::HealthRules;
use sluice_runtime::{Failure, Next, ObjectKey, Retry, Severity, conditions, errors, finalizer};
use tokio_util::sync::CancellationToken;

use super::release::{Ending, Request, settle};
use super::run::Run;
use super::{Context, act, deletion, dependencies, digest, failure, reason, source, template};
use crate::action::{Log, Session, Storage, Turn};

/// How long a chart may be on its way before the status tells that it is waited for. What comes after tells of itself.
const NOTICE: Duration = Duration::from_secs(1);

/// Reconciles one object. `superseded` ends waits for objects.
pub(crate) async fn run(
    context: &Arc<Context>,
    object: Arc<HelmRelease>,
    superseded: CancellationToken,
) -> Next {
    if object.metadata.deletion_timestamp.is_some() {
        return Box::pin(delete(context, object)).await;
    }
    // Before any request: a thousand at once would be a thousand connections. What comes after is boxed, so that those
    // that have not begun take little memory.
    match context.manager.stop.run_until_cancelled(context.turns.take()).await {
        Some(turn) => Box::pin(begin(context, object, superseded, turn)).await,
        None => Next::AwaitChange,
    }
}

async fn delete(context: &Arc<Context>, object: Arc<HelmRelease>) -> Next {
    match deletion::delete(context, &mut Run::new(object), &context.turns).await {
        Ok(()) => Next::AwaitChange,
        Err(_) if context.manager.stop.is_cancelled() => Next::AwaitChange,
        Err(error) => {
            tracing::error!(error, "cannot delete the release");
            Next::Backoff
        }
    }
}

async fn begin(
    context: &Arc<Context>,
    mut object: Arc<HelmRelease>,
    superseded: CancellationToken,
    turn: Turn,
) -> Next {
    if !finalizer::is_present(&*object) {
        match Box::pin(finalizer::add(&context.manager.client, &context.cache, &object)).await {
            Ok(Some(written)) => object = written,
            Ok(None) => return Next::AwaitChange,
            Err(error) => {
                tracing::error!(error = errors::describe(&error), "cannot add the finalizer");
                return Next::Backoff;
            }
        }
    }
    let mut run = Run::new(object);
    if run.object.spec.suspend {
        tracing::info!("reconciliation is suspended for this object");
        run.handle_request();
        run.status.observed_generation = run.generation;
        Box::pin(run.write(context)).await;
        return Next::AwaitChange;
    }
    let result = Box::pin(attempt(context, &mut run, superseded, turn)).await;
    Box::pin(finish(context, run, result)).await
}

async fn attempt(
    context: &Arc<Context>,
    run: &mut Run,
    superseded: CancellationToken,
    turn: Turn,
) -> Result<Ending, Failure> {
    let Some((kind, source_key)) = source::reference(&run.object) else {
        return Err(Failure {
            stalled: false,
            ..Failure::terminal("", "invalid Chart reference").observed()
        });
    };
    let rules = HealthRules::compile(&run.object.spec.health_check_exprs)
        .map_err(|error| failure::invalid_expression(&error))?;
    run.clear_failure(&[reason::INVALID_CEL_EXPRESSION]);
    // Boxed, like all that comes before and after the wait: what waits is to be small.
    Box::pin(template::reconcile(context, run)).await?;
    let settled = run.status.observed_generation == run.generation
        && conditions::is_true(&run.status.conditions, READY_CONDITION);
    if !settled {
        run.mark_progress("Fulfilling prerequisites");
    }
    Box::pin(dependencies::check(context, &run.object)).await?;
    run.clear_failure(&[reason::DEPENDENCY_NOT_READY]);
    let own = run.object.metadata.namespace.clone().unwrap_or_default();
    let artifact = Box::pin(source::require(context, &kind, &source_key, &own)).await?;
    run.clear_failure(&[reason::ACCESS_DENIED, reason::SOURCE_NOT_READY]);
    let mut redaction = Redaction::default();
    let references = ClusterReferences(context.manager.client.clone());
    let values = Box::pin(compose(&references, &run.object, &mut redaction))
        .await
        .map_err(|error| Failure::new(reason::VALUES_ERROR, error))?;
    run.clear_failure(&[reason::VALUES_ERROR]);
    let object = run.object.clone();
    let labelled = {
        let labelled = Box::pin(source::label(context, &object, &artifact));
        let mut labelled = Box::pin(context.manager.stop.run_until_cancelled(labelled));
        match tokio::time::timeout(NOTICE, &mut labelled).await {
            Ok(labelled) => labelled,
            Err(_) => {
                Box::pin(run.write(context)).await;
                labelled.await
            }
        }
    };
    let Some(mut label) = labelled.transpose()? else { return Ok(Ending::AtOnce) };
    run.clear_failure(&[reason::ARTIFACT_FAILED]);
    let tracked = source::track(&kind, &artifact.revision, &label.version, context.settings.track_digest)
        .map_err(|error| Failure::quiet(reason::CHART_MUTATE_ERROR, error, Retry::Backoff))?;
    run.clear_failure(&[reason::CHART_MUTATE_ERROR]);
    label.version = tracked.version;
    let spec = &object.spec;
    let identity = context.identities.of(&own, &spec.service_account_name, spec.kube_config.as_ref());
    let identity =
        Box::pin(identity).await.map_err(|error| Failure::new(reason::REST_CLIENT_ERROR, error))?;
    run.clear_failure(&[reason::REST_CLIENT_ERROR]);
    let name = release_name(&run.object);
    let log = Log::default();
    let cancel = (superseded.clone(), context.manager.stop.clone());
    if let Some(old) = moved(run, &name, &label.name) {
        let storage = Storage::new(identity.client.clone(), &run.status.storage_namespace);
        let session = Session::new(&identity.cluster, &identity.client, &storage, &log, &rules, cancel, turn);
        let outcome = Box::pin(act::uninstall(context, run, &session, &old)).await;
        outcome.map_err(|error| Failure::quiet(reason::UNINSTALL_FAILED, error, Retry::Backoff))?;
        run.status.history.clear();
        run.status.storage_namespace.clear();
        forget_failures(run);
        return Ok(Ending::AtOnce);
    }
    let algorithm = context.settings.digest;
    let request = Request {
        config_digest: digest::of_values(algorithm, &values),
        post_renderers_digest: digest::of_post_renderers(algorithm, &spec.post_renderers),
        common_metadata_digest: digest::of_common_metadata(algorithm, spec.common_metadata.as_ref()),
        oci_digest: if tracked.digest.is_empty() { String::new() } else { registry_digest(&tracked.digest) },
        storage: Storage::new(identity.client.clone(), run.object.storage_namespace()),
        forced: asked(run, FORCE_REQUEST_ANNOTATION, &run.status.last_handled_force_at),
        chart: source::Wanted::new(artifact, label),
        values,
        identity,
        redaction,
        name,
    };
    run.object.storage_namespace().clone_into(&mut run.status.storage_namespace);
    note_attempt(run, &request, &tracked.digest);
    run.clear_failure(&[reason::FACTORY_ERROR, reason::STATE_ERROR]);
    let mut session = Session::new(
        &request.identity.cluster,
        &request.identity.client,
        &request.storage,
        &log,
        &rules,
        cancel,
        turn,
    );
    session.legacy = match &spec.wait_strategy {
        Some(strategy) => strategy.name == WaitStrategyName::Legacy,
        None => context.settings.helm3_defaults,
    };
    // What was written since is in its place: an action may wait long.
    drop(object);
    let ending = settle(context, run, &request, &session).await?;
    if superseded.is_cancelled() && !matches!(ending, Ending::Done) && context.settings.cancel_on_news {
        let subject = format!("HelmRelease/{}", ObjectKey::of(&*run.object));
        let message = format!("New reconciliation triggered by {subject}");
        run.set(READY_CONDITION, ConditionStatus::False, reason::HEALTH_CHECK_CANCELED, message);
        let message = format!("Health checks canceled due to new reconciliation triggered by {subject}");
        run.event(context, Severity::Info, reason::HEALTH_CHECK_CANCELED, message, BTreeMap::new());
        return Ok(Ending::AtOnce);
    }
    Ok(ending)
}

/// The digest in a revision such as `latest@sha256:…`.
fn registry_digest(recorded: &str) -> String {
    recorded.rsplit_once('@').map_or(recorded, |(_, digest)| digest).to_owned()
}

/// The name of the release that has to go first, because storage, namespace, name or chart are to be others.
fn moved(run: &Run, name: &str, chart: &str) -> Option<String> {
    let newest = run.status.history.first()?;
    if run.status.storage_namespace.is_empty() {
        return None;
    }
    let strategy = run
        .object
        .spec
        .upgrade
        .as_ref()
        .and_then(|upgrade| upgrade.chart_name_change_strategy)
        .unwrap_or_default();
    let reinstalls = strategy == sluice_api::helm::ChartNameChangeStrategy::Reinstall;
    let differs = run.status.storage_namespace != run.object.storage_namespace()
        || newest.namespace != run.object.release_namespace()
        || newest.name != name
        || reinstalls && newest.chart_name != chart;
    differs.then(|| newest.name.clone())
}

/// Whether an annotation asks for something now that was not seen to yet.
fn asked(run: &Run, annotation: &str, handled: &str) -> bool {
    let annotations = run.object.metadata.annotations.as_ref();
    let value = annotations.and_then(|annotations| annotations.get(annotation)).map(String::as_str);
    let requested = run.object.requested_at();
    value.is_some()
        && value == requested
        && requested != Some(run.status.last_handled_reconcile_at.as_str())
        && value != Some(handled)
}

fn forget_failures(run: &mut Run) {
    run.status.failures = 0;
    run.status.install_failures = 0;
    run.status.upgrade_failures = 0;
}

/// Notes what is tried, and forgets failures of anything else.
fn note_attempt(run: &mut Run, request: &Request, digest: &str) {
    let reset = asked(run, RESET_REQUEST_ANNOTATION, &run.status.last_handled_reset_at);
    let status = &run.status;
    if reset
        || status.last_attempted_generation != run.generation
        || status.last_attempted_revision != request.chart.label.version
        || status.last_attempted_config_digest != request.config_digest
    {
        forget_failures(run);
    }
    for (annotation, force) in [(FORCE_REQUEST_ANNOTATION, true), (RESET_REQUEST_ANNOTATION, false)] {
        let annotations = run.object.metadata.annotations.as_ref();
        if let Some(value) = annotations.and_then(|annotations| annotations.get(annotation)).cloned() {
            if force {
                run.status.last_handled_force_at = value;
            } else {
                run.status.last_handled_reset_at = value;
            }
        }
    }
    run.status.last_attempted_generation = run.generation;
    run.status.last_attempted_revision.clone_from(&request.chart.label.version);
    digest.clone_into(&mut run.status.last_attempted_revision_digest);
    run.status.last_attempted_config_digest.clone_from(&request.config_digest);
    run.status.last_attempted_values_checksum.clear();
    run.status.last_release_revision = 0;
}

/// Tells how a run ended: status, event, log, and when the next one is due.
async fn finish(context: &Arc<Context>, mut run: Run, result: Result<Ending, Failure>) -> Next {
    let key = ObjectKey::of(&*run.object);
    let interval = context.manager.flags.jitter(run.object.spec.interval.to_std());
    let next = match result {
        Ok(ending) => {
            let observed = !matches!(ending, Ending::Again | Ending::AtOnce | Ending::Failed(_));
            if observed {
                run.status.observed_generation = run.generation;
            }
            match ending {
                Ending::Done => {
                    tracing::info!(revision = run.status.last_attempted_revision, "release is as wanted");
                    Next::After(interval)
                }
                Ending::Settled => Next::After(interval),
                Ending::RetryAfter(delay) => Next::After(context.manager.flags.jitter(delay)),
                Ending::Again => Next::Backoff,
                Ending::AtOnce => Next::Now,
                Ending::Stalled(message) => {
                    tracing::error!("Reconciliation stalled: {message}");
                    Next::AwaitChange
                }
                Ending::Failed(message) => {
                    tracing::error!("Reconciliation failed: {message}");
                    Next::Backoff
                }
            }
        }
        Err(failure) => {
            run.fail(&failure);
            match &failure.event {
                // The error itself is logged with the event.
                Some((severity, text)) => {
                    run.event(context, *severity, failure.reason, text.clone(), BTreeMap::new());
                }
                None => tracing::info!("{}", failure.message),
            }
            if failure.stalled {
                run.remove(RECONCILING_CONDITION);
            }
            match failure.retry {
                Retry::After(delay) => Next::After(context.manager.flags.jitter(delay)),
                Retry::AfterExactly(delay) => Next::After(delay),
                Retry::Usual | Retry::Backoff => Next::Backoff,
                Retry::Never => Next::AwaitChange,
            }
        }
    };
    run.handle_request();
    run.write(context).await;
    if conditions::is_true(&run.status.conditions, READY_CONDITION) {
        for dependent in context.waiting.take(&key) {
            context.waker.wake(&dependent);
        }
    }
    next
}

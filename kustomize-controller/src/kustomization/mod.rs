//! Kustomizations: fetch, build, apply, prune, wait, tell.
//!
//! [`Reconciler`] drives; the steps are modules of their own. What a step finds wrong is a [`failure::Failure`], and the
//! status is written by [`run::Run`] alone.

mod build;
mod decryption;
mod deletion;
mod dependencies;
pub(crate) mod dependents;
mod drift;
mod failure;
mod generate;
mod health;
mod history;
mod memory;
mod overlay;
mod reason;
mod run;
mod source;
mod variables;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sluice_api::kustomize::{Kustomization, KustomizationSpec};
use sluice_api::meta::{Artifact, HEALTHY_CONDITION, READY_CONDITION, Reconcilable};
use sluice_runtime::apply::{
    Action, Applier, CustomKinds, IgnoreRules, Options, Pruner, Takeover, by_action, by_subject, inventory,
    lines,
};
use sluice_runtime::expressions::HealthRules;
use sluice_runtime::identity::{Identities, Identity};
use sluice_runtime::{
    Cache, Manager, Next, ObjectKey, Severity, StatusWriter, Waiting, Waker, conditions, errors, finalizer,
};
use tokio::sync::Semaphore;

use crate::artifacts::{Artifacts, Unpacked};
use crate::sources::Sources;
use build::{Built, Input};
use decryption::Decryptor;
use failure::{Failure, Retry};
use memory::{Applied, Inputs, Memory, Wait};
use run::Run;
use variables::Variables;

/// The field manager of applied objects.
pub(crate) const FIELD_MANAGER: &str = "kustomize-controller";
/// The conditions that this controller sets.
pub(crate) const OWNED_CONDITIONS: [&str; 5] =
    ["Stalled", "Reconciling", "Ready", "Healthy", drift::CONDITION];
/// Annotation that turns off the check that encrypted files are as they were made: `ignore`.
const IGNORE_MAC_ANNOTATION: &str = "sluice.dev/sops-mac";
/// How long watches are trusted before the server is asked about every object again.
const FULL_CHECK: Duration = Duration::from_hours(1);

/// Settings from flags.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) requeue_dependency: Duration,
    pub(crate) no_cross_namespace_refs: bool,
    pub(crate) external_artifacts: bool,
    pub(crate) strict_substitution: bool,
    pub(crate) fail_fast: bool,
    pub(crate) group_change_log: bool,
    pub(crate) migrate_api_version: bool,
    pub(crate) concurrent_ssa: usize,
    pub(crate) custom_kinds: Arc<CustomKinds>,
    pub(crate) takeover: Arc<Takeover>,
    pub(crate) sops_age_secret: String,
    pub(crate) additive_ready_check: bool,
    pub(crate) workload_identity: bool,
}

/// What all runs share.
pub(crate) struct Context {
    pub(crate) manager: Arc<Manager>,
    pub(crate) settings: Settings,
    pub(crate) cache: Arc<Cache<Kustomization>>,
    pub(crate) waker: Waker,
    pub(crate) status: StatusWriter<Kustomization>,
    pub(crate) sources: Sources,
    pub(crate) artifacts: Artifacts,
    pub(crate) identities: Identities,
    /// Who waits for whom.
    pub(crate) waiting: Waiting,
    /// Configs that changed since an object's last run, as `Kind/namespace/name`.
    pub(crate) triggers: Arc<Mutex<HashMap<ObjectKey, String>>>,
    /// Bounds the builds that run at once by the number of cores.
    pub(crate) builds: Semaphore,
    pub(crate) memories: Mutex<HashMap<ObjectKey, Memory>>,
}

/// Reconciles Kustomizations.
pub(crate) struct Reconciler(pub(crate) Arc<Context>);

/// How a run ended that did not fail.
enum Done {
    /// Everything is applied, and healthy if that was asked for.
    Finished,
    /// Everything is applied; a task waits for health.
    Waiting,
}

impl sluice_runtime::Reconciler for Reconciler {
    type Kind = Kustomization;

    async fn reconcile(&self, object: Arc<Kustomization>) -> Next {
        reconcile(&self.0, object).await
    }

    fn forget(&self, key: &ObjectKey) {
        lock(&self.0.memories).remove(key);
        lock(&self.0.triggers).remove(key);
    }
}

/// Where and as whom a Kustomization is applied.
async fn identity(context: &Context, object: &Kustomization) -> Result<Identity, String> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let spec = &object.spec;
    context.identities.of(namespace, &spec.service_account_name, spec.kube_config.as_ref()).await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn reconcile(context: &Arc<Context>, mut object: Arc<Kustomization>) -> Next {
    if object.metadata.deletion_timestamp.is_some() {
        return deletion::delete(context, object).await;
    }
    if !finalizer::is_present(&*object) {
        match finalizer::add(&context.manager.client, &context.cache, &object).await {
            Ok(Some(written)) => object = written,
            Ok(None) => return Next::AwaitChange,
            Err(error) => {
                tracing::error!(error = errors::describe(&error), "cannot add the finalizer");
                return Next::Backoff;
            }
        }
    }
    let key = ObjectKey::of(&*object);
    if object.spec.suspend {
        tracing::info!("Reconciliation is suspended for this object");
        // A wait that is under way ends with the memory of it.
        lock(&context.memories).entry(key).or_default().wait = None;
        let mut run = Run::new(object);
        run.handle_request();
        if conditions::is_true(&run.status.conditions, READY_CONDITION) {
            run.status.observed_generation = run.generation;
        }
        run.write(context).await;
        return Next::AwaitChange;
    }
    let mut memory = lock(&context.memories).remove(&key).unwrap_or_default();
    let next = reconcile_with(context, object, &mut memory).await;
    // An object that was forgotten meanwhile is not remembered again.
    if context.cache.get(&key).is_some() {
        lock(&context.memories).insert(key, memory);
    }
    next
}

async fn reconcile_with(context: &Arc<Context>, object: Arc<Kustomization>, memory: &mut Memory) -> Next {
    let key = ObjectKey::of(&*object);
    let mut run = Run::new(object);
    if let Some(wait) = memory.wait.take() {
        match resume(context, &mut run, memory, wait).await {
            Resumed::Ended(result) => {
                return finish(context, run, memory, result.map(|()| Done::Finished)).await;
            }
            Resumed::Waiting(wait) => {
                memory.wait = Some(wait);
                return Next::AwaitChange;
            }
            Resumed::GivenUp => {}
        }
    }
    warn_of_ignored_fields(context, &run, memory);
    lock(&context.triggers).remove(&key);
    let result = attempt(context, &mut run, memory).await;
    finish(context, run, memory, result).await
}

/// Tells once for each generation which deprecated fields have no effect.
fn warn_of_ignored_fields(context: &Context, run: &Run, memory: &mut Memory) {
    let fields = run.object.ignored_fields();
    if fields.is_empty() || memory.warned == Some(run.generation) {
        return;
    }
    memory.warned = Some(run.generation);
    if run.status.observed_generation == run.generation {
        // Told before the controller was started anew.
        return;
    }
    let message = format!("{} is deprecated and has no effect", fields.join(", "));
    context.manager.recorder.emit(
        &*run.object,
        Severity::Warning,
        "DeprecatedField",
        message,
        std::collections::BTreeMap::new(),
    );
}

enum Resumed {
    /// The wait is over, with this result.
    Ended(Result<(), Failure>),
    /// Nothing has changed; it goes on.
    Waiting(Wait),
    /// Something has changed: all starts anew.
    GivenUp,
}

/// Goes on with a run that waited for health.
async fn resume(context: &Arc<Context>, run: &mut Run, memory: &mut Memory, wait: Wait) -> Resumed {
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
    run.set(
        READY_CONDITION,
        sluice_api::meta::ConditionStatus::False,
        reason::HEALTH_CHECK_CANCELED,
        message,
    );
    let event = format!("Health checks canceled due to new reconciliation triggered by {trigger}");
    run.event(context, Severity::Info, event, false);
    let object = run.object.clone();
    let status = std::mem::take(&mut run.status);
    *run = Run::new(object);
    run.status = status;
    Resumed::GivenUp
}

/// One try to bring everything to where it belongs.
async fn attempt(context: &Arc<Context>, run: &mut Run, memory: &mut Memory) -> Result<Done, Failure> {
    let ignore = IgnoreRules::compile(&run.object.spec.ignore)
        .map_err(|error| Failure::new(reason::RECONCILIATION_FAILED, error.to_string()))?;
    let rules = HealthRules::compile(&run.object.spec.health_check_exprs)
        .map_err(|error| Failure::invalid_expression(&error))?;
    let account =
        run.object.spec.decryption.as_ref().map(|decryption| decryption.service_account_name.as_str());
    if account.is_some_and(|name| !name.is_empty()) && !context.settings.workload_identity {
        let message = "to use spec.decryption.serviceAccountName for decryption authentication please enable the ObjectLevelWorkloadIdentity feature gate in the controller";
        return Err(Failure::terminal(reason::FEATURE_GATE_DISABLED, message));
    }
    let artifact = source::require(context, &run.object).await?;
    run.work_on(&artifact);
    if dependencies::has_any(&run.object) {
        dependencies::check(context, &run.object, &artifact).await?;
    }
    let variables = variables(context, &run.object.spec, &run.object).await.map_err(|error| {
        run.status.last_attempted_revision.clone_from(&run.revision);
        Failure::build(error)
    })?;
    let inputs = Inputs {
        generation: run.generation,
        revision: run.revision.clone(),
        artifact_digest: artifact.digest.clone(),
        variables: variables.as_ref().map(Variables::digest),
    };
    if nothing_changed(run, memory, &inputs) {
        if let Some(applied) = &memory.applied {
            run.checksum.clone_from(&applied.checksum);
        }
        return Ok(Done::Finished);
    }
    let mode = drift::Mode::of(&run.object);
    let settled = run.is_settled();
    if settled && mode == drift::Mode::Ignore {
        run.checksum = run.status.history.first().map(|entry| entry.digest.clone()).unwrap_or_default();
        return Ok(Done::Finished);
    }
    memory.applied = None;

    let unpacked = fetch(context, run, &artifact).await?;
    let identity = identity(context, &run.object).await.map_err(|error| {
        Failure::new(reason::RECONCILIATION_FAILED, format!("failed to build kube client: {error}"))
    })?;
    let decryptor = decryptor(context, run).await?;
    let built = build(context, run, unpacked, variables, decryptor).await?;
    run.checksum.clone_from(&built.checksum);
    let jobs = health::vanishing_jobs(&built.objects);
    if settled && mode == drift::Mode::Warn {
        return drift::tell(context, run, memory, &identity, built, ignore).await.map(|()| Done::Finished);
    }
    conditions::remove(&mut run.status.conditions, drift::CONDITION);
    let changes = apply(context, run, memory, &identity, built, ignore).await?;
    prune(context, run, &identity, &changes).await?;

    memory.applied = Some(Applied {
        inputs: inputs.clone(),
        checksum: run.checksum.clone(),
        checked: Instant::now(),
        _cluster: identity.cluster.clone(),
    });
    let drifted = changes.iter().any(|change| change.action.is_change());
    let spec = &run.object.spec;
    let expectations = health::expectations(run, &changes, &jobs, &memory.ledger, &rules);
    let wanted = spec.wait && changes.iter().any(|change| change.action != Action::Skipped)
        || !spec.wait && !spec.health_checks.is_empty();
    if !wanted {
        conditions::remove(&mut run.status.conditions, HEALTHY_CONDITION);
        return Ok(Done::Finished);
    }
    // Most often an unchanged set is healthy already, and nothing need be written in between.
    let usual = spec.wait && jobs.is_empty() && spec.health_check_exprs.is_empty();
    if usual && !drifted && memory.ledger.is_healthy() || expectations.is_empty() {
        let was_healthy = health::is_healthy(run);
        health::passed(context, run, "0s", drifted, was_healthy);
        return Ok(Done::Finished);
    }
    memory.wait = Some(health::start(context, run, &identity, expectations, inputs, drifted).await);
    Ok(Done::Waiting)
}

/// Whether the last run had the same inputs, went well, and nobody has touched an object since.
fn nothing_changed(run: &Run, memory: &Memory, inputs: &Inputs) -> bool {
    let spec = &run.object.spec;
    let Some(applied) = &memory.applied else { return false };
    // Keys are read anew each time: whether they still fit is known only by using them.
    spec.decryption.is_none()
        && spec.health_check_exprs.is_empty()
        && applied.inputs == *inputs
        && applied.checked.elapsed() < FULL_CHECK
        && conditions::is_true(&run.status.conditions, READY_CONDITION)
        && run.status.last_applied_revision == inputs.revision
        && memory.ledger.is_untouched()
        && (spec.wait && memory.ledger.is_healthy() || !spec.wait && spec.health_checks.is_empty())
}

async fn variables(
    context: &Context,
    spec: &KustomizationSpec,
    object: &Kustomization,
) -> Result<Option<Variables>, String> {
    let Some(post_build) = &spec.post_build else { return Ok(None) };
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let strict = context.settings.strict_substitution;
    Variables::load(&context.manager.client, namespace, post_build, strict).await.map(Some)
}

/// The content of the artifact, with the path of the spec in it.
async fn fetch(context: &Context, run: &mut Run, artifact: &Artifact) -> Result<Arc<Unpacked>, Failure> {
    let fetched = run.phase(context, "Fetching manifests", context.artifacts.get(artifact)).await;
    let unpacked = fetched.map_err(|error| Failure::fetch(&error, context.settings.requeue_dependency))?;
    let directory = generate::scoped_join(unpacked.path(), &run.object.spec.path);
    if let Err(error) = std::fs::metadata(&directory) {
        let path = directory.strip_prefix(unpacked.path()).unwrap_or(&directory).display().to_string();
        let cause = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => error.to_string(),
        };
        return Err(Failure::new(
            reason::ARTIFACT_FAILED,
            format!("kustomization path not found: stat {path}: {cause}"),
        ));
    }
    run.status.last_attempted_revision.clone_from(&run.revision);
    Ok(unpacked)
}

/// The keys for decryption, where the spec asks for it.
async fn decryptor(context: &Context, run: &Run) -> Result<Option<Decryptor>, Failure> {
    let Some(decryption) = run.object.spec.decryption.as_ref().filter(|it| it.provider == "sops") else {
        return Ok(None);
    };
    let manager = &context.manager;
    let own = run.object.metadata.namespace.as_deref().unwrap_or_default();
    let global = context.settings.sops_age_secret.as_str();
    let (secret, only_age) = match &decryption.secret_ref {
        Some(reference) => (Some((own, reference.name.as_str())), false),
        None if global.is_empty() => (None, false),
        None => (Some((manager.runtime_namespace.as_str(), global)), true),
    };
    let switch = run.object.metadata.annotations.as_ref().and_then(|tags| tags.get(IGNORE_MAC_ANNOTATION));
    let verify = switch.map(String::as_str) != Some("ignore");
    Decryptor::load(&manager.client, secret, only_age, verify).await.map(Some).map_err(Failure::build)
}

async fn build(
    context: &Context,
    run: &mut Run,
    artifact: Arc<Unpacked>,
    variables: Option<Variables>,
    decryptor: Option<Decryptor>,
) -> Result<Built, Failure> {
    let key = ObjectKey::of(&*run.object);
    let input = Input {
        artifact,
        spec: run.object.spec.clone(),
        variables,
        decryptor,
        owner_name: key.name,
        owner_namespace: key.namespace,
    };
    let work = async {
        // The semaphore is never closed.
        let _permit = context.builds.acquire().await;
        tokio::task::spawn_blocking(move || build::build(&input)).await
    };
    match run.phase(context, "Building manifests", work).await {
        Ok(Ok(built)) => Ok(built),
        Ok(Err(message)) => Err(Failure::build(message)),
        Err(error) => Err(Failure::build(format!("recovered from kustomize build panic: {error}"))),
    }
}

/// How to apply.
fn options(context: &Context, run: &Run, ignore: IgnoreRules, preview: bool) -> Options {
    let settings = &context.settings;
    Options {
        field_manager: FIELD_MANAGER.to_owned(),
        group: sluice_api::kustomize::GROUP,
        takeover: settings.takeover.clone(),
        custom_kinds: settings.custom_kinds.clone(),
        concurrency: settings.concurrent_ssa,
        force: run.object.spec.force,
        migrate_api_version: settings.migrate_api_version && !preview,
        ignore: Arc::new(ignore),
        preview,
        stage_timeout: Duration::from_mins(1),
    }
}

async fn apply(
    context: &Context,
    run: &mut Run,
    memory: &mut Memory,
    identity: &Identity,
    built: Built,
    ignore: IgnoreRules,
) -> Result<Vec<sluice_runtime::apply::Change>, Failure> {
    let options = options(context, run, ignore, false);
    let applier = Applier { cluster: &identity.cluster, client: &identity.client, options: &options };
    let before = note_ahead(context, run, identity, &built.objects).await;
    let work = applier.apply_all(built.objects, &mut memory.ledger);
    let outcome = run.phase(context, "Detecting drift", work).await;
    let changed = lines(&outcome.changes, |change| change.action.is_change());
    if let Some(error) = outcome.error {
        run.status.inventory = before;
        let message = format!("{error}\n{changed}");
        return Err(Failure::new(reason::RECONCILIATION_FAILED, message.trim_end()));
    }
    if !outcome.changes.is_empty() {
        let output = if context.settings.group_change_log {
            serde_json::to_string(&by_action(&outcome.changes))
        } else {
            serde_json::to_string(&by_subject(&outcome.changes))
        };
        let output = output.unwrap_or_default();
        tracing::info!(output, revision = run.revision, "server-side apply completed");
    }
    if !changed.is_empty() {
        run.event(context, Severity::Info, changed, false);
    }
    Ok(outcome.changes)
}

/// Adds what is about to be created to the inventory and writes that down, so that a crash between here and the end
/// of the run leaves no object that nobody knows of. Returns the inventory as it was.
async fn note_ahead(
    context: &Context,
    run: &mut Run,
    identity: &Identity,
    objects: &[sluice_runtime::apply::Object],
) -> Option<sluice_api::meta::ResourceInventory> {
    let before = run.status.inventory.clone();
    let coming = identity.cluster.identities(objects).await;
    let known: std::collections::HashSet<_> =
        inventory::read(before.as_ref()).into_iter().map(|tracked| tracked.id).collect();
    let unknown: Vec<_> = coming.into_iter().filter(|tracked| !known.contains(&tracked.id)).collect();
    if !unknown.is_empty() {
        let ahead = run.status.inventory.get_or_insert_default();
        ahead.entries.extend(unknown.iter().map(sluice_runtime::apply::Tracked::to_entry));
        run.mark_progress("Detecting drift");
        run.write(context).await;
    }
    before
}

/// Deletes what was applied before and is not wanted any more, and notes the new inventory.
async fn prune(
    context: &Context,
    run: &mut Run,
    identity: &Identity,
    changes: &[sluice_runtime::apply::Change],
) -> Result<(), Failure> {
    let mut new = inventory::write(changes);
    let stale = inventory::stale(run.status.inventory.as_ref(), &new);
    if stale.is_empty() || !run.object.spec.prune {
        run.status.inventory = Some(new);
        return Ok(());
    }
    let key = ObjectKey::of(&*run.object);
    let pruner = Pruner {
        cluster: &identity.cluster,
        client: &identity.client,
        group: sluice_api::kustomize::GROUP,
        owner_name: &key.name,
        owner_namespace: &key.namespace,
    };
    let pruned = pruner.delete_all(stale).await;
    new.entries.extend(pruned.survivors.iter().map(sluice_runtime::apply::Tracked::to_entry));
    run.status.inventory = Some(new);
    if let Some(error) = pruned.error {
        return Err(Failure::new(reason::PRUNE_FAILED, error));
    }
    let list = lines(&pruned.changes, |_| true);
    tracing::info!(revision = run.revision, "garbage collection completed: {list}");
    run.event(context, Severity::Info, list, false);
    Ok(())
}

/// Tells how a run ended: status, event, log, and when the next one is due.
async fn finish(
    context: &Arc<Context>,
    mut run: Run,
    memory: &mut Memory,
    result: Result<Done, Failure>,
) -> Next {
    let key = ObjectKey::of(&*run.object);
    let interval = run.object.spec.interval;
    match result {
        Ok(Done::Waiting) => Next::AwaitChange,
        Ok(Done::Finished) => {
            run.succeed();
            run.handle_request();
            run.write(context).await;
            let took = run::shown(run.started.elapsed());
            let message = format!("Reconciliation finished in {took}, next run in {interval}");
            tracing::info!(revision = run.revision, "{message}");
            run.event(context, Severity::Info, message, true);
            for dependent in context.waiting.take(&key) {
                context.waker.wake(&dependent);
            }
            Next::After(context.manager.flags.jitter(interval.to_std()))
        }
        Err(failure) => {
            memory.applied = None;
            run.fail(&failure);
            run.handle_request();
            let retry = run.object.spec.retry_interval();
            let next = match failure.retry {
                Retry::Interval => Next::After(retry.to_std()),
                Retry::After(delay) => Next::After(delay),
                Retry::Backoff => Next::Backoff,
                Retry::Never => Next::AwaitChange,
            };
            let took = run::shown(run.started.elapsed());
            match &failure.event {
                // The error itself is logged with the event.
                Some((Severity::Error, _)) => {
                    tracing::info!(
                        revision = run.revision,
                        "Reconciliation failed after {took}, next try in {retry}"
                    );
                }
                _ => tracing::info!(revision = run.revision, "{}", failure.message),
            }
            if let Some((severity, text)) = &failure.event {
                run.event(context, *severity, text.clone(), false);
            }
            run.write(context).await;
            next
        }
    }
}

//! Kustomizations: fetch, build, apply, prune, wait, tell.
//!
//! [`Reconciler`] drives; the steps are modules of their own. What a step finds wrong is a [`failure::Failure`], and the
//! status is written by [`run::Run`] alone.

mod apply;
mod attempt;
mod deletion;
mod dependencies;
pub(crate) mod dependents;
mod drift;
mod failure;
mod finish;
mod health;
mod history;
mod lookout;
mod memory;
mod reason;
mod resume;
mod run;
mod source;
mod steps;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{READY_CONDITION, Reconcilable};
use sluice_runtime::apply::{CustomKinds, Takeover};
use sluice_runtime::identity::{Identities, Identity};
use sluice_runtime::{
    Cache, Manager, Next, ObjectKey, Severity, StatusWriter, Waiting, Waker, conditions, errors, finalizer,
};
use tokio::sync::Semaphore;

use crate::artifacts::Artifacts;
use crate::logins::Logins;
use crate::sources::AllSources;
use attempt::attempt;
use finish::finish;
use memory::Memory;
use resume::{Resumed, resume};
use run::Run;

/// The field manager of applied objects.
pub(crate) const FIELD_MANAGER: &str = "kustomize-controller";
/// The conditions that this controller sets.
pub(crate) const OWNED_CONDITIONS: [&str; 5] =
    ["Stalled", "Reconciling", "Ready", "Healthy", drift::CONDITION];
/// Settings from flags.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) requeue_dependency: Duration,
    pub(crate) no_cross_namespace_refs: bool,
    /// Hosts that artifacts may come from; any where there are none.
    pub(crate) artifact_hosts: Vec<String>,
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

/// Configs that changed since an object's last run, as `Kind/namespace/name`.
pub(crate) type Triggers = HashMap<ObjectKey, String>;

/// What all runs share.
pub(crate) struct Context {
    pub(crate) manager: Arc<Manager>,
    pub(crate) settings: Settings,
    pub(crate) cache: Arc<Cache<Kustomization>>,
    pub(crate) waker: Waker,
    pub(crate) status: StatusWriter<Kustomization>,
    pub(crate) sources: AllSources,
    pub(crate) artifacts: Artifacts,
    pub(crate) identities: Identities,
    pub(crate) logins: Arc<Logins>,
    /// By what bases of other machines are asked for, where they are allowed.
    pub(crate) http: Option<reqwest::Client>,
    /// Who waits for whom.
    pub(crate) waiting: Waiting,
    pub(crate) triggers: Arc<Mutex<Triggers>>,
    /// Bounds the builds that run at once by the number of cores.
    pub(crate) builds: Semaphore,
    /// Boxed, since most of a map is empty places.
    pub(crate) memories: Mutex<HashMap<ObjectKey, Box<Memory>>>,
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

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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

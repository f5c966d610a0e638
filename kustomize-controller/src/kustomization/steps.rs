//! Beyond Flux: applying in steps. Waves follow each other when they are healthy, hooks run before and after them.
//!
//! A step that has to be waited for ends the run; it begins anew when the wait is over, and what was applied then costs
//! nothing. Without annotations there is one step, and no wait.

use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{KUSTOMIZATION_NAME_LABEL, KUSTOMIZATION_NAMESPACE_LABEL};
use sluice_kstatus::Status;
use sluice_runtime::Severity;
use sluice_runtime::apply::health::Expectation;
use sluice_runtime::apply::{
    Action, Applier, Change, IgnoreRules, Object, Options, Plan, Pruner, Step, Tracked, plan,
};
use sluice_runtime::expressions::HealthRules;
use sluice_runtime::identity::Identity;
use sluice_runtime::{Failure, ObjectKey};
use std::sync::Arc;

use super::apply::{apply, note_ahead, options, with_created};
use super::memory::{Inputs, Memory};
use super::run::Run;
use super::{Context, health, reason};

/// Annotation of a Kustomization whose objects carry annotations of Argo CD that are to count: `argo`.
const HOOKS: &str = "sluice.dev/hooks";

/// What was done by all steps.
pub(super) struct Changes {
    /// All of it.
    pub(super) all: Vec<Change>,
    /// Without hooks that are to be deleted now.
    pub(super) kept: Vec<Change>,
}

/// Whether annotations of Argo CD count.
pub(super) fn understands_argo(object: &Kustomization) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(HOOKS)).is_some_and(|value| value == "argo")
}

/// Applies step by step. Nothing is returned when a step is waited for.
#[expect(clippy::too_many_arguments, reason = "the state of one run, which nothing else holds together")]
pub(super) async fn apply_all(
    context: &Arc<Context>,
    run: &mut Run,
    memory: &mut Memory,
    identity: &Identity,
    plan: Plan,
    ignore: IgnoreRules,
    rules: &HealthRules,
    inputs: &Inputs,
) -> Result<Option<Changes>, Failure> {
    let before = note_ahead(context, run, identity, plan.objects()).await;
    let options = options(context, run, ignore, false);
    let argo = understands_argo(&run.object);
    memory.on_failure = plan.on_failure;
    memory.delete_on_failure.clear();
    let jobs = health::vanishing_jobs(plan.steps.iter().flat_map(|step| match step {
        Step::Hooks(objects) | Step::Wave(objects) => objects,
    }));
    let last = plan.steps.len().saturating_sub(1);
    let mut changes = Changes { all: Vec::new(), kept: Vec::new() };
    for (index, step) in plan.steps.into_iter().enumerate() {
        let is_hook = matches!(step, Step::Hooks(_));
        let done = match step {
            Step::Wave(objects) => match apply(context, run, memory, identity, &options, objects).await {
                Ok(applied) => Ok((applied.clone(), applied, Vec::new())),
                Err(unfinished) => {
                    changes.all.extend(unfinished.done);
                    Err(unfinished.failure)
                }
            },
            Step::Hooks(objects) => run_hooks(run, memory, identity, &options, objects, argo).await,
        };
        let (all, kept, waits) = match done {
            Ok(done) => done,
            Err(failure) => {
                run.status.inventory = with_created(before, &changes.all);
                return Err(failure);
            }
        };
        let passed = memory.passed.as_ref().is_some_and(|(known, step)| known == inputs && *step >= index);
        let expectations = if is_hook {
            waits
        } else if index < last && !passed {
            health::of_changes(run, &all, &jobs, &memory.ledger, rules)
        } else {
            Vec::new()
        };
        changes.all.extend(all);
        changes.kept.extend(kept);
        if !expectations.is_empty() && !passed {
            let drifted = changes.all.iter().any(|change| change.action.is_change());
            memory.wait = Some(
                health::start(context, run, identity, expectations, inputs.clone(), drifted, Some(index))
                    .await,
            );
            return Ok(None);
        }
    }
    memory.passed = None;
    memory.ledger.keep(&changes.all);
    delete(run, identity, &changes).await?;
    let kept: std::collections::HashSet<_> = changes.kept.iter().map(|change| &change.tracked.id).collect();
    changes.all.retain(|change| kept.contains(&change.tracked.id));
    Ok(Some(changes))
}

/// What became of hooks: all of them, those that stay, and those that are not done.
type Ran = (Vec<Change>, Vec<Change>, Vec<Expectation>);

async fn run_hooks(
    run: &mut Run,
    memory: &mut Memory,
    identity: &Identity,
    options: &Options,
    objects: Vec<Object>,
    argo: bool,
) -> Result<Ran, Failure> {
    let failed = |message: String| Failure::new(reason::RECONCILIATION_FAILED, message);
    let key = ObjectKey::of(&*run.object);
    let content = run.checksum.trim_start_matches("sha256:").get(..16).unwrap_or_default().to_owned();
    let latest = run.status.history.first();
    let has_run = latest.is_some_and(|entry| {
        entry.digest == run.checksum && entry.last_reconciled_status == reason::RECONCILIATION_SUCCEEDED
    });
    let again = run.is_requested();
    let applier = Applier { cluster: &identity.cluster, client: &identity.client, options };
    let owner = owner(&key);
    let mut ran: Ran = (Vec::new(), Vec::new(), Vec::new());
    for object in objects {
        let policy = plan::delete_policy(&object, argo).map_err(failed)?;
        let (change, status, version) = if has_run {
            let id = identity.cluster.identities(std::iter::once(&object)).await;
            let Some(tracked) = id.into_iter().next() else { continue };
            (Change { tracked, action: Action::Unchanged }, Status::Current, 0)
        } else {
            let hook = applier.hook(object, &content, again, &owner).await;
            let hook = hook.map_err(|error| failed(error.to_string()))?;
            (hook.change, hook.status, hook.version)
        };
        if policy.failed {
            memory.delete_on_failure.push(change.tracked.clone());
        }
        if status == Status::Failed {
            let message = format!(
                "hook {} has failed; it runs again with another content or on request",
                change.tracked.id
            );
            return Err(Failure::new(reason::HEALTH_CHECK_FAILED, message));
        }
        if status != Status::Current {
            ran.2.push(Expectation {
                api_version: change.tracked.api_version(),
                id: change.tracked.id.clone(),
                written: version,
                managed: true,
                may_vanish: false,
                judge: None,
            });
        }
        if !policy.succeeded {
            ran.1.push(change.clone());
        }
        ran.0.push(change);
    }
    Ok(ran)
}

/// Hooks that went well and are not to stay.
async fn delete(run: &Run, identity: &Identity, changes: &Changes) -> Result<(), Failure> {
    let kept: std::collections::HashSet<_> = changes.kept.iter().map(|change| &change.tracked.id).collect();
    let gone = changes.all.iter().filter(|change| !kept.contains(&change.tracked.id));
    let gone: Vec<Tracked> = gone.map(|change| change.tracked.clone()).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let deleted = pruner(&ObjectKey::of(&*run.object), identity).delete_all(gone).await;
    match deleted.error {
        Some(error) => Err(Failure::new(reason::PRUNE_FAILED, error)),
        None => Ok(()),
    }
}

fn pruner<'a>(key: &'a ObjectKey, identity: &'a Identity) -> Pruner<'a> {
    Pruner {
        cluster: &identity.cluster,
        client: &identity.client,
        group: sluice_api::kustomize::GROUP,
        owner_name: &key.name,
        owner_namespace: &key.namespace,
    }
}

fn owner(key: &ObjectKey) -> [(&str, &str); 2] {
    [(KUSTOMIZATION_NAME_LABEL, key.name.as_str()), (KUSTOMIZATION_NAMESPACE_LABEL, key.namespace.as_str())]
}

/// After a failure: runs the hooks for it, once for each content, and deletes those that are not to stay.
pub(super) async fn after_failure(context: &Context, run: &mut Run, memory: &mut Memory) {
    if memory.on_failure.is_empty() && memory.delete_on_failure.is_empty() {
        return;
    }
    let Ok(identity) = super::identity(context, &run.object).await else { return };
    let key = ObjectKey::of(&*run.object);
    let deleted = pruner(&key, &identity).delete_all(std::mem::take(&mut memory.delete_on_failure)).await;
    if let Some(error) = deleted.error {
        tracing::error!(error, "cannot delete hooks that failed");
    }
    let content = run.checksum.trim_start_matches("sha256:").get(..16).unwrap_or_default().to_owned();
    let options = options(context, run, IgnoreRules::default(), false);
    let applier = Applier { cluster: &identity.cluster, client: &identity.client, options: &options };
    for object in std::mem::take(&mut memory.on_failure) {
        let id = object.id();
        match applier.hook(object, &content, false, &owner(&key)).await {
            Ok(hook) => {
                let inventory = run.status.inventory.get_or_insert_default();
                let entry = hook.change.tracked.to_entry();
                if !inventory.entries.iter().any(|known| known.id == entry.id) {
                    inventory.entries.push(entry);
                }
                if hook.change.action.is_change() {
                    run.event(context, Severity::Info, format!("{id} started because of the failure"), false);
                }
            }
            Err(error) => {
                run.event(context, Severity::Error, format!("cannot run hook {id}: {error}"), false);
            }
        }
    }
}

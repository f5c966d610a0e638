//! Applying what was built, and deleting what is not wanted any more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sluice_api::meta::ResourceInventory;
use sluice_runtime::apply::{
    Action, Applier, Change, IgnoreRules, Object, Options, Pruner, Tracked, by_action, by_subject, inventory,
    lines,
};
use sluice_runtime::identity::Identity;
use sluice_runtime::{Failure, ObjectKey, Severity};

use super::memory::Memory;
use super::run::Run;
use super::{Context, FIELD_MANAGER, reason};

/// How to apply.
pub(super) fn options(context: &Context, run: &Run, ignore: IgnoreRules, preview: bool) -> Options {
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

/// An apply that came to an end before its time.
pub(super) struct Unfinished {
    /// What was done until then.
    pub(super) done: Vec<Change>,
    pub(super) failure: Failure,
}

pub(super) async fn apply(
    context: &Context,
    run: &mut Run,
    memory: &mut Memory,
    identity: &Identity,
    options: &Options,
    objects: Vec<Object>,
) -> Result<Vec<Change>, Unfinished> {
    let applier = Applier { cluster: &identity.cluster, client: &identity.client, options };
    let work = applier.apply_all(objects, &mut memory.ledger);
    let outcome = run.phase(context, "Detecting drift", work).await;
    let changed = lines(&outcome.changes, |change| change.action.is_change());
    if let Some(error) = outcome.error {
        let message = format!("{error}\n{changed}");
        let failure = Failure::new(reason::RECONCILIATION_FAILED, message.trim_end());
        return Err(Unfinished { done: outcome.changes, failure });
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
pub(super) async fn note_ahead<'o>(
    context: &Context,
    run: &mut Run,
    identity: &Identity,
    objects: impl Iterator<Item = &'o Object>,
) -> Option<ResourceInventory> {
    let before = run.status.inventory.clone();
    let coming = identity.cluster.identities(objects).await;
    let known: HashSet<_> = inventory::read(before.as_ref()).into_iter().map(|tracked| tracked.id).collect();
    let unknown: Vec<_> = coming.into_iter().filter(|tracked| !known.contains(&tracked.id)).collect();
    if !unknown.is_empty() {
        let ahead = run.status.inventory.get_or_insert_default();
        ahead.entries.extend(unknown.iter().map(Tracked::to_entry));
        run.mark_progress("Detecting drift");
        run.write(context).await;
    }
    before
}

/// The inventory after a failure: what it was, and what has come since, so that nothing is left behind that nobody knows
/// of when the next revision does not want it any more.
pub(super) fn with_created(before: Option<ResourceInventory>, done: &[Change]) -> Option<ResourceInventory> {
    let known: HashSet<_> = inventory::read(before.as_ref()).into_iter().map(|tracked| tracked.id).collect();
    let has_come = |change: &&Change| {
        matches!(change.action, Action::Created | Action::Unknown) && !known.contains(&change.tracked.id)
    };
    let come: Vec<_> = done.iter().filter(has_come).map(|change| change.tracked.to_entry()).collect();
    if come.is_empty() {
        return before;
    }
    let mut inventory = before.unwrap_or_default();
    inventory.entries.extend(come);
    Some(inventory)
}

/// Deletes what was applied before and is not wanted any more, and notes the new inventory.
pub(super) async fn prune(
    context: &Context,
    run: &mut Run,
    identity: &Identity,
    changes: &[Change],
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
    new.entries.extend(pruned.survivors.iter().map(Tracked::to_entry));
    run.status.inventory = Some(new);
    if let Some(error) = pruned.error {
        return Err(Failure::new(reason::PRUNE_FAILED, error));
    }
    let list = lines(&pruned.changes, |_| true);
    tracing::info!(revision = run.revision, "garbage collection completed: {list}");
    run.event(context, Severity::Info, list, false);
    Ok(())
}

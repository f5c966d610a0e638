//! Server-side apply of a set of objects in stages: look, decide, write only what differs.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use kube::Client;
use sluice_kstatus::Status;
use tokio::time::Instant;

use super::cluster::Requests;
use super::error::Refusal;
use super::ledger::Known;
use super::observe::{fingerprint_of, version_number};
use super::order::{CustomKinds, Stage, compare};
use super::{Action, Change, Cluster, Error, IgnoreRules, Ledger, Object, ObjectId, Resource, Takeover};
use super::{drift, health, managers, normalize};

/// Who applies, and how.
#[derive(Clone)]
pub struct Options {
    /// The field manager.
    pub field_manager: String,
    /// Prefix of the labels and annotations that steer the apply, such as `kustomize.toolkit.fluxcd.io`.
    pub group: &'static str,
    /// Which other managers' fields are taken over.
    pub takeover: Arc<Takeover>,
    /// Kinds with a stage of their own.
    pub custom_kinds: Arc<CustomKinds>,
    /// How many requests may be under way at once.
    pub concurrency: usize,
    /// Whether objects are recreated when a field cannot be changed.
    pub force: bool,
    /// Whether field ownership is moved to the version of the API that is applied.
    pub migrate_api_version: bool,
    /// Fields that others may change.
    pub ignore: Arc<IgnoreRules>,
    /// Whether nothing is written: the changes tell what would be done.
    pub preview: bool,
    /// How long the objects of the first stages may take to become ready, and a recreated one to go.
    pub stage_timeout: Duration,
}

/// Applies objects to one cluster with the rights of `client`.
pub struct Applier<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Who asks.
    pub client: &'a Client,
    /// How.
    pub options: &'a Options,
}

/// What became of an apply. On an error, `changes` holds the stages that were completed.
pub struct Outcome {
    /// The objects in the order in which they were applied.
    pub changes: Vec<Change>,
    /// Why it ended early.
    pub error: Option<Error>,
}

/// An object with what is needed to ask about it.
struct Item {
    object: Object,
    resource: Arc<Resource>,
    id: ObjectId,
    digest: u64,
}

impl Item {
    /// What a decision would come to.
    fn preview(&self, decision: &Decision) -> Change {
        let action = match decision {
            Decision::Leave(action, _) | Decision::LeaveKnown(action) => *action,
            Decision::Apply(step) => step.action.unwrap_or(Action::Configured),
        };
        Change::new(self.id.clone(), self.object.version(), action)
    }
}

/// What to do with an object.
enum Decision {
    /// Nothing. What is known of it, if it was looked at.
    Leave(Action, Option<Object>),
    /// Nothing, and it was not even looked at.
    LeaveKnown(Action),
    Apply(Step),
}

struct Step {
    payload: Object,
    /// The action to report. `None`: what the answer shows.
    action: Option<Action>,
    /// A JSON patch to send first.
    clean: Vec<serde_json::Value>,
    /// An object to delete first.
    recreate: Option<Object>,
    /// The version before.
    before: u64,
    /// Whether nothing has checked the object yet.
    unchecked: bool,
}

/// What came of a step, by its place in the stage.
type Written = (usize, Result<(Action, Object), Error>);

impl Applier<'_> {
    fn requests(&self) -> Requests<'_> {
        Requests { client: self.client, field_manager: &self.options.field_manager }
    }

    fn mark(&self, name: &str) -> String {
        format!("{}/{name}", self.options.group)
    }

    fn is_excluded(&self, object: &Object) -> bool {
        object.is_marked(&self.mark("reconcile"), "disabled") || object.is_marked(&self.mark("ssa"), "Ignore")
    }

    /// Applies all objects, stage by stage. Within a stage, nothing is written unless the server accepts everything.
    pub async fn apply_all(&self, objects: Vec<Object>, ledger: &mut Ledger) -> Outcome {
        let mut stages = std::collections::BTreeMap::<Stage, Vec<Object>>::new();
        for object in objects {
            stages.entry(self.options.custom_kinds.stage(&object)).or_default().push(object);
        }
        let mut changes = Vec::new();
        for (stage, mut objects) in stages {
            objects.sort_by(|a, b| compare(&a.id(), &b.id()));
            let wait = matches!(stage, Stage::Definitions | Stage::Classes);
            match self.apply_stage(objects, wait, ledger).await {
                Ok(applied) => changes.extend(applied),
                Err((applied, error)) => {
                    changes.extend(applied);
                    return Outcome { changes, error: Some(error) };
                }
            }
        }
        if !self.options.preview {
            ledger.keep(&changes);
        }
        Outcome { changes, error: None }
    }

    async fn apply_stage(
        &self,
        objects: Vec<Object>,
        wait: bool,
        ledger: &mut Ledger,
    ) -> Result<Vec<Change>, (Vec<Change>, Error)> {
        let nothing = |error| (Vec::new(), error);
        let (items, errors) = self.resolve(objects).await;
        if let Some(error) = Error::of(errors) {
            return Err(nothing(error));
        }
        let known: Vec<_> = items.iter().map(|item| ledger.get(&item.id)).collect();
        let untouched = |item: &Item, known: Option<&Known>| {
            known.is_some_and(|known| known.digest == item.digest && known.is_untouched(&item.id))
        };
        let open = items.iter().zip(&known).filter(|(item, known)| !untouched(item, **known)).count();

        // Boxed one by one: the compiler cannot prove the bounds of a stream of closures over borrowed items.
        let questions: Vec<BoxFuture<'_, Result<Decision, Error>>> = items
            .iter()
            .zip(known)
            .map(|(item, known)| {
                if untouched(item, known) {
                    let skipped = known.is_some_and(|known| known.skipped);
                    let action = if skipped { Action::Skipped } else { Action::Unchanged };
                    return std::future::ready(Ok(Decision::LeaveKnown(action))).boxed();
                }
                self.decide(item, known, open == 1).boxed()
            })
            .collect();
        let decisions =
            stream::iter(questions).buffered(self.options.concurrency.max(1)).collect::<Vec<_>>().await;
        let mut errors = Vec::new();
        let mut decided = Vec::with_capacity(decisions.len());
        for decision in decisions {
            match decision {
                Ok(decision) => decided.push(decision),
                Err(error) => errors.push(error),
            }
        }
        if let Some(error) = Error::of(errors) {
            return Err(nothing(error));
        }
        if self.options.preview {
            return Ok(items.iter().zip(decided).map(|(item, decision)| item.preview(&decision)).collect());
        }
        self.write_stage(items, decided, wait, ledger).await
    }

    /// Finds out how to address each object.
    async fn resolve(&self, objects: Vec<Object>) -> (Vec<Item>, Vec<Error>) {
        let mut items = Vec::with_capacity(objects.len());
        let mut errors = Vec::new();
        for mut object in objects {
            normalize::drop_invalid_ca_bundle(&mut object);
            match self.cluster.resolve(object.api_version(), object.kind()).await {
                Ok(resource) => {
                    let (id, digest) = (resource.identify(&object), object.digest());
                    items.push(Item { object, resource, id, digest });
                }
                Err(refusal) => errors.push(Error::dry_run(&object.id(), &refusal)),
            }
        }
        (items, errors)
    }

    /// Looks at one object and decides what to do, without writing anything.
    ///
    /// `alone`: no other object of the stage is to be written, so that a write that is refused leaves no half stage.
    async fn decide(&self, item: &Item, known: Option<&Known>, alone: bool) -> Result<Decision, Error> {
        let Item { object, resource, id, .. } = item;
        let refused = |refusal: Refusal| Error::dry_run(id, &refusal);
        if self.is_excluded(object) {
            let live = self.find(item).await.ok().flatten();
            return Ok(Decision::Leave(Action::Skipped, live));
        }
        // As we left it, so there is nothing to clean, and the server's answer tells whether anything changed.
        if let Some(known) = known
            && !known.skipped
            && known.is_untouched(id)
            && !object.is_marked(&self.mark("ssa"), "IfNotPresent")
            && !self.options.ignore.concerns(object)
        {
            let step = |unchecked| {
                let payload = object.clone();
                let before = known.resource_version;
                Decision::Apply(Step {
                    payload,
                    action: None,
                    clean: Vec::new(),
                    recreate: None,
                    before,
                    unchecked,
                })
            };
            if alone {
                return Ok(step(true));
            }
            if self.requests().apply(resource, object, true).await.is_ok() {
                return Ok(step(false));
            }
        }
        // Not seen by a watch that sees all managed objects: most likely not there, and the dry run tells.
        let watch = self.cluster.observer.managed(resource);
        let likely_new = watch.is_synced() && watch.get(&id.namespace, &id.name).is_none();
        if likely_new {
            match self.requests().apply(resource, object, true).await {
                Ok(answer) if answer.resource_version().is_empty() => {
                    return Ok(Decision::Apply(Step::create(object.clone())));
                }
                Ok(_) => {}
                Err(refusal) => {
                    // There may be one all the same, which force would recreate.
                    if !matches!(self.find(item).await, Ok(Some(_))) {
                        return Err(refused(refusal));
                    }
                }
            }
        }
        self.compare(item).await
    }

    async fn find(&self, item: &Item) -> Result<Option<Object>, Refusal> {
        self.requests().find(&item.resource, item.object.namespace(), item.object.name()).await
    }

    /// The full comparison of a live object with what an apply would make of it.
    async fn compare(&self, item: &Item) -> Result<Decision, Error> {
        let Item { object, resource, id, .. } = item;
        // What cannot be read is taken for absent, as in the reference; the dry run has the last word.
        let mut live = self.find(item).await.ok().flatten();
        let mut migrated = false;
        if let Some(found) = &live {
            if self.is_excluded(found) || object.is_marked(&self.mark("ssa"), "IfNotPresent") {
                return Ok(Decision::Leave(Action::Skipped, live));
            }
            if self.options.migrate_api_version {
                let operations = managers::migrate(found, object.api_version());
                if !operations.is_empty() {
                    let patched = self.requests().json_patch(resource, found, &operations).await;
                    live =
                        Some(patched.map_err(|e| Error::Migrate { id: id.clone(), cause: e.to_string() })?);
                    migrated = true;
                }
            }
        }
        let answer = match self.requests().apply(resource, object, true).await {
            Ok(answer) => answer,
            Err(refusal) => {
                return match live {
                    Some(live) if self.may_recreate(item, &live, &refusal).await => {
                        let mut step = Step::create(object.clone());
                        step.recreate = Some(live);
                        Ok(Decision::Apply(step))
                    }
                    _ => Err(Error::dry_run(id, &refusal)),
                };
            }
        };
        let Some(live) = live.filter(|_| !answer.resource_version().is_empty()) else {
            return Ok(Decision::Apply(Step::create(object.clone())));
        };
        let merge = self.mark("ssa");
        let clean = if object.is_marked(&merge, "Merge") || live.is_marked(&merge, "Merge") {
            Vec::new()
        } else {
            self.options.takeover.patch(&live)
        };
        let rules = &self.options.ignore;
        let drifted = rules.has_drifted(&live, &answer);
        if clean.is_empty() && !drifted && !migrated {
            return Ok(Decision::Leave(Action::Unchanged, Some(live)));
        }
        let payload = rules.payload(object, &live, &answer, &self.options.field_manager);
        let before = version_number(Some(live.resource_version()));
        let action = Some(Action::Configured);
        Ok(Decision::Apply(Step { payload, action, clean, recreate: None, before, unchecked: false }))
    }

    /// Whether a refused object is to be deleted and made anew: force is on, and the refusal is about a field that
    /// cannot be changed, not about a plain fault that a new object would have as well.
    async fn may_recreate(&self, item: &Item, live: &Object, refusal: &Refusal) -> bool {
        let Item { object, resource, .. } = item;
        let force = self.mark("force");
        let forced =
            self.options.force || object.is_marked(&force, "enabled") || live.is_marked(&force, "enabled");
        if !forced || !refusal.may_be_immutable() {
            return false;
        }
        // The same object under a name that is free: what is wrong with it then, is wrong with any.
        let mut probe = object.clone();
        let name = format!("{}-{:08x}", object.name().get(..200).unwrap_or(object.name()), fastrand::u32(..));
        probe.metadata_mut().insert("name".to_owned(), name.into());
        match self.requests().apply(resource, &probe, true).await {
            Ok(_) => true,
            Err(fault) => {
                let faults: Vec<_> = fault.causes().map(|(reason, field, _)| (reason, field)).collect();
                fault.may_be_immutable()
                    && !refusal.causes().any(|(reason, field, _)| faults.contains(&(reason, field)))
            }
        }
    }

    /// Writes what was decided: kind after kind, the objects of a kind side by side.
    async fn write_stage(
        &self,
        items: Vec<Item>,
        decisions: Vec<Decision>,
        wait: bool,
        ledger: &mut Ledger,
    ) -> Result<Vec<Change>, (Vec<Change>, Error)> {
        let mut results: Vec<Option<(Action, Option<Object>)>> = Vec::new();
        let mut steps = Vec::new();
        for (index, decision) in decisions.into_iter().enumerate() {
            match decision {
                Decision::Leave(action, live) => results.push(Some((action, live))),
                Decision::LeaveKnown(action) => results.push(Some((action, None))),
                Decision::Apply(step) => {
                    results.push(None);
                    steps.push((index, step));
                }
            }
        }
        let known_before: Vec<bool> = results.iter().map(|r| matches!(r, Some((_, None)))).collect();
        let mut failure = None;
        for group in steps.chunk_by(|(a, _), (b, _)| same_kind(&items[*a].id, &items[*b].id)) {
            let writes: Vec<BoxFuture<'_, Written>> = group
                .iter()
                .map(|(index, step)| self.write(&items[*index], step).map(|result| (*index, result)).boxed())
                .collect();
            let written = stream::iter(writes)
                .buffer_unordered(self.options.concurrency.max(1))
                .collect::<Vec<_>>()
                .await;
            let mut errors = Vec::new();
            for (index, result) in written {
                match result {
                    Ok((action, object)) => results[index] = Some((action, Some(object))),
                    Err(error) => errors.push((index, error)),
                }
            }
            errors.sort_by_key(|(index, _)| *index);
            failure = Error::of(errors.into_iter().map(|(_, error)| error).collect());
            if failure.is_some() {
                break;
            }
        }
        let mut not_ready = Vec::new();
        let mut changes = Vec::new();
        for ((item, result), unseen) in items.into_iter().zip(results).zip(known_before) {
            let Some((action, live)) = result else {
                ledger.set(item.id, None);
                continue;
            };
            changes.push(Change::new(item.id.clone(), item.object.version(), action));
            if let Some(live) = live {
                if wait && health::judge(&live.clone().into_value()).0 != Status::Current {
                    not_ready.push((item.id.clone(), item.resource.clone()));
                }
                if item.object.is_crd()
                    && action.is_change()
                    && let Some(group) = item.object.fields().get("spec").and_then(|spec| spec.get("group"))
                {
                    self.cluster.forget_group(group.as_str().unwrap_or_default()).await;
                }
                let known = fingerprint_of(&live).map(|fingerprint| Known {
                    digest: item.digest,
                    fingerprint,
                    resource_version: version_number(Some(live.resource_version())),
                    version: item.object.version().to_owned(),
                    skipped: action == Action::Skipped,
                    watch: self.cluster.observer.managed(&item.resource),
                });
                ledger.set(item.id, known);
            } else if !unseen {
                ledger.set(item.id, None);
            }
        }
        if let Some(error) = failure {
            return Err((changes, error));
        }
        match self.ready(not_ready).await {
            Ok(()) => Ok(changes),
            Err(error) => Err((changes, error)),
        }
    }

    async fn write(&self, item: &Item, step: &Step) -> Result<(Action, Object), Error> {
        let Item { resource, id, .. } = item;
        let requests = self.requests();
        if let Some(old) = &step.recreate {
            self.remove(resource, id, old).await?;
        }
        if !step.clean.is_empty() {
            requests
                .json_patch(resource, &step.payload, &step.clean)
                .await
                .map_err(|error| Error::Cleanup { id: id.clone(), cause: error.to_string() })?;
        }
        match requests.apply(resource, &step.payload, false).await {
            Ok(answer) => {
                let changed = version_number(Some(answer.resource_version())) != step.before;
                let action =
                    step.action.unwrap_or(if changed { Action::Configured } else { Action::Unchanged });
                Ok((action, answer))
            }
            Err(refusal) if step.unchecked => {
                // Nothing has been written: what is left is the long way, which also knows how to recreate.
                match self.compare(item).await? {
                    Decision::Apply(step) if step.recreate.is_some() => {
                        Box::pin(self.write(item, &step)).await
                    }
                    _ => Err(Error::dry_run(id, &refusal)),
                }
            }
            Err(refusal) => Err(Error::Apply { id: id.clone(), cause: refusal.to_string() }),
        }
    }

    /// Deletes an object that is to be made anew, and waits until it is gone.
    async fn remove(&self, resource: &Resource, id: &ObjectId, old: &Object) -> Result<(), Error> {
        let failed = |cause: String| Error::Recreate { id: id.clone(), cause };
        let requests = self.requests();
        match requests.delete(resource, old).await {
            Err(error) if !error.is_not_found() => return Err(failed(error.to_string())),
            _ => {}
        }
        let deadline = Instant::now() + self.options.stage_timeout;
        let mut pause = Duration::from_millis(50);
        loop {
            match requests.find(resource, old.namespace(), old.name()).await {
                Ok(None) => return Ok(()),
                Ok(Some(found)) if found.uid() != old.uid() => return Ok(()),
                Ok(Some(_)) if Instant::now() >= deadline => {
                    return Err(failed("it is still there; a finalizer may hold it".to_owned()));
                }
                Ok(Some(_)) => {}
                Err(error) => return Err(failed(error.to_string())),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Waits until the objects of a first stage are ready. That takes moments: a few questions beat a watch.
    async fn ready(&self, mut pending: Vec<(ObjectId, Arc<Resource>)>) -> Result<(), Error> {
        let deadline = Instant::now() + self.options.stage_timeout;
        let mut pause = Duration::from_millis(25);
        while !pending.is_empty() {
            let mut open = Vec::new();
            let mut lines = Vec::new();
            for (id, resource) in pending {
                let (status, detail) = match self.requests().find(&resource, &id.namespace, &id.name).await {
                    Ok(Some(object)) => health::judge(&object.into_value()),
                    Ok(None) => (Status::NotFound, String::new()),
                    Err(error) => (Status::Unknown, error.to_string()),
                };
                if status != Status::Current {
                    let detail =
                        if status == Status::Unknown { format!(": {detail}") } else { String::new() };
                    lines.push((status, format!("{id} status: '{status}'{detail}")));
                    open.push((id, resource));
                }
            }
            let failed = |wanted: fn(Status) -> bool| {
                lines
                    .iter()
                    .filter(|(s, _)| wanted(*s))
                    .map(|(_, line)| line.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            if !lines.is_empty() && lines.iter().all(|(status, _)| *status == Status::Failed) {
                let lines = failed(|status| status == Status::Failed);
                return Err(Error::NotReady(format!("failed early due to stalled resources: [{lines}]")));
            }
            if Instant::now() >= deadline && !open.is_empty() {
                let lines = failed(|_| true);
                return Err(Error::NotReady(format!("timeout waiting for: [{lines}]")));
            }
            pending = open;
            if !pending.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
        Ok(())
    }
}

impl Step {
    fn create(payload: Object) -> Self {
        let action = Some(Action::Created);
        Self { payload, action, clean: Vec::new(), recreate: None, before: 0, unchecked: false }
    }
}

fn same_kind(a: &ObjectId, b: &ObjectId) -> bool {
    a.kind == b.kind && a.group == b.group
}

/// Whether live objects differ, in the words of `drift`.
impl IgnoreRules {
    fn has_drifted(&self, live: &Object, answer: &Object) -> bool {
        if !self.concerns(answer) {
            return drift::has_drifted(live, answer);
        }
        drift::has_drifted(&self.without_ignored(answer, live), &self.without_ignored(answer, answer))
    }
}

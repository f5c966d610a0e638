//! Server-side apply of a set of objects in stages: look, decide, write only what differs.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use kube::Client;

use super::cluster::Requests;
use super::decide::Decision;
use super::ledger::Known;
use super::normalize;
use super::order::{CustomKinds, Stage, compare};
use super::{Action, Change, Cluster, Error, IgnoreRules, Ledger, Object, ObjectId, Resource, Takeover};

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

/// What became of an apply. On an error, `changes` holds what was done until then, and what may have been done.
pub struct Outcome {
    /// The objects in the order in which they were applied.
    pub changes: Vec<Change>,
    /// Why it ended early.
    pub error: Option<Error>,
}

/// An object with what is needed to ask about it.
pub(super) struct Item {
    pub(super) object: Object,
    pub(super) resource: Arc<Resource>,
    pub(super) id: ObjectId,
    pub(super) digest: u64,
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

impl Applier<'_> {
    pub(super) fn requests(&self) -> Requests<'_> {
        Requests { client: self.client, field_manager: &self.options.field_manager }
    }

    pub(super) fn mark(&self, name: &str) -> String {
        format!("{}/{name}", self.options.group)
    }

    pub(super) fn is_excluded(&self, object: &Object) -> bool {
        object.is_marked(&self.mark("reconcile"), "disabled") || object.is_marked(&self.mark("ssa"), "Ignore")
    }

    /// Applies all objects, stage by stage. What the ledger knows of others stays there: see [`Ledger::keep`].
    /// Within a stage, nothing is written unless the server accepts everything.
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
            if error.is_missing() {
                // Perhaps a definition is gone, or another one has come in its place.
                for item in &items {
                    self.cluster.forget_group(&item.id.group);
                }
            }
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
}

//! Looking at a live object, and deciding what an apply has to do about it. Nothing is written here.

use super::applier::{Applier, Item};
use super::error::Refusal;
use super::ledger::Known;
use super::observe::version_number;
use super::{Action, Error, IgnoreRules, Object, drift, managers};

/// What to do with an object.
pub(super) enum Decision {
    /// Nothing. What is known of it, if it was looked at.
    Leave(Action, Option<Object>),
    /// Nothing, and it was not even looked at.
    LeaveKnown(Action),
    Apply(Step),
}

pub(super) struct Step {
    pub(super) payload: Object,
    /// The action to report. `None`: what the answer shows.
    pub(super) action: Option<Action>,
    /// A JSON patch to send first.
    pub(super) clean: Vec<serde_json::Value>,
    /// An object to delete first.
    pub(super) recreate: Option<Object>,
    /// The version before.
    pub(super) before: u64,
    /// Whether nothing has checked the object yet.
    pub(super) unchecked: bool,
}

impl Step {
    fn create(payload: Object) -> Self {
        let action = Some(Action::Created);
        Self { payload, action, clean: Vec::new(), recreate: None, before: 0, unchecked: false }
    }
}

impl Applier<'_> {
    /// Looks at one object and decides what to do, without writing anything.
    ///
    /// `alone`: no other object of the stage is to be written, so that a write that is refused leaves no half stage.
    pub(super) async fn decide(
        &self,
        item: &Item,
        known: Option<&Known>,
        alone: bool,
    ) -> Result<Decision, Error> {
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
            // What others own must be read to be migrated, and the watch may lag behind their writes.
            && !self.options.migrate_api_version
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

    pub(super) async fn find(&self, item: &Item) -> Result<Option<Object>, Refusal> {
        self.requests().find(&item.resource, item.object.namespace(), item.object.name()).await
    }

    /// The full comparison of a live object with what an apply would make of it.
    pub(super) async fn compare(&self, item: &Item) -> Result<Decision, Error> {
        let Item { object, resource, id, .. } = item;
        let once = object.is_marked(&self.mark("ssa"), "IfNotPresent");
        let mut live = match self.find(item).await {
            Ok(live) => live,
            // It may be there, and then it is to be left alone.
            Err(refusal) if once => return Err(Error::dry_run(id, &refusal)),
            // What cannot be read is taken for absent, as in the reference; the dry run has the last word.
            Err(_) => None,
        };
        let mut migrated = false;
        if let Some(found) = &live {
            if once || self.is_excluded(found) {
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
    pub(super) async fn may_recreate(&self, item: &Item, live: &Object, refusal: &Refusal) -> bool {
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
}

/// Whether live objects differ, in the words of `drift`.
impl IgnoreRules {
    pub(super) fn has_drifted(&self, live: &Object, answer: &Object) -> bool {
        if !self.concerns(answer) {
            return drift::has_drifted(live, answer);
        }
        drift::has_drifted(&self.without_ignored(answer, live), &self.without_ignored(answer, answer))
    }
}

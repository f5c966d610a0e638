//! What one owner applied last, so that what has not changed since needs no request.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::observe::KindWatch;
use super::{Action, Change, ObjectId};

/// Memory of the last apply of one owner. It is lost with the process, and then everything is looked at once.
#[derive(Default)]
pub struct Ledger {
    entries: HashMap<ObjectId, Known>,
}

/// What is known of an object since it was last looked at.
#[derive(Clone)]
pub(crate) struct Known {
    /// Stands for what was applied.
    pub(crate) digest: u64,
    /// Stands for what the server then had.
    pub(crate) fingerprint: u64,
    /// The server's version then.
    pub(crate) resource_version: u64,
    /// The version of the API without the group.
    pub(crate) version: String,
    /// Whether the object was left alone.
    pub(crate) skipped: bool,
    pub(crate) watch: Arc<KindWatch>,
}

impl Known {
    /// Whether the watch still shows what was there.
    pub(crate) fn is_untouched(&self, id: &ObjectId) -> bool {
        self.watch.has(&id.namespace, &id.name, self.fingerprint)
    }
}

/// Notices changes of objects, by the watches that are there anyway.
pub struct Sentry {
    entries: Vec<(ObjectId, Known)>,
}

impl Sentry {
    /// Waits until an object is not as it was left, and tells which.
    pub async fn touched(&self) -> ObjectId {
        let notify = Arc::new(Notify::new());
        for (id, known) in &self.entries {
            known.watch.notify(&id.namespace, &id.name, &notify);
        }
        loop {
            let touched = self.entries.iter().find(|(id, known)| !known.skipped && !known.is_untouched(id));
            if let Some((id, _)) = touched {
                return id.clone();
            }
            notify.notified().await;
        }
    }
}

impl Ledger {
    /// Whether all objects are as they were left, without a request.
    pub fn is_untouched(&self) -> bool {
        self.entries.iter().all(|(id, known)| known.is_untouched(id))
    }

    /// Whether all objects are healthy by the usual rules.
    pub fn is_healthy(&self) -> bool {
        self.entries.iter().all(|(id, known)| known.skipped || super::health::is_current(&known.watch, id))
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The version of an object that was written last; 0 where it is not known.
    pub fn written(&self, id: &ObjectId) -> u64 {
        self.entries.get(id).map_or(0, |known| known.resource_version)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&ObjectId, &Known)> {
        self.entries.iter()
    }

    /// Forgets the objects for which `keep` is false. Returns whether there were none.
    pub(super) fn retain(&mut self, keep: impl Fn(&ObjectId, &Known) -> bool) -> bool {
        let before = self.entries.len();
        self.entries.retain(|id, known| keep(id, known));
        self.entries.len() == before
    }

    pub(crate) fn get(&self, id: &ObjectId) -> Option<&Known> {
        self.entries.get(id)
    }

    pub(crate) fn set(&mut self, id: ObjectId, known: Option<Known>) {
        match known {
            Some(known) => self.entries.insert(id, known),
            None => self.entries.remove(&id),
        };
    }

    /// Someone who notices when an object is not any more as it was left.
    pub fn sentry(&self) -> Sentry {
        Sentry { entries: self.entries.iter().map(|(id, known)| (id.clone(), known.clone())).collect() }
    }

    /// Keeps only what is part of the last set of changes.
    pub fn keep(&mut self, changes: &[Change]) {
        let kept: std::collections::HashSet<_> = changes.iter().map(|change| &change.tracked.id).collect();
        self.entries.retain(|id, _| kept.contains(id));
    }

    /// What an apply that finds nothing to do would report, in no order.
    pub fn unchanged(&self) -> Vec<Change> {
        self.entries
            .iter()
            .map(|(id, known)| {
                let action = if known.skipped { Action::Skipped } else { Action::Unchanged };
                Change::new(id.clone(), &known.version, action)
            })
            .collect()
    }
}

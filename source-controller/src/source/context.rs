//! What a reconcile works with: the process, the objects of its kind, and the way to write their status.

use std::sync::Arc;

use kube::ResourceExt as _;
use sluice_artifact::storage::StorageError;
use sluice_runtime::controller::Next;
use sluice_runtime::{Cache, ObjectKey, StatusWriter};

use super::summarize::{Event, NextRun, Report};
use super::{OWNED, Source, blocking};
use crate::Shared;

/// How often an object is looked at whose kind does not ask for an interval.
const DEFAULT_INTERVAL: std::time::Duration = std::time::Duration::from_mins(1);

/// What a reconcile works with.
pub(crate) struct Context<K> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) cache: Arc<Cache<K>>,
    status: StatusWriter<K>,
}

impl<K: Source> Context<K> {
    pub(super) fn new(shared: Arc<Shared>, cache: Arc<Cache<K>>) -> Self {
        let client = shared.manager.client.clone();
        let status = StatusWriter::new(client, cache.clone(), "source-controller", &OWNED);
        Context { shared, cache, status }
    }

    /// Writes a status. Later differences are against what was written.
    pub(crate) async fn write(&self, object: &Arc<K>, status: &K::Status) -> kube::Result<()> {
        self.status.write(&self.current(object), status).await.map(|_| ())
    }

    /// The object as it was last written or seen.
    fn current(&self, object: &Arc<K>) -> Arc<K> {
        let cached = self.cache.get(&ObjectKey::of(&**object));
        cached.filter(|cached| cached.uid() == object.uid()).unwrap_or_else(|| object.clone())
    }

    pub(super) async fn report(&self, object: &Arc<K>, report: Report<K>) -> kube::Result<Next> {
        self.write(object, &report.status).await?;
        for event in report.events {
            self.emit(object, event);
        }
        Ok(match report.next {
            NextRun::Interval => {
                let interval = object.interval().map_or(DEFAULT_INTERVAL, |interval| interval.to_std());
                Next::After(self.shared.manager.flags.jitter(interval))
            }
            NextRun::Dependency => Next::After(self.shared.flags.requeue_dependency),
            NextRun::Backoff => Next::Backoff,
            NextRun::Change => Next::AwaitChange,
        })
    }

    /// Reports an event.
    pub(crate) fn emit(&self, object: &K, event: Event) {
        let Event { severity, reason, message, metadata } = event;
        self.shared.manager.recorder.emit(object, severity, reason, message, metadata);
    }

    /// Removes all artifacts of an object.
    pub(crate) async fn remove_artifacts(&self, object: &K) -> Result<bool, StorageError> {
        let ObjectKey { namespace, name } = ObjectKey::of(object);
        let storage = self.shared.storage.clone();
        blocking(move || storage.remove_object(&K::kind(&()), &namespace, &name)).await
    }
}

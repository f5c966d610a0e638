//! The watch loop of one kind: what changes is queued, workers reconcile it.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};
use sluice_api::meta::{RECONCILE_REQUEST_ANNOTATION, Reconcilable};
use tracing::Instrument;

use crate::cache::{Cache, Change, Undecodable};
use crate::metrics::ReconcileResult;
use crate::queue::{Priority, Queue, Waker};
use crate::watch::{self, Watched};
use crate::{Manager, ObjectKey, errors, finalizer, retry};

/// When an object is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// When something changes, or when somebody wakes it.
    AwaitChange,
    /// At once.
    Now,
    /// After this time, at the latest.
    After(Duration),
    /// After this object's own back-off, which grows with each failure in a row.
    Backoff,
}

impl Next {
    /// An interval of zero asks for no further look, as in the reference, not for one after the other.
    fn or_never(self) -> Self {
        if self == Self::After(Duration::ZERO) { Self::AwaitChange } else { self }
    }
}

/// Brings objects of one kind to their desired state.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind.
    type Kind: Reconcilable;

    /// Looks at one object and does what is needed. Never called twice at the same time for one object.
    fn reconcile(&self, object: Arc<Self::Kind>) -> impl Future<Output = Next> + Send;

    /// The object is gone: whatever is remembered of it can be dropped.
    fn forget(&self, key: &ObjectKey) {
        let _ = key;
    }
}

/// The controller of one kind.
pub struct Controller<K> {
    manager: Arc<Manager>,
    cache: Arc<Cache<K>>,
    queue: Arc<Queue>,
    name: String,
    concurrency: usize,
    /// The watches of other kinds.
    watches: Vec<BoxFuture<'static, ()>>,
    /// Resolve when the caches of other kinds hold their first list.
    synced: Vec<BoxFuture<'static, ()>>,
}

impl<K> Controller<K>
where
    K: Reconcilable,
{
    /// A controller with a number of workers.
    pub fn new(manager: &Arc<Manager>, concurrency: usize) -> Self {
        let name = K::kind(&()).to_lowercase();
        let queue = Arc::new(Queue::new(manager.flags.backoff(), manager.metrics.queue(&name)));
        let cache = Arc::default();
        Self {
            manager: manager.clone(),
            cache,
            queue,
            name,
            concurrency,
            watches: Vec::new(),
            synced: Vec::new(),
        }
    }

    /// The objects of the kind.
    pub fn cache(&self) -> Arc<Cache<K>> {
        self.cache.clone()
    }

    /// Begins only when this cache of another controller is filled, too.
    pub fn begin_after<R: Watched>(&mut self, cache: &Arc<Cache<R>>) {
        let cache = cache.clone();
        self.synced.push(Box::pin(async move { cache.synced().await }));
    }

    /// The way to ask for a reconcile from elsewhere.
    pub fn waker(&self) -> Waker {
        Waker(self.queue.clone())
    }

    /// Watches another kind too. `affected`: the objects of the own kind that a change concerns.
    pub fn watch<R>(
        &mut self,
        api: Api<R>,
        config: watcher::Config,
        affected: impl Fn(&Change<R>) -> Vec<ObjectKey> + Send + Sync + 'static,
    ) -> Arc<Cache<R>>
    where
        R: Watched,
    {
        self.follow(watch::objects(&api, config), affected)
    }

    /// Watches only the metadata of another kind.
    pub fn watch_metadata<R>(
        &mut self,
        api: Api<PartialObjectMeta<R>>,
        config: watcher::Config,
        affected: impl Fn(&Change<PartialObjectMeta<R>>) -> Vec<ObjectKey> + Send + Sync + 'static,
    ) -> Arc<Cache<PartialObjectMeta<R>>>
    where
        R: Watched,
    {
        self.follow(watch::metadata(api, config), affected)
    }

    /// Watches the metadata of ConfigMaps and Secrets, as far as flags let it. `affected`: whom a change of one concerns, by
    /// its kind and key.
    pub fn watch_configs(
        &mut self,
        affected: impl Fn(&str, &ObjectKey) -> Vec<ObjectKey> + Clone + Send + Sync + 'static,
    ) {
        self.watch_config_kind::<ConfigMap>(affected.clone());
        self.watch_config_kind::<Secret>(affected);
    }

    fn watch_config_kind<R>(
        &mut self,
        affected: impl Fn(&str, &ObjectKey) -> Vec<ObjectKey> + Send + Sync + 'static,
    ) where
        R: Watched,
    {
        let manager = &self.manager;
        let api = if manager.flags.watch_all_namespaces {
            Api::<PartialObjectMeta<R>>::all(manager.client.clone())
        } else {
            Api::namespaced(manager.client.clone(), &manager.runtime_namespace)
        };
        let config = manager.flags.configs_watch_config();
        self.watch_metadata(api, config, move |change| {
            if change.initial { Vec::new() } else { affected(&R::kind(&()), &change.key) }
        });
    }

    fn follow<R>(
        &mut self,
        events: impl watch::Events<R>,
        affected: impl Fn(&Change<R>) -> Vec<ObjectKey> + Send + Sync + 'static,
    ) -> Arc<Cache<R>>
    where
        R: Watched,
    {
        let cache = Arc::<Cache<R>>::default();
        let queue = self.queue.clone();
        let store = cache.clone();
        self.watches.push(Box::pin(async move {
            let changed = |change: Change<R>| {
                let priority = if change.initial { Priority::Routine } else { Priority::Urgent };
                for key in affected(&change) {
                    queue.add(&key, priority);
                }
            };
            store.follow(events, changed, |object| watch::tell_undecodable::<R>(&object)).await;
        }));
        self.begin_after(&cache);
        cache
    }

    /// Runs until the manager stops; then ends after the reconciles that are under way.
    pub async fn run(self, reconciler: impl Reconciler<Kind = K>) {
        let Self { manager, cache, queue, name, concurrency, watches, synced } = self;
        let reconciler = Arc::new(reconciler);
        let stop = manager.stop.clone();
        let watches = {
            let own = watch_own(manager.clone(), cache.clone(), queue.clone(), reconciler.clone());
            let all = watches.into_iter().chain([Box::pin(own) as BoxFuture<'static, ()>]);
            all.map(|watch| tokio::spawn(stop.clone().run_until_cancelled_owned(watch))).collect::<Vec<_>>()
        };
        let ready = async {
            futures::future::join_all(synced).await;
            cache.synced().await;
        };
        if stop.run_until_cancelled(ready).await.is_some() {
            tracing::info!(
                controller = name,
                objects = cache.len(),
                workers = concurrency,
                "controller started"
            );
            let workers = (0..concurrency.max(1)).map(|_| {
                let worker = Worker {
                    manager: manager.clone(),
                    cache: cache.clone(),
                    queue: queue.clone(),
                    reconciler: reconciler.clone(),
                    name: name.clone(),
                };
                tokio::spawn(worker.run())
            });
            futures::future::join_all(workers).await;
        }
        futures::future::join_all(watches).await;
    }
}

/// Follows the controller's own kind.
async fn watch_own<R: Reconciler>(
    manager: Arc<Manager>,
    cache: Arc<Cache<R::Kind>>,
    queue: Arc<Queue>,
    reconciler: Arc<R>,
) {
    let events = watch::objects(&manager.watched::<R::Kind>(), manager.flags.watch_config());
    let kind = R::Kind::kind(&());
    let changed = |change: Change<R::Kind>| match (&change.old, &change.new) {
        (_, None) => {
            queue.forget(&change.key);
            manager.metrics.forget(&kind, &change.key);
            reconciler.forget(&change.key);
        }
        (None, Some(_)) if change.initial => queue.add(&change.key, Priority::Routine),
        (None, Some(_)) => queue.add(&change.key, Priority::Urgent),
        (Some(old), Some(new)) if calls_for_work(&**old, &**new) => queue.add(&change.key, Priority::Urgent),
        _ => {}
    };
    let undecodable = |object: Undecodable| {
        watch::tell_undecodable::<R::Kind>(&object);
        if object.deleting {
            let client = manager.client.clone();
            tokio::spawn(async move {
                if let Err(error) = finalizer::release::<R::Kind>(&client, &object).await {
                    let error = errors::describe(&error);
                    tracing::error!(object = %object.key, error, "cannot release an object that does not decode");
                }
            });
        }
    };
    cache.follow(events, changed, undecodable).await;
}

/// Whether a change is one of the spec, a request, a suspension by annotation, a deletion or a new object of the same name.
/// Status writes are not.
fn calls_for_work<K: Reconcilable>(old: &K, new: &K) -> bool {
    let requested = |object: &K| object.annotations().get(RECONCILE_REQUEST_ANNOTATION).cloned();
    old.meta().generation != new.meta().generation
        || old.meta().uid != new.meta().uid
        || old.meta().deletion_timestamp.is_some() != new.meta().deletion_timestamp.is_some()
        || requested(old) != requested(new)
        || old.suspend() != new.suspend()
}

struct Worker<R: Reconciler> {
    manager: Arc<Manager>,
    cache: Arc<Cache<R::Kind>>,
    queue: Arc<Queue>,
    reconciler: Arc<R>,
    name: String,
}

impl<R: Reconciler> Worker<R> {
    async fn run(self) {
        while let Some(key) = self.queue.next(&self.manager.stop).await {
            let Some(object) = self.cache.get(&key) else {
                self.queue.done(&key, None);
                self.queue.forget(&key);
                continue;
            };
            let started = Instant::now();
            let (next, failed) = self.reconcile(&key, object).await;
            let next = next.or_never();
            let elapsed = started.elapsed();
            let result = match next {
                _ if failed => ReconcileResult::Error,
                Next::AwaitChange => ReconcileResult::Success,
                Next::Now => ReconcileResult::Requeue,
                Next::After(_) => ReconcileResult::RequeueAfter,
                Next::Backoff => ReconcileResult::Error,
            };
            self.manager.metrics.worked(&self.name, result, elapsed);
            if self.cache.get(&key).is_some() {
                self.manager.metrics.reconciled(&R::Kind::kind(&()), &key, elapsed);
            }
            match next {
                // An API server that was away, or a status that could not be written, costs no whole interval.
                Next::After(delay) if failed => drop(self.queue.failed_within(&key, delay)),
                Next::AwaitChange if failed => drop(self.queue.failed(&key)),
                Next::AwaitChange => self.queue.done(&key, None),
                Next::Now => self.queue.done(&key, Some(Duration::ZERO)),
                Next::After(delay) => self.queue.done(&key, Some(delay)),
                Next::Backoff => drop(self.queue.failed(&key)),
            }
        }
    }

    /// Reconciles in a task of its own, so that a panic ends neither the worker nor anybody else's work. Also tells
    /// whether the API server failed meanwhile.
    async fn reconcile(&self, key: &ObjectKey, object: Arc<R::Kind>) -> (Next, bool) {
        let span = tracing::info_span!(
            "reconcile",
            controller = self.name,
            controllerGroup = %R::Kind::group(&()),
            controllerKind = %R::Kind::kind(&()),
            namespace = key.namespace,
            name = key.name,
            reconcileID = %format_args!("{:016x}", fastrand::u64(..)),
        );
        let reconciler = self.reconciler.clone();
        let work = async move { reconciler.reconcile(object).await };
        let task = tokio::spawn(retry::observed(work).instrument(span.clone()));
        task.await.unwrap_or_else(|error| {
            let _entered = span.enter();
            tracing::error!(%error, "the reconcile ended in a bug of Sluice; it is retried");
            (Next::Backoff, false)
        })
    }
}

#[cfg(test)]
mod tests {
    use sluice_api::source::GitRepository;

    use super::*;

    fn object(metadata: &serde_json::Value) -> GitRepository {
        let spec = serde_json::json!({"url": "https://example.com", "interval": "1m"});
        serde_json::from_value(serde_json::json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[test]
    fn an_interval_of_zero_is_no_interval() {
        assert_eq!(Next::After(Duration::ZERO).or_never(), Next::AwaitChange);
        let millisecond = Next::After(Duration::from_millis(1));
        assert_eq!(millisecond.or_never(), millisecond);
        assert_eq!(Next::Now.or_never(), Next::Now);
    }

    #[test]
    fn own_status_writes_do_not_wake_the_loop_but_requests_and_changes_do() {
        let old = object(&serde_json::json!({"generation": 1, "uid": "u", "resourceVersion": "1"}));
        let with = |metadata| calls_for_work(&old, &object(&metadata));
        assert!(!with(serde_json::json!({"generation": 1, "uid": "u", "resourceVersion": "2"})));
        assert!(with(serde_json::json!({"generation": 2, "uid": "u"})));
        assert!(with(serde_json::json!({"generation": 1, "uid": "v"})));
        let requested = serde_json::json!({"reconcile.fluxcd.io/requestedAt": "now"});
        assert!(with(serde_json::json!({"generation": 1, "uid": "u", "annotations": requested})));
        let deleted = "2026-01-01T00:00:00Z";
        assert!(with(serde_json::json!({"generation": 1, "uid": "u", "deletionTimestamp": deleted})));
    }
}

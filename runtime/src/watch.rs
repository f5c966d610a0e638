//! Watching a kind: its objects as they change, also those that do not decode.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::Resource;
use kube::api::Api;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use serde::de::DeserializeOwned;

use crate::Manager;
use crate::cache::{Cache, Change, Undecodable};
use crate::guarded::Guarded;

/// A kind in namespaces that can be watched, whether a controller reconciles it or only reads it.
pub trait Watched:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Watched for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// What a watch tells of a kind, without end.
pub(crate) trait Events<R>: Stream<Item = watcher::Result<Event<R>>> + Send + 'static {}

impl<R, S: Stream<Item = watcher::Result<Event<R>>> + Send + 'static> Events<R> for S {}

type Event<R> = watcher::Event<Guarded<R>>;

/// The objects of a kind.
pub(crate) fn objects<R: Watched>(api: &Api<R>, config: watcher::Config) -> impl Events<R> + use<R> {
    watcher(guarded(api), config).default_backoff()
}

/// Only the metadata of a kind's objects.
pub(crate) fn metadata<R: Watched>(
    api: Api<PartialObjectMeta<R>>,
    config: watcher::Config,
) -> impl Events<PartialObjectMeta<R>> {
    let slim = |mut object: PartialObjectMeta<R>| {
        // Nobody reads them, and they take most memory. Those of whole objects are not decoded at all.
        object.metadata.managed_fields = None;
        Guarded(Ok(object))
    };
    watcher(api, config).default_backoff().map(move |event| event.map(|event| map(event, slim)))
}

/// Logs an object that does not decode.
pub(crate) fn tell_undecodable<R: Watched>(object: &Undecodable) {
    tracing::error!(kind = %R::kind(&()), object = %object.key, error = object.error, "object does not decode");
}

/// Keeps a cache of a kind that this process reads but does not reconcile, until the process stops. `changed` sees each
/// change.
pub fn mirror<R>(
    manager: &Manager,
    config: watcher::Config,
    changed: impl Fn(&Change<R>) + Send + Sync + 'static,
) -> Arc<Cache<R>>
where
    R: Watched,
{
    let cache = Arc::<Cache<R>>::default();
    let events = objects(&manager.watched::<R>(), config);
    let store = cache.clone();
    let follow = async move {
        store.follow(events, |change| changed(&change), |object| tell_undecodable::<R>(&object)).await;
    };
    manager.tasks.spawn(manager.stop.clone().run_until_cancelled_owned(follow));
    cache
}

/// The same API, for objects that may not decode.
fn guarded<R: Watched>(api: &Api<R>) -> Api<Guarded<R>> {
    let namespace = api.namespace().map(str::to_owned);
    let client = api.clone().into_client();
    match namespace {
        Some(namespace) => Api::namespaced(client, &namespace),
        None => Api::all(client),
    }
}

/// Changes the objects of a watch event into others.
fn map<A, B>(event: watcher::Event<A>, map: impl Fn(A) -> B) -> watcher::Event<B> {
    match event {
        watcher::Event::Apply(object) => watcher::Event::Apply(map(object)),
        watcher::Event::Delete(object) => watcher::Event::Delete(map(object)),
        watcher::Event::InitApply(object) => watcher::Event::InitApply(map(object)),
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitDone => watcher::Event::InitDone,
    }
}

//! The objects of one kind as a watch last showed them, and never older than what this process wrote itself.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};

use futures::{Stream, StreamExt};
use kube::Resource;
use kube::runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::ObjectKey;
use crate::guarded::{Guarded, Invalid};

/// What a watch event did to one object.
#[derive(Clone, Debug)]
pub struct Change<K> {
    /// Key of the object.
    pub key: ObjectKey,
    /// The object before, if it was known.
    pub old: Option<Arc<K>>,
    /// The object now; `None` when it is gone.
    pub new: Option<Arc<K>>,
    /// Whether it was found by the first list after the start, and so is nothing new.
    pub initial: bool,
}

/// An object that the API server holds but that does not decode as its type.
#[derive(Clone, Debug)]
pub struct Undecodable {
    /// Key of the object.
    pub key: ObjectKey,
    /// Why it does not decode.
    pub error: String,
    /// Whether somebody asked for its deletion.
    pub deleting: bool,
    /// Its finalizers.
    pub finalizers: Vec<String>,
}

/// The objects of one kind, by key.
pub struct Cache<K> {
    objects: RwLock<HashMap<ObjectKey, Arc<K>>>,
    synced: watch::Sender<bool>,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self { objects: RwLock::default(), synced: watch::Sender::new(false) }
    }
}

impl<K: Resource> Cache<K> {
    /// The object of a key.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// All objects for which `wanted` holds, in no order.
    pub fn filter(&self, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.values().filter(|object| wanted(object)).cloned().collect()
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the first list is complete.
    pub async fn synced(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Takes over an object that this process has just written, so that the next reconcile does not see an older
    /// one. An object that the watch has dropped meanwhile stays dropped. Managed fields are left out, as they are of
    /// objects that come by the watch: nobody reads them, and they are most of an object.
    pub fn observe_write(&self, mut object: K) -> Arc<K> {
        let metadata = object.meta_mut();
        metadata.managed_fields = None;
        metadata.finalizers.iter_mut().for_each(Vec::shrink_to_fit);
        let object = Arc::new(object);
        let key = ObjectKey::of(&*object);
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = objects.get_mut(&key)
            && known.meta().uid == object.meta().uid
            && is_newer(&*object, &**known)
        {
            *known = object.clone();
        }
        object
    }

    /// Stores an object that the watch reported. `None` when what is there is newer. What this process has written is
    /// there already: whoever wrote it goes on with it, and one of it is enough.
    fn apply(&self, object: K, initial: bool) -> Option<Change<K>> {
        let key = ObjectKey::of(&object);
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let old = objects.get(&key).cloned();
        let mut new = None;
        if let Some(old) = &old
            && old.meta().uid == object.meta().uid
        {
            if is_newer(&**old, &object) {
                return None;
            }
            if is_same(&**old, &object) {
                new = Some(old.clone());
            }
        }
        let new = new.unwrap_or_else(|| {
            let new = Arc::new(object);
            objects.insert(key.clone(), new.clone());
            new
        });
        Some(Change { key, old, new: Some(new), initial })
    }

    fn remove(&self, key: &ObjectKey) -> Option<Change<K>> {
        let old = self.objects.write().unwrap_or_else(PoisonError::into_inner).remove(key)?;
        Some(Change { key: key.clone(), old: Some(old), new: None, initial: false })
    }

    fn retain(&self, seen: &HashSet<ObjectKey>) -> Vec<Change<K>> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> = objects.keys().filter(|key| !seen.contains(*key)).cloned().collect();
        gone.into_iter()
            .map(|key| Change { old: objects.remove(&key), key, new: None, initial: false })
            .collect()
    }
}

impl<K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static> Cache<K> {
    /// Follows a watch for as long as it lasts, calling `changed` for each change and `undecodable` for each object
    /// that does not decode. Errors of the watch are logged and retried by the stream itself.
    pub(crate) async fn follow(
        &self,
        events: impl Stream<Item = watcher::Result<watcher::Event<Guarded<K>>>> + Send,
        mut changed: impl FnMut(Change<K>) + Send,
        mut undecodable: impl FnMut(Undecodable) + Send,
    ) {
        let mut events = std::pin::pin!(events);
        let mut seen = HashSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => seen.clear(),
                Ok(watcher::Event::InitApply(Guarded(object))) => match object {
                    Ok(object) => {
                        seen.insert(ObjectKey::of(&object));
                        let initial = !*self.synced.borrow();
                        if let Some(change) = self.apply(object, initial) {
                            changed(change);
                        }
                    }
                    Err(invalid) => undecodable(invalid.into()),
                },
                Ok(watcher::Event::InitDone) => {
                    self.retain(&seen).into_iter().for_each(&mut changed);
                    seen = HashSet::new();
                    self.synced.send_replace(true);
                }
                Ok(watcher::Event::Apply(Guarded(object))) => match object {
                    Ok(object) => {
                        if let Some(change) = self.apply(object, false) {
                            changed(change);
                        }
                    }
                    Err(invalid) => undecodable(invalid.into()),
                },
                Ok(watcher::Event::Delete(object)) => {
                    if let Some(change) = self.remove(&ObjectKey::of(&object)) {
                        changed(change);
                    }
                }
                Err(error) => {
                    tracing::error!(error = %crate::errors::describe_watch(&error), "watch failed, retrying");
                }
            }
        }
    }
}

impl From<Invalid> for Undecodable {
    fn from(invalid: Invalid) -> Self {
        let metadata = invalid.metadata;
        Self {
            key: ObjectKey::new(metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default()),
            error: invalid.error,
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.unwrap_or_default(),
        }
    }
}

/// Whether `a` has a later resource version than `b`. Versions that are no numbers do not compare: then the last one
/// seen counts.
fn is_newer<K: Resource>(a: &K, b: &K) -> bool {
    let version = |object: &K| object.meta().resource_version.as_deref().and_then(|v| v.parse::<u128>().ok());
    matches!((version(a), version(b)), (Some(a), Some(b)) if a > b)
}

/// Whether two objects of one identity are of one version.
fn is_same<K: Resource>(a: &K, b: &K) -> bool {
    a.meta().resource_version.is_some() && a.meta().resource_version == b.meta().resource_version
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

    use super::*;

    fn object(name: &str, version: u64) -> ConfigMap {
        serde_json::from_value(serde_json::json!({"metadata": {
            "name": name, "namespace": "ns", "uid": name, "resourceVersion": version.to_string(),
        }}))
        .unwrap()
    }

    async fn follow(cache: &Cache<ConfigMap>, events: Vec<watcher::Event<ConfigMap>>) -> Vec<String> {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let mut seen = Vec::new();
        let events = events.into_iter().map(|event| {
            Ok(match event {
                Init => Init,
                InitDone => InitDone,
                Apply(object) => Apply(Guarded(Ok(object))),
                InitApply(object) => InitApply(Guarded(Ok(object))),
                Delete(object) => Delete(Guarded(Ok(object))),
            })
        });
        let changed = |change: Change<ConfigMap>| {
            let what = match (&change.old, &change.new) {
                (None, _) => "new",
                (_, Some(_)) => "changed",
                _ => "gone",
            };
            seen.push(format!("{what} {}{}", change.key.name, if change.initial { " initial" } else { "" }));
        };
        cache.follow(stream::iter(events), changed, |_| {}).await;
        seen
    }

    #[tokio::test]
    async fn a_relist_reports_what_vanished_meanwhile() {
        use watcher::Event::{Init, InitApply, InitDone};
        let cache = Cache::default();
        let first = vec![Init, InitApply(object("a", 1)), InitApply(object("b", 2)), InitDone];
        assert_eq!(follow(&cache, first).await, ["new a initial", "new b initial"]);
        let second = vec![Init, InitApply(object("b", 5)), InitDone];
        assert_eq!(follow(&cache, second).await, ["changed b", "gone a"]);
        assert_eq!(cache.len(), 1);
    }

    #[tokio::test]
    async fn an_own_write_is_not_undone_by_an_older_watch_event() {
        use watcher::Event::{Apply, Delete};
        let cache = Cache::default();
        follow(&cache, vec![Apply(object("a", 1))]).await;
        let mut written = object("a", 9);
        written.metadata.managed_fields = Some(vec![ManagedFieldsEntry::default()]);
        assert_eq!(cache.observe_write(written).metadata.managed_fields, None);
        assert!(follow(&cache, vec![Apply(object("a", 5))]).await.is_empty());
        let held = cache.get(&ObjectKey::new("ns", "a")).unwrap();
        assert_eq!(follow(&cache, vec![Apply(object("a", 9))]).await, ["changed a"]);
        let known = cache.get(&ObjectKey::new("ns", "a")).unwrap();
        assert!(Arc::ptr_eq(&held, &known), "what was written is there twice");
        let version = |cache: &Cache<ConfigMap>| {
            cache.get(&ObjectKey::new("ns", "a")).and_then(|a| a.metadata.resource_version.clone())
        };
        assert_eq!(version(&cache).as_deref(), Some("9"));
        follow(&cache, vec![Delete(object("a", 10))]).await;
        cache.observe_write(object("a", 11));
        assert_eq!(
            version(&cache),
            None,
            "a write that ends after the deletion must not bring the object back"
        );
    }
}

//! Watches on managed objects, one for each kind however many wait for it: what changed, and how healthy it is.
//!
//! Nothing of an object is kept but a fingerprint and its status.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::Api;
use kube::core::ApiResource;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use sluice_kstatus::Status;
use tokio::sync::{Notify, watch};

use super::fingerprint::fingerprint;
use super::sighting::Sighting;
use super::{Object, Resource};
use crate::errors::describe_watch;

/// How the health of an object is told from its JSON.
pub type Judge = Arc<dyn Fn(&Value) -> (Status, String) + Send + Sync>;

/// What is known of a watched object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Stands for everything that an apply could have set.
    pub fingerprint: u64,
    /// The server's version, to tell older from newer.
    pub resource_version: u64,
    /// How healthy it is.
    pub status: Status,
    /// Why, unless it is current.
    pub message: Box<str>,
}

/// The objects that a watch covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Scope {
    /// Those with the label of managed objects.
    Managed,
    /// A single one.
    Single { namespace: String, name: String },
}

/// The watches on one cluster. Each lives as long as somebody holds it.
pub struct Observer {
    client: Client,
    managed: &'static str,
    watches: Mutex<HashMap<(String, String), Weak<KindWatch>>>,
}

/// The objects of one kind as a watch shows them.
pub struct KindWatch {
    shared: Arc<Shared>,
    task: tokio::task::AbortHandle,
}

type Key = (String, String);

#[derive(Default)]
struct Shared {
    objects: Mutex<HashMap<Key, Seen>>,
    waiting: Mutex<HashMap<Key, Vec<Weak<Notify>>>>,
    phase: watch::Sender<Phase>,
    trouble: Mutex<Option<Trouble>>,
}

/// A watch that broke. It goes on by itself, which nothing tells while nothing changes.
struct Trouble {
    error: String,
    at: Instant,
}

/// How long after an error a watch is not trusted: longer than the longest pause between two tries.
const DISTRUST: Duration = Duration::from_mins(1);

/// How many objects a request of a first list asks for: the whole of a page is in memory at once, with its content.
const PAGE: u32 = 100;

/// How far a watch has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    /// The first list failed; it is tried again.
    Failing,
    /// The first list is complete.
    Synced,
}

impl Drop for KindWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Observer {
    pub(crate) fn new(client: Client, managed: &'static str) -> Self {
        Self { client, managed, watches: Mutex::default() }
    }

    /// The watch on the managed objects of a kind; started if nobody had it.
    pub fn managed(&self, resource: &Resource) -> Arc<KindWatch> {
        let key = (resource.api.api_version.clone(), resource.api.kind.clone());
        let mut watches = lock(&self.watches);
        if let Some(running) = watches.get(&key).and_then(Weak::upgrade) {
            return running;
        }
        watches.retain(|_, watch| watch.strong_count() > 0);
        let judge: Judge = Arc::new(super::health::judge);
        let started = Arc::new(self.start(&self.client, resource, Scope::Managed, judge));
        watches.insert(key, Arc::downgrade(&started));
        started
    }

    /// A watch on one object, with somebody's rights and own rules.
    pub fn single(
        &self,
        client: &Client,
        resource: &Resource,
        namespace: &str,
        name: &str,
        judge: Judge,
    ) -> Arc<KindWatch> {
        let scope = Scope::Single { namespace: namespace.to_owned(), name: name.to_owned() };
        Arc::new(self.start(client, resource, scope, judge))
    }

    fn start(&self, client: &Client, resource: &Resource, scope: Scope, judge: Judge) -> KindWatch {
        let shared = Arc::new(Shared::default());
        let client = client.clone();
        let api = resource.api.clone();
        let (config, namespace) = match &scope {
            Scope::Managed => (watcher::Config::default().labels(self.managed).page_size(PAGE), None),
            Scope::Single { namespace, name } => {
                let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
                (config, resource.namespaced.then(|| namespace.clone()))
            }
        };
        let follower = shared.clone();
        let light = scope == Scope::Managed && is_light(&resource.api.group, &resource.api.kind);
        let task = tokio::spawn(async move {
            if light {
                let events = watcher(Api::<Sighting<false>>::all_with(client, &api), config);
                follower.follow(events.default_backoff(), |object| look(object, &api, &judge)).await;
            } else {
                let watched = match namespace {
                    Some(namespace) => Api::<Sighting<true>>::namespaced_with(client, &namespace, &api),
                    None => Api::all_with(client, &api),
                };
                let events = watcher(watched, config);
                follower.follow(events.default_backoff(), |object| look(object, &api, &judge)).await;
            }
        });
        KindWatch { shared, task: task.abort_handle() }
    }
}

/// What is kept of an object.
fn look<const CONTENT: bool>(object: Sighting<CONTENT>, resource: &ApiResource, judge: &Judge) -> Seen {
    let Sighting { metadata, fingerprint, content } = object;
    let mut visible = json!({"name": metadata.name, "namespace": metadata.namespace});
    // A null where the server sends nothing would be an error to the rules.
    if let Some(generation) = metadata.generation {
        visible["generation"] = generation.into();
    }
    for (key, time) in [
        ("creationTimestamp", &metadata.creation_timestamp),
        ("deletionTimestamp", &metadata.deletion_timestamp),
    ] {
        if let Some(time) = time {
            visible[key] = time.0.to_string().into();
        }
    }
    for (key, tags) in [("labels", metadata.labels), ("annotations", metadata.annotations)] {
        if let Some(tags) = tags {
            visible[key] = tags.into_iter().map(|(key, tag)| (key, Value::String(tag))).collect();
        }
    }
    let mut value = Value::Object(content);
    value["metadata"] = visible;
    // Items of a list do not name their kind.
    value["apiVersion"] = resource.api_version.clone().into();
    value["kind"] = resource.kind.clone().into();
    let (status, message) = judge(&value);
    Seen {
        fingerprint,
        resource_version: version_number(metadata.resource_version.as_deref()),
        status,
        message: if status == Status::Current { Box::default() } else { message.into() },
    }
}

impl KindWatch {
    /// Whether the first list is complete: an object that is not seen then is not there, or not managed.
    pub fn is_synced(&self) -> bool {
        *self.shared.phase.borrow() == Phase::Synced
    }

    /// Waits until the first list is complete, or failed. Returns whether it is complete.
    pub async fn started(&self) -> bool {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.shared.phase.subscribe().wait_for(|phase| *phase != Phase::Starting).await;
        self.is_synced()
    }

    /// What is known of an object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Seen> {
        lock(&self.shared.objects).get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Whether an object is surely as it was: it has been, and the watch has not broken lately.
    pub(crate) fn has(&self, namespace: &str, name: &str, fingerprint: u64) -> bool {
        lock(&self.shared.trouble).as_ref().is_none_or(|trouble| trouble.at.elapsed() > DISTRUST)
            && self.get(namespace, name).is_some_and(|seen| seen.fingerprint == fingerprint)
    }

    /// Why the watch does not work at the moment.
    pub fn error(&self) -> Option<String> {
        lock(&self.shared.trouble).as_ref().map(|trouble| trouble.error.clone())
    }

    /// Wakes `notify` whenever the object changes, for as long as `notify` lives.
    pub fn notify(&self, namespace: &str, name: &str, notify: &Arc<Notify>) {
        let mut waiting = lock(&self.shared.waiting);
        let list = waiting.entry((namespace.to_owned(), name.to_owned())).or_default();
        list.retain(|waiter| waiter.strong_count() > 0);
        list.push(Arc::downgrade(notify));
    }

    /// Wakes `notify` no more for this object. Without it the next change of the object would clear up.
    pub(super) fn leave(&self, namespace: &str, name: &str, notify: &Arc<Notify>) {
        let mut waiting = lock(&self.shared.waiting);
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(list) = waiting.get_mut(&key) {
            list.retain(|waiter| waiter.strong_count() > 0 && waiter.as_ptr() != Arc::as_ptr(notify));
            if list.is_empty() {
                waiting.remove(&key);
            }
        }
    }
}

impl Shared {
    async fn follow<K: kube::Resource>(
        &self,
        events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
        look: impl Fn(K) -> Seen,
    ) {
        let mut events = std::pin::pin!(events);
        let mut listed = HashSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(object)) => {
                    let key = key_of(&object);
                    listed.insert(key.clone());
                    self.set(key, look(object));
                }
                Ok(watcher::Event::InitDone) => {
                    let gone: Vec<_> =
                        lock(&self.objects).keys().filter(|key| !listed.contains(*key)).cloned().collect();
                    for key in &gone {
                        self.remove(key);
                    }
                    listed = HashSet::new();
                    *lock(&self.trouble) = None;
                    self.phase.send_replace(Phase::Synced);
                }
                Ok(watcher::Event::Apply(object)) => self.set(key_of(&object), look(object)),
                Ok(watcher::Event::Delete(object)) => self.remove(&key_of(&object)),
                Err(error) => {
                    let text = describe_watch(&error);
                    tracing::debug!(error = text, "watch on managed objects failed, retrying");
                    *lock(&self.trouble) = Some(Trouble { error: text, at: Instant::now() });
                    self.phase.send_if_modified(|phase| {
                        let first = *phase == Phase::Starting;
                        if first {
                            *phase = Phase::Failing;
                        }
                        first
                    });
                }
            }
        }
    }

    fn set(&self, key: Key, seen: Seen) {
        let before = lock(&self.objects).insert(key.clone(), seen.clone());
        if before.as_ref() != Some(&seen) {
            self.wake(&key);
        }
    }

    fn remove(&self, key: &Key) {
        if lock(&self.objects).remove(key).is_some() {
            self.wake(key);
        }
    }

    fn wake(&self, key: &Key) {
        let mut waiting = lock(&self.waiting);
        if let Some(list) = waiting.get_mut(key) {
            list.retain(|waiter| waiter.upgrade().map(|waiter| waiter.notify_one()).is_some());
            if list.is_empty() {
                waiting.remove(key);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key_of<K: kube::Resource>(object: &K) -> Key {
    let meta = object.meta();
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

/// A resource version as a number; 0 where it is none.
pub(crate) fn version_number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// Kinds whose status follows from their metadata, so that their content need not be read: Secrets above all.
fn is_light(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("", "Secret" | "ConfigMap" | "ServiceAccount" | "Namespace" | "LimitRange")
            | ("rbac.authorization.k8s.io", _)
            | ("batch", "CronJob")
            | ("storage.k8s.io", "StorageClass")
            | ("scheduling.k8s.io", "PriorityClass")
            | ("networking.k8s.io", "NetworkPolicy" | "IngressClass")
            | ("node.k8s.io", "RuntimeClass")
            | (
                "admissionregistration.k8s.io",
                "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration"
            )
    )
}

/// The fingerprint of an object that the server sent.
pub(crate) fn fingerprint_of(object: &Object) -> Option<u64> {
    let metadata = object.fields().get("metadata")?;
    let metadata = serde::Deserialize::deserialize(metadata).ok()?;
    Some(fingerprint(&metadata))
}

/// The present, for rules that look at the clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

//! core/v1 Events. A repeated event raises the count of the first one instead of adding another.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Event as CoreEvent, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Event, Severity};
use crate::metrics::EventMetrics;

/// Events that wait at most; beyond that they are dropped and counted.
const QUEUE: usize = 4096;
/// Events that are remembered so that a repetition is recognised.
const REMEMBERED: usize = 4096;
/// Longest message that core/v1 accepts, in bytes.
const MAX_MESSAGE: usize = 1024;

#[derive(Clone)]
pub(super) struct Sender {
    queue: mpsc::Sender<Event>,
    metrics: Arc<EventMetrics>,
}

impl Sender {
    pub(super) fn send(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.metrics.dropped("kubernetes");
        }
    }
}

pub(super) fn start(
    client: Client,
    controller: String,
    instance: String,
    metrics: Arc<EventMetrics>,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> Sender {
    let (queue, mut events) = mpsc::channel(QUEUE);
    let mut writer = Writer { client, controller, instance, known: Known::default() };
    tasks.spawn(async move {
        loop {
            let event = tokio::select! {
                biased;
                event = events.recv() => event,
                () = stop.cancelled() => events.try_recv().ok(),
            };
            let Some(event) = event else { break };
            if let Err(error) = writer.write(event).await {
                tracing::debug!(%error, "could not record an event");
            }
        }
    });
    Sender { queue, metrics }
}

/// The events that were written last, so that a repetition is recognised. Thousands are kept: of each only a digest of
/// what makes two events the same one, by a key that nobody outside of this process knows.
#[derive(Default)]
struct Known {
    digests: RandomState,
    /// What is unique in the event's name, and how often it was told.
    counts: HashMap<u64, (u64, i32)>,
    order: VecDeque<u64>,
}

impl Known {
    fn digest(&self, event: &Event) -> u64 {
        let warning = matches!(event.severity, Severity::Error | Severity::Warning);
        self.digests.hash_one((&event.object.uid, warning, &event.reason, &event.message))
    }

    /// Notes one more of an event that is known: its name, and how often it has been told now.
    fn repeat(&mut self, digest: u64, event: &Event) -> Option<(String, i32)> {
        let (unique, count) = self.counts.get_mut(&digest)?;
        *count += 1;
        Some((name(event, *unique), *count))
    }

    fn insert(&mut self, digest: u64, unique: u64) {
        if self.counts.insert(digest, (unique, 1)).is_none() {
            self.order.push_back(digest);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.counts.remove(&oldest);
            }
        }
    }
}

struct Writer {
    client: Client,
    controller: String,
    instance: String,
    known: Known,
}

impl Writer {
    async fn write(&mut self, event: Event) -> kube::Result<()> {
        let digest = self.known.digest(&event);
        let namespace = event.object.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api = Api::<CoreEvent>::namespaced(self.client.clone(), &namespace);
        if let Some((name, count)) = self.known.repeat(digest, &event) {
            let patch = json!({
                "count": count,
                "lastTimestamp": Time(event.timestamp),
                "involvedObject": {"resourceVersion": event.object.resource_version},
            });
            match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Err(kube::Error::Api(error)) if error.code == 404 => {}
                other => return other.map(|_| ()),
            }
        }
        let unique = unique(&event);
        let name = name(&event, unique);
        api.create(&PostParams::default(), &self.core_event(event, &namespace, name)).await?;
        self.known.insert(digest, unique);
        Ok(())
    }

    fn core_event(&self, event: Event, namespace: &str, name: String) -> CoreEvent {
        let now = Some(Time(event.timestamp));
        let mut message = event.message;
        if message.len() > MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE - 3));
            message.push_str("...");
        }
        CoreEvent {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(namespace.to_owned()),
                annotations: (!event.metadata.is_empty()).then_some(event.metadata),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference { field_path: None, ..event.object },
            type_: Some(
                match event.severity {
                    Severity::Error | Severity::Warning => "Warning",
                    Severity::Info | Severity::Trace => "Normal",
                }
                .to_owned(),
            ),
            reason: Some(event.reason),
            message: Some(message),
            count: Some(1),
            first_timestamp: now.clone(),
            last_timestamp: now,
            source: Some(EventSource { component: Some(self.controller.clone()), host: None }),
            reporting_component: Some(self.controller.clone()),
            reporting_instance: Some(self.instance.clone()),
            ..CoreEvent::default()
        }
    }
}

/// The name of an event about an object.
fn name(event: &Event, unique: u64) -> String {
    format!("{}.{unique:x}", event.object.name.as_deref().unwrap_or_default())
}

/// A number that no other event of the same object has: the time in nanoseconds.
fn unique(event: &Event) -> u64 {
    u64::try_from(event.timestamp.as_nanosecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> Event {
        Event {
            object: ObjectReference {
                name: Some("app".to_owned()),
                uid: Some("u".to_owned()),
                ..ObjectReference::default()
            },
            severity: Severity::Info,
            reason: "Progressing".to_owned(),
            message: message.to_owned(),
            metadata: std::collections::BTreeMap::default(),
            timestamp: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn repetitions_are_counted_and_only_the_last_events_are_known() {
        let mut known = Known::default();
        let first = event("first");
        let digest = known.digest(&first);
        assert_eq!(known.repeat(digest, &first), None);
        known.insert(digest, 0x1a);
        assert_ne!(digest, known.digest(&event("second")));
        assert_eq!(known.repeat(digest, &first), Some(("app.1a".to_owned(), 2)));
        assert_eq!(known.repeat(digest, &first), Some(("app.1a".to_owned(), 3)));
        for other in 0..REMEMBERED as u64 {
            known.insert(digest.wrapping_add(1 + other), 1);
        }
        assert_eq!(known.repeat(digest, &first), None);
        assert_eq!((known.counts.len(), known.order.len()), (REMEMBERED, REMEMBERED));
    }
}

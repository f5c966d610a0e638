//! core/v1 Events. A repeated event raises the count of the first one instead of adding another.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Event as CoreEvent, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
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
    let mut writer = Writer { client, controller, instance, known: HashMap::new(), order: VecDeque::new() };
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

/// What makes two events the same one.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Identity {
    uid: Option<String>,
    warning: bool,
    reason: String,
    message: String,
}

struct Writer {
    client: Client,
    controller: String,
    instance: String,
    known: HashMap<Identity, (String, i32)>,
    order: VecDeque<Identity>,
}

impl Writer {
    async fn write(&mut self, event: Event) -> kube::Result<()> {
        let identity = Identity {
            uid: event.object.uid.clone(),
            warning: matches!(event.severity, Severity::Error | Severity::Warning),
            reason: event.reason.clone(),
            message: event.message.clone(),
        };
        let namespace = event.object.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api = Api::<CoreEvent>::namespaced(self.client.clone(), &namespace);
        if let Some((name, count)) = self.known.get_mut(&identity) {
            *count += 1;
            let patch = json!({
                "count": *count,
                "lastTimestamp": Time(event.timestamp),
                "involvedObject": {"resourceVersion": event.object.resource_version},
            });
            match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Err(kube::Error::Api(error)) if error.code == 404 => {}
                other => return other.map(|_| ()),
            }
        }
        let name = format!("{}.{:x}", event.object.name.as_deref().unwrap_or_default(), unique(&event));
        let created = api.create(&PostParams::default(), &self.core_event(event, &namespace, name)).await?;
        if self.known.insert(identity.clone(), (created.name_any(), 1)).is_none() {
            self.order.push_back(identity);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
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

/// A number that no other event of the same object has: the time in nanoseconds.
fn unique(event: &Event) -> u128 {
    u128::try_from(event.timestamp.as_nanosecond()).unwrap_or_default()
}

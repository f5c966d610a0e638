//! Events posted to the notification-controller.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use reqwest::StatusCode;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Event, Severity};
use crate::metrics::EventMetrics;

/// Deliveries at a time. Events of one object always go the same way and so keep their order.
const LANES: usize = 4;
/// Events that wait at most in one lane; beyond that they are dropped and counted.
const QUEUE: usize = 1024;
const TIMEOUT: Duration = Duration::from_secs(5);
const RETRIES: u32 = 4;
const MAX_DELAY: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Sender {
    lanes: Vec<mpsc::Sender<Event>>,
    metrics: Arc<EventMetrics>,
}

impl Sender {
    pub(super) fn send(&self, event: Event) {
        let mut hasher = DefaultHasher::new();
        event.object.uid.hash(&mut hasher);
        let lane = hasher.finish() as usize % LANES;
        if self.lanes[lane].try_send(event).is_err() {
            self.metrics.dropped("notification");
        }
    }
}

/// The body of a delivery, as `eventv1.Event` of Flux.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    involved_object: &'a ObjectReference,
    severity: &'a str,
    timestamp: Timestamp,
    message: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    reporting_controller: &'a str,
    reporting_instance: &'a str,
}

struct Poster {
    http: reqwest::Client,
    address: reqwest::Url,
    controller: String,
    instance: String,
    metrics: Arc<EventMetrics>,
    stop: CancellationToken,
}

pub(super) fn start(
    address: reqwest::Url,
    controller: String,
    instance: String,
    metrics: Arc<EventMetrics>,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> Sender {
    let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().unwrap_or_default();
    let poster = Arc::new(Poster { http, address, controller, instance, metrics: metrics.clone(), stop });
    let lanes = (0..LANES)
        .map(|_| {
            let (queue, mut events) = mpsc::channel::<Event>(QUEUE);
            let poster = poster.clone();
            tasks.spawn(async move {
                loop {
                    let event = tokio::select! {
                        biased;
                        event = events.recv() => event,
                        () = poster.stop.cancelled() => events.try_recv().ok(),
                    };
                    let Some(event) = event else { break };
                    poster.deliver(&event).await;
                }
            });
            queue
        })
        .collect();
    Sender { lanes, metrics }
}

impl Poster {
    /// Posts one event, retrying on connection errors and 5xx. 429 means that the receiver has had it already.
    async fn deliver(&self, event: &Event) {
        let body = Body {
            involved_object: &event.object,
            severity: if event.severity == Severity::Error { "error" } else { "info" },
            timestamp: event.timestamp,
            message: &event.message,
            reason: &event.reason,
            metadata: &event.metadata,
            reporting_controller: &self.controller,
            reporting_instance: &self.instance,
        };
        let mut delay = Duration::from_secs(1);
        for attempt in 0..=RETRIES {
            let problem = match self.http.post(self.address.clone()).json(&body).send().await {
                Ok(response) if response.status().is_success() => return,
                Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => return,
                Ok(response) if !response.status().is_server_error() => {
                    tracing::error!(status = %response.status(), "the notification-controller refused an event");
                    break;
                }
                Ok(response) => response.status().to_string(),
                Err(error) => error.without_url().to_string(),
            };
            // A shutdown does not wait for a receiver that is away.
            if attempt == RETRIES || self.stop.is_cancelled() {
                tracing::error!(error = problem, "could not deliver an event to the notification-controller");
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.stop.cancelled() => {}
            }
            delay = (delay * 2).min(MAX_DELAY);
        }
        self.metrics.dropped("notification");
    }
}

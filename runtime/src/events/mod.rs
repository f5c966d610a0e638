//! Events: told to the cluster as core/v1 Events and to the notification-controller by HTTP, both off the reconcile path.

mod kubernetes;
mod notification;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::{Client, Resource, ResourceExt};
use sluice_api::meta::EVENT_ANNOTATION_PREFIX;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::EventMetrics;

/// How important an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// News: a `Normal` event, told to the notification-controller as `info`.
    Info,
    /// Bad news: a `Warning` event, told to the notification-controller as `error`.
    Error,
    /// Detail: a `Normal` event of the cluster only.
    Trace,
    /// Advice: a `Warning` event of the cluster only.
    Warning,
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The object that it is about.
    pub object: ObjectReference,
    /// How important it is.
    pub severity: Severity,
    /// Programmatic reason in CamelCase.
    pub reason: String,
    /// Text for people.
    pub message: String,
    /// Facts by key, such as `kustomize.toolkit.fluxcd.io/revision`.
    pub metadata: BTreeMap<String, String>,
    /// When it happened.
    pub timestamp: Timestamp,
}

/// Takes events and delivers them in the background.
#[derive(Clone)]
pub struct Recorder {
    cluster: kubernetes::Sender,
    notification: Option<notification::Sender>,
    setting: Arc<Setting>,
}

/// What a recorder was made with.
struct Setting {
    client: Client,
    events_address: Option<reqwest::Url>,
    metrics: Arc<EventMetrics>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Recorder {
    /// A recorder that reports as `controller`, and posts to `events_address` where there is one.
    ///
    /// Its tasks run on `tasks` until `stop` is cancelled and everything that was taken is delivered or given up.
    pub fn new(
        client: Client,
        controller: &str,
        events_address: Option<reqwest::Url>,
        metrics: Arc<EventMetrics>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let (tasks, stop) = (tasks.clone(), stop.clone());
        Self::start(Arc::new(Setting { client, events_address, metrics, tasks, stop }), controller)
    }

    /// A recorder of the same process that reports as another controller.
    pub fn named(&self, controller: &str) -> Self {
        Self::start(self.setting.clone(), controller)
    }

    fn start(setting: Arc<Setting>, controller: &str) -> Self {
        let Setting { client, events_address, metrics, tasks, stop } = &*setting;
        let instance = instance_name();
        let cluster = kubernetes::start(
            client.clone(),
            controller.to_owned(),
            instance.clone(),
            metrics.clone(),
            tasks,
            stop.clone(),
        );
        let notification = events_address.clone().map(|address| {
            let (metrics, stop) = (metrics.clone(), stop.clone());
            notification::start(address, controller.to_owned(), instance, metrics, tasks, stop)
        });
        Self { cluster, notification, setting }
    }

    /// Reports an event about an object. Its annotations under `event.toolkit.fluxcd.io/` become metadata.
    pub fn emit<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
        mut metadata: BTreeMap<String, String>,
    ) {
        let annotations =
            object.annotations().iter().filter(|(key, _)| key.starts_with(EVENT_ANNOTATION_PREFIX));
        metadata.extend(annotations.map(|(key, value)| (key.clone(), value.clone())));
        self.send(Event {
            object: object.object_ref(&()),
            severity,
            reason: reason.to_owned(),
            message: message.into(),
            metadata,
            timestamp: Timestamp::now(),
        });
    }

    /// Reports an event as it is.
    pub fn send(&self, event: Event) {
        let level_is_error = event.severity == Severity::Error;
        if level_is_error {
            tracing::error!(reason = event.reason, "{}", event.message);
        } else {
            tracing::debug!(reason = event.reason, "{}", event.message);
        }
        if let Some(notification) = &self.notification
            && !matches!(event.severity, Severity::Trace | Severity::Warning)
        {
            notification.send(event.clone());
        }
        self.cluster.send(event);
    }
}

/// Who reports: the host name, which is the pod's.
fn instance_name() -> String {
    let from_kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    std::env::var("HOSTNAME").ok().or_else(from_kernel).map(|name| name.trim().to_owned()).unwrap_or_default()
}

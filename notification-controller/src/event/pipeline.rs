//! From an event to the notifications of all Alerts that want it.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use sluice_api::notification::{Alert, Provider};
use sluice_runtime::{Cache, Manager, ObjectKey, Severity, errors};

use super::{Event, Limiter, merge};
use crate::alert::{matching_sources, passes_lists};
use crate::outbox::Outbox;
use crate::provider::{self, Class, Credentials, Notification, Target};

/// What the event server works with.
pub(crate) struct Pipeline {
    pub(crate) manager: Arc<Manager>,
    pub(crate) alerts: Arc<Cache<Alert>>,
    pub(crate) providers: Arc<Cache<Provider>>,
    pub(crate) limiter: Limiter,
    pub(crate) outbox: Outbox,
    pub(crate) no_cross_namespace_refs: bool,
}

/// Reason of events on Alerts whose notification was not sent.
const DISPATCH_FAILED: &str = "NotificationDispatchFailed";

impl Pipeline {
    /// Queues the notifications of an event. Never waits for a Provider.
    pub(crate) async fn dispatch(&self, event: Event) {
        let candidates = self.alerts.filter(|alert| !matching_sources(alert, &event).is_empty());
        for alert in candidates {
            if !self.wanted(&alert, &event).await {
                continue;
            }
            if let Err(problem) = self.notify(&alert, &event) {
                let message = format!("failed to dispatch notification for {}: {problem}", event.subject());
                self.warn(&alert, DISPATCH_FAILED, message);
            }
        }
    }

    fn warn(&self, alert: &Alert, reason: &str, message: String) {
        self.manager.recorder.emit(alert, Severity::Error, reason, message, BTreeMap::new());
    }

    /// Whether labels and lists let the event through.
    async fn wanted(&self, alert: &Alert, event: &Event) -> bool {
        let mut labels_match = false;
        for index in matching_sources(alert, event) {
            let source = &alert.spec.event_sources[index];
            if source.match_labels.is_empty() {
                labels_match = true;
                break;
            }
            match labels(&self.manager.client, event).await {
                Ok(labels) => {
                    labels_match |= source.match_labels.iter().all(|(k, v)| labels.get(k) == Some(v));
                }
                Err(error) => {
                    let message = format!(
                        "error getting source object {}: {}",
                        event.subject(),
                        errors::describe(&error)
                    );
                    self.warn(alert, "SourceFetchFailed", message);
                }
            }
        }
        labels_match
            && passes_lists(&alert.spec, &event.message, |message| self.warn(alert, "InvalidConfig", message))
    }

    /// Queues one Alert's notification.
    fn notify(&self, alert: &Arc<Alert>, event: &Event) -> Result<(), String> {
        let alert_key = ObjectKey::of(&**alert);
        if self.no_cross_namespace_refs && event.namespace() != alert_key.namespace {
            return Err(format!(
                "discarding event, access denied to cross-namespace sources: alert '{alert_key}' can't process event \
                 from '{}', cross-namespace references have been blocked",
                event.subject()
            ));
        }
        let key = ObjectKey::new(alert_key.namespace.clone(), alert.spec.provider_ref.name.clone());
        let provider = self
            .providers
            .get(&key)
            .ok_or_else(|| format!("failed to read provider: Provider '{key}' not found"))?;
        if provider.spec.suspend || is_dropped(provider::class(provider.spec.type_.as_str()), event) {
            return Ok(());
        }
        if !provider.spec.commit_status_expr.is_empty() {
            return Err(
                "failed to create commit status: spec.commitStatusExpr is not supported by this version of \
                        Sluice"
                    .to_owned(),
            );
        }
        let (metadata, conflicts) = merge(event, &alert.spec.event_metadata, &alert.spec.summary);
        if !conflicts.is_empty() {
            let message = "metadata key conflicts detected (please refer to the Alert API docs and Flux RFC 0008 for \
                           more information)";
            self.manager.recorder.emit(&**alert, Severity::Error, "MetadataAppendFailed", message, conflicts);
        }
        let notification = Notification {
            status_id: status_id(&provider, event),
            event: Event { metadata, ..event.clone() },
        };
        let subject = event.subject();
        let (manager, alert) = (self.manager.clone(), alert.clone());
        let job = {
            let (alert, subject) = (alert.clone(), subject.clone());
            async move {
                if let Err(problem) = deliver(&manager.client, &provider, &notification).await {
                    let message = format!("failed to send notification for {subject}: {problem}");
                    manager.recorder.emit(
                        &*alert,
                        Severity::Error,
                        DISPATCH_FAILED,
                        message,
                        BTreeMap::new(),
                    );
                }
            }
        };
        if self.outbox.push(&key, Box::pin(job)) {
            return Ok(());
        }
        Err(format!("too many notifications wait for provider '{}'; this one is lost", key.name))
    }
}

/// Whether a class of providers has no use for an event.
fn is_dropped(class: Class, event: &Event) -> bool {
    let has = |key: &str| event.metadata.get(key).is_some_and(|value| !value.is_empty());
    let update = event.is_commit_status_update();
    match class {
        Class::All => false,
        Class::Message => update,
        Class::CommitStatus => !has("event.toolkit.fluxcd.io/commit") && !update && !event.is_error(),
        Class::ChangeRequest => update || !has("event.toolkit.fluxcd.io/change_request"),
    }
}

/// `kind/name/` and the first part of the Provider's UID, in lower case.
fn status_id(provider: &Provider, event: &Event) -> String {
    let uid = provider.uid().unwrap_or_default();
    let first = uid.split('-').next().unwrap_or_default();
    format!("{}/{}/{first}", event.kind(), event.name()).to_lowercase()
}

/// The labels of the event's object.
async fn labels(client: &Client, event: &Event) -> kube::Result<BTreeMap<String, String>> {
    let version = event.involved_object.api_version.clone().unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version.as_str()));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, event.kind()));
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), event.namespace(), &resource);
    Ok(api.get_metadata(event.name()).await?.metadata.labels.unwrap_or_default())
}

/// Reads the Provider's Secrets and sends.
async fn deliver(client: &Client, provider: &Provider, notification: &Notification) -> Result<(), String> {
    let target = target(client, provider).await.map_err(|problem| {
        format!("failed to initialize notifier for provider '{}': {problem}", provider.name_any())
    })?;
    provider::send(&target, notification).await.map_err(|error| target.mask(&errors::chain(&error)))
}

async fn target(client: &Client, provider: &Provider) -> Result<Target, String> {
    let spec = &provider.spec;
    let secrets = Api::<Secret>::namespaced(client.clone(), &provider.namespace().unwrap_or_default());
    let read = async |name: &str| {
        let secret = secrets.get(name).await.map_err(|error| errors::describe(&error))?;
        let data = secret.data.unwrap_or_default();
        Ok::<_, String>(data.into_iter().map(|(key, value)| (key, value.0)).collect::<BTreeMap<_, _>>())
    };
    let invalid = |name: &str| {
        let name = name.to_owned();
        move |problem: String| format!("secret '{name}' is invalid: {problem}")
    };
    let mut credentials = Credentials::default();
    if let Some(reference) = &spec.secret_ref {
        credentials = Credentials::read(&read(&reference.name).await?).map_err(invalid(&reference.name))?;
    }
    if let Some(reference) = &spec.cert_secret_ref {
        let data = read(&reference.name).await?;
        credentials.read_certificates(&data).map_err(invalid(&reference.name))?;
    }
    let proxy = match &spec.proxy_secret_ref {
        Some(reference) => {
            Some(provider::proxy(&read(&reference.name).await?).map_err(invalid(&reference.name))?)
        }
        None => {
            credentials.proxy.clone().or_else(|| Some(spec.proxy.clone()).filter(|proxy| !proxy.is_empty()))
        }
    };
    let or_spec = |secret: &Option<String>, spec: &str| secret.clone().unwrap_or_else(|| spec.to_owned());
    Ok(Target {
        type_: spec.type_.as_str().to_owned(),
        address: or_spec(&credentials.address, &spec.address),
        channel: spec.channel.clone(),
        username: or_spec(&credentials.username, &spec.username),
        timeout: spec.timeout().to_std(),
        uid: provider.uid().unwrap_or_default(),
        credentials,
        proxy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;

    #[test]
    fn each_class_takes_its_events() {
        let plain = event("info", &[]);
        let update = event("info", &[("kustomize.toolkit.fluxcd.io/commit_status", "update")]);
        let commit = event("info", &[("event.toolkit.fluxcd.io/commit", "abc")]);
        let request = event("info", &[("event.toolkit.fluxcd.io/change_request", "1")]);
        let error = event("error", &[]);
        let dropped =
            |class| [&plain, &update, &commit, &request, &error].map(|event| is_dropped(class, event));
        assert_eq!(dropped(Class::All), [false, false, false, false, false]);
        assert_eq!(dropped(Class::Message), [false, true, false, false, false]);
        assert_eq!(dropped(Class::CommitStatus), [true, false, false, true, false]);
        assert_eq!(dropped(Class::ChangeRequest), [true, true, true, false, true]);
    }
}

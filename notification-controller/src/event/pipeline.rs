//! From an event to the notifications of all Alerts that want it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_api::notification::{Alert, Provider};
use sluice_runtime::{Cache, Manager, ObjectKey, Severity, errors};

use super::{Bodies, Event, Labels, Limiter, merge};
use crate::alert::{Patterns, matching_sources, passes_lists};
use crate::courier::{DISPATCH_FAILED, Dispatcher};
use crate::group::Groups;
use crate::outbox::Delivery;
use crate::provider::{self, AlertIdentity, Class, Notification};
use crate::{commit_status_id, template};

/// What the event server works with.
pub(crate) struct Pipeline {
    pub(crate) manager: Arc<Manager>,
    pub(crate) alerts: Arc<Cache<Alert>>,
    pub(crate) providers: Arc<Cache<Provider>>,
    pub(crate) limiter: Limiter,
    pub(crate) bodies: Bodies,
    pub(crate) groups: Groups<Dispatcher>,
    pub(crate) no_cross_namespace_refs: bool,
    pub(crate) patterns: Patterns,
    pub(crate) expressions: commit_status_id::Expressions,
    pub(crate) labels: Labels,
}

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
            match self.labels.of(&self.manager.client, event).await {
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
            && passes_lists(&alert.spec, &event.message, &self.patterns, |message| {
                self.warn(alert, "InvalidConfig", message);
            })
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
        let (metadata, conflicts) = merge(event, &alert.spec.event_metadata, &alert.spec.summary);
        if !conflicts.is_empty() {
            let message = "metadata key conflicts detected (please refer to the Alert API docs and Flux RFC 0008 for \
                           more information)";
            self.manager.recorder.emit(&**alert, Severity::Error, "MetadataAppendFailed", message, conflicts);
        }
        let mut event = Event { metadata, ..event.clone() };
        let status_id = match provider::class(provider.spec.type_.as_str()) {
            Class::CommitStatus => commit_status_id::of(&event, alert, &provider, &self.expressions)
                .map_err(|problem| format!("failed to create commit status: {problem}"))?,
            _ => String::new(),
        };
        if let Some(text) = template::of(alert) {
            match template::render(text, &event) {
                Ok(message) => event.message = message,
                Err(problem) => self.warn(alert, "InvalidConfig", problem),
            }
        }
        let notification = Notification { status_id, event, alert: AlertIdentity::of(alert) };
        let delivery = Delivery { alert: alert.clone(), provider, notification };
        if let Err(problem) = self.groups.push(delivery) {
            self.warn(alert, "InvalidConfig", problem);
        }
        Ok(())
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

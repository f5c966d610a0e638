//! Delivers to Providers for real, and tells of losses: in a metric and in an event on the Alert.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use sluice_api::notification::Alert;
use sluice_runtime::{Manager, ObjectKey, Severity, errors};

use crate::outbox::{Courier, Delivery, Loss, Undelivered};
use crate::provider::{self, AddressPolicy, Client, Error, HttpError, Target};

/// Reason of events on Alerts whose notification was not sent.
pub(crate) const DISPATCH_FAILED: &str = "NotificationDispatchFailed";
/// How long what was read of a Provider's Secrets is used. A failure ends that at once.
const FRESH: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LossLabels {
    namespace: String,
    provider: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    namespace: String,
    provider: String,
}

impl Labels {
    fn of(key: &ObjectKey) -> Self {
        Self { namespace: key.namespace.clone(), provider: key.name.clone() }
    }
}

/// Sends to Providers.
pub(crate) struct Dispatcher {
    manager: Arc<Manager>,
    policy: AddressPolicy,
    object_level_identity: bool,
    waiting: Family<Labels, Gauge>,
    sent: Family<Labels, Counter>,
    lost: Family<LossLabels, Counter>,
}

impl Dispatcher {
    pub(crate) fn new(manager: Arc<Manager>, policy: AddressPolicy, object_level_identity: bool) -> Self {
        let (waiting, sent, lost) = (Family::default(), Family::default(), Family::default());
        manager.metrics.register(|registry| {
            registry.register(
                "sluice_notifications_waiting",
                "Notifications that wait for a Provider or are under way to it",
                Family::clone(&waiting),
            );
            registry.register(
                "sluice_notifications_sent",
                "Notifications that a Provider took",
                Family::clone(&sent),
            );
            registry.register(
                "sluice_notifications_lost",
                "Notifications that no Provider took",
                Family::clone(&lost),
            );
        });
        Self { manager, policy, object_level_identity, waiting, sent, lost }
    }
}

/// A connection to a Provider as it is at present.
pub(crate) struct Line {
    version: Option<String>,
    since: Instant,
    target: Target,
    client: Client,
}

impl Courier for Dispatcher {
    type Line = Line;

    async fn deliver(&self, line: &mut Option<Line>, delivery: &Delivery) -> Result<(), Undelivered> {
        let provider = &delivery.provider;
        let version = provider.resource_version();
        let fresh = |line: &Line| line.version == version && line.since.elapsed() < FRESH;
        if !line.as_ref().is_some_and(fresh) {
            *line = None;
        }
        let current = match line {
            Some(current) => current,
            None => {
                let initialize = |problem: String| {
                    let name = provider.name_any();
                    Undelivered::Failed(format!(
                        "failed to initialize notifier for provider '{name}': {problem}"
                    ))
                };
                let client = &self.manager.client;
                let target = provider::open(client, provider, &self.policy, self.object_level_identity).await;
                let target = target.map_err(initialize)?;
                let client =
                    Client::new(&target).map_err(|error| initialize(target.mask(&error.to_string())))?;
                line.insert(Line { version, since: Instant::now(), target, client })
            }
        };
        let sent = provider::send(&current.client, &current.target, &delivery.notification).await;
        if let Err(error) = sent {
            let problem = current.target.mask(&errors::chain(&error));
            // The next one begins anew, with the Secret as it is then.
            *line = None;
            return Err(match error {
                Error::Delivery(HttpError::Later { wait, .. }) => Undelivered::Later(wait, problem),
                _ => Undelivered::Failed(problem),
            });
        }
        let labels = Labels::of(&ObjectKey::of(&**provider));
        self.waiting.get_or_create(&labels).dec();
        self.sent.get_or_create(&labels).inc();
        Ok(())
    }

    fn queued(&self, provider: &ObjectKey) {
        self.waiting.get_or_create(&Labels::of(provider)).inc();
    }

    fn lost(&self, provider: &ObjectKey, loss: Loss) {
        self.waiting.get_or_create(&Labels::of(provider)).dec();
        let reason = match loss {
            Loss::Failed => "failed",
            Loss::Overflow => "overflow",
            Loss::Expired => "expired",
            Loss::Shutdown => "shutdown",
        };
        let (namespace, provider) = (provider.namespace.clone(), provider.name.clone());
        self.lost.get_or_create(&LossLabels { namespace, provider, reason }).inc();
    }

    fn tell(&self, alert: &Alert, message: String) {
        self.manager.recorder.emit(alert, Severity::Error, DISPATCH_FAILED, message, BTreeMap::new());
    }
}

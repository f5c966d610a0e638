//! Delivers to Providers for real, and tells of losses: in a metric and in an event on the Alert.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use sluice_api::notification::Alert;
use sluice_runtime::{Manager, ObjectKey, Severity, errors};

use crate::figures::Figures;
use crate::outbox::{Courier, Delivery, Loss, Undelivered};
use crate::provider::{self, AddressPolicy, Client, Error, HttpError, Logins, Target};

/// Reason of events on Alerts whose notification was not sent.
pub(crate) const DISPATCH_FAILED: &str = "NotificationDispatchFailed";
/// How long what was read of a Provider's Secrets is used. A failure ends that at once.
const FRESH: Duration = Duration::from_secs(10);

/// Sends to Providers.
pub(crate) struct Dispatcher {
    manager: Arc<Manager>,
    policy: AddressPolicy,
    logins: Logins,
    figures: Arc<Figures>,
}

impl Dispatcher {
    pub(crate) fn new(
        manager: Arc<Manager>,
        policy: AddressPolicy,
        logins: Logins,
        figures: Arc<Figures>,
    ) -> Self {
        Self { manager, policy, logins, figures }
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
                let target = provider::open(client, provider, &self.policy, &self.logins).await;
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
        self.figures.sent(&ObjectKey::of(&**provider));
        Ok(())
    }

    fn queued(&self, provider: &ObjectKey) {
        self.figures.queued(provider);
    }

    fn lost(&self, provider: &ObjectKey, loss: Loss) {
        self.figures.lost(provider, loss);
    }

    fn tell(&self, alert: &Alert, message: String) {
        self.manager.recorder.emit(alert, Severity::Error, DISPATCH_FAILED, message, BTreeMap::new());
    }
}

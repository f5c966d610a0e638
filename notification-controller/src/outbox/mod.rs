//! What waits to be sent: a queue and one sender for each Provider, so that a slow one keeps nobody else waiting. Memory
//! is bounded; what is lost is counted at once and told.

mod losses;
mod sender;
mod shelves;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sluice_api::notification::{Alert, Provider};
use sluice_runtime::ObjectKey;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::provider::Notification;
use sender::Sender;
use shelves::{Parcel, Shelves};

/// One notification of one Alert to one Provider.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Who asked for it.
    pub(crate) alert: Arc<Alert>,
    /// Where it goes.
    pub(crate) provider: Arc<Provider>,
    /// What it says.
    pub(crate) notification: Notification,
}

impl Delivery {
    /// That it failed, and why.
    fn failure(&self, why: &str) -> String {
        format!("failed to send notification for {}: {why}", self.notification.event.subject())
    }
}

/// Why a delivery did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// The service asks to come back after this time.
    Later(Duration, String),
    /// It failed for good.
    Failed(String),
}

/// Why a notification was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Loss {
    /// The service refused, or was not reached in time.
    Failed,
    /// Too many waited.
    Overflow,
    /// It waited for too long.
    Expired,
    /// The process ended first.
    Shutdown,
}

/// Delivers, and hears of losses.
pub(crate) trait Courier: Send + Sync + 'static {
    /// What is kept between deliveries to one Provider, such as a connection.
    type Line: Send;

    /// Delivers once.
    fn deliver(
        &self,
        line: &mut Option<Self::Line>,
        delivery: &Delivery,
    ) -> impl Future<Output = Result<(), Undelivered>> + Send;

    /// A notification waits from now on, until it is delivered or lost.
    fn queued(&self, provider: &ObjectKey);

    /// A notification is lost: to be counted.
    fn lost(&self, provider: &ObjectKey, loss: Loss);

    /// An Alert is to be told of one or many losses.
    fn tell(&self, alert: &Alert, message: String);
}

/// The queues of all Providers.
pub(crate) struct Outbox<C> {
    shared: Arc<Shared<C>>,
}

impl<C> Clone for Outbox<C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

struct Shared<C> {
    courier: C,
    tasks: TaskTracker,
    stop: CancellationToken,
    shelves: Shelves,
}

impl<C: Courier> Outbox<C> {
    /// Senders run on `tasks`, and after `stop` only for a short time.
    pub(crate) fn new(courier: C, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { shared: Arc::new(Shared { courier, tasks, stop, shelves: Shelves::default() }) }
    }

    /// Queues a delivery. When there is no room for it, the oldest one of whoever has most is lost, which its Alert is told.
    pub(crate) fn push(&self, delivery: Delivery) {
        let provider = ObjectKey::of(&*delivery.provider);
        self.shared.courier.queued(&provider);
        let placed = self.shared.shelves.push(&provider, Parcel::new(delivery));
        for displaced in placed.displaced {
            self.shared.courier.lost(&displaced, Loss::Overflow);
        }
        if let Some(arrived) = placed.new {
            let sender = Sender { shared: self.shared.clone(), provider, arrived, line: None, closed: None };
            self.shared.tasks.spawn(sender.run());
        }
    }
}

#[cfg(test)]
mod tests;

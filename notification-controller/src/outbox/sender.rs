//! Sends what waits for one Provider, one after the other.

use std::sync::Arc;
use std::time::Duration;

use sluice_runtime::ObjectKey;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::shelves::Parcel;
use super::{Courier, Loss, Shared, Undelivered};

/// News that waited longer than this is none.
pub(super) const MAX_AGE: Duration = Duration::from_hours(1);
/// A sender without work ends after this time.
pub(super) const IDLE: Duration = Duration::from_mins(1);
/// How often a notification that the service puts off is tried again.
const RETRIES: u32 = 4;
/// The longest time that a service may put us off.
const MAX_WAIT: Duration = Duration::from_hours(24);
/// What a shutdown leaves for delivering what waits.
const DRAIN: Duration = Duration::from_secs(20);

pub(super) struct Sender<C: Courier> {
    pub(super) shared: Arc<Shared<C>>,
    pub(super) provider: ObjectKey,
    /// Tells that something was pushed.
    pub(super) arrived: Arc<Notify>,
    pub(super) line: Option<C::Line>,
    /// Set while the service does not want to hear of us.
    pub(super) closed: Option<Closed>,
}

/// Until when a service has put us off.
pub(super) struct Closed {
    until: Instant,
    /// Of the Provider: a changed one may lead elsewhere.
    version: Option<String>,
    problem: String,
}

impl<C: Courier> Sender<C> {
    /// Ends by itself when idle, and soon after the process is told to end.
    pub(super) async fn run(mut self) {
        let (shared, stop) = (self.shared.clone(), self.shared.stop.clone());
        let overdue = async {
            stop.cancelled().await;
            sleep(DRAIN).await;
        };
        let retired = tokio::select! {
            retired = self.work() => retired,
            () = overdue => false,
        };
        if retired {
            return;
        }
        loop {
            while let Some(parcel) = shared.shelves.pop(&self.provider) {
                // Drops it, which counts it as lost.
                self.under_way(parcel);
            }
            self.tell(true);
            if shared.shelves.retire(&self.provider) {
                return;
            }
        }
    }

    /// Whether the queue was taken away because it was idle.
    async fn work(&mut self) -> bool {
        let stop = self.shared.stop.clone();
        let mut since = Instant::now();
        loop {
            if let Some(parcel) = self.shared.shelves.pop(&self.provider) {
                self.send(parcel).await;
                self.tell(false);
                since = Instant::now();
                continue;
            }
            if stop.is_cancelled() {
                return false;
            }
            if since.elapsed() >= IDLE && self.shared.shelves.retire(&self.provider) {
                return true;
            }
            let next = self.shared.shelves.losses_due(&self.provider).unwrap_or(since + IDLE);
            tokio::select! {
                () = self.arrived.notified() => {}
                () = stop.cancelled() => {}
                () = sleep_until(next) => self.tell(false),
            }
        }
    }

    async fn send(&mut self, parcel: Parcel) {
        let mut parcel = self.under_way(parcel);
        let mut tries = 0;
        while let Some(current) = &mut parcel.parcel {
            let last = current.since + MAX_AGE;
            self.wait_until_open(last).await;
            if let Some(closed) = &self.closed {
                let why = format!("the service has put us off for too long: {}", closed.problem);
                parcel.lose(Loss::Failed, &why);
                break;
            }
            if last < Instant::now() {
                parcel.lose(Loss::Expired, "it had to wait for more than an hour");
                break;
            }
            if let Some(newest) = self.shared.shelves.newest(&self.provider) {
                current.delivery.provider = newest;
            }
            let version = current.delivery.provider.metadata.resource_version.clone();
            match self.shared.courier.deliver(&mut self.line, &current.delivery).await {
                Ok(()) => parcel.arrived(),
                Err(Undelivered::Later(wait, problem)) => {
                    tries += 1;
                    let until = Instant::now() + wait.min(MAX_WAIT);
                    self.closed = Some(Closed { until, version, problem: problem.clone() });
                    if tries > RETRIES {
                        parcel.lose(Loss::Failed, &problem);
                    }
                }
                Err(Undelivered::Failed(problem)) => parcel.lose(Loss::Failed, &problem),
            }
        }
    }

    /// Waits while the service has put us off, unless that lasts longer than `last`: then it stays closed.
    async fn wait_until_open(&mut self, last: Instant) {
        while let Some(closed) = &self.closed {
            let until = closed.until;
            let newest = self.shared.shelves.newest(&self.provider);
            let changed = newest.is_some_and(|newest| newest.metadata.resource_version != closed.version);
            if changed || until <= Instant::now() {
                self.closed = None;
                return;
            }
            if until >= last {
                return;
            }
            let next = self.shared.shelves.losses_due(&self.provider).unwrap_or(until).min(until);
            tokio::select! {
                () = self.arrived.notified() => {}
                () = sleep_until(next) => self.tell(false),
            }
        }
    }

    fn tell(&self, all: bool) {
        for (alert, message) in self.shared.shelves.take_losses(&self.provider, all) {
            self.shared.courier.tell(&alert, message);
        }
    }

    fn under_way(&self, parcel: Parcel) -> UnderWay<C> {
        UnderWay { shared: self.shared.clone(), provider: self.provider.clone(), parcel: Some(parcel) }
    }
}

/// A parcel under way. Dropped before it is done with, it is counted as lost.
struct UnderWay<C: Courier> {
    shared: Arc<Shared<C>>,
    provider: ObjectKey,
    parcel: Option<Parcel>,
}

impl<C: Courier> UnderWay<C> {
    fn arrived(&mut self) {
        if let Some(parcel) = self.parcel.take() {
            self.shared.shelves.done(&parcel);
        }
    }

    fn lose(&mut self, loss: Loss, why: &str) {
        if let Some(parcel) = self.parcel.take() {
            self.shared.shelves.done(&parcel);
            self.shared.courier.lost(&self.provider, loss);
            let message = parcel.delivery.failure(why);
            self.shared.shelves.lose(&self.provider, &parcel.delivery.alert, message);
        }
    }
}

impl<C: Courier> Drop for UnderWay<C> {
    fn drop(&mut self) {
        self.lose(Loss::Shutdown, "the controller ended before it was sent");
    }
}

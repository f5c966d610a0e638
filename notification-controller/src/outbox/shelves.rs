//! What waits for each Provider, within bounds that keep one Provider's troubles from being another's.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_api::notification::{Alert, Provider};
use sluice_runtime::ObjectKey;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Delivery;
use super::losses::Losses;

/// What waits for one Provider at most, in bytes. Far more than the largest event.
pub(super) const EACH: usize = 32 * 1024 * 1024;
/// What waits for all Providers together at most, in bytes.
pub(super) const ALL: usize = 64 * 1024 * 1024;
/// What a notification takes beside its texts, in bytes: roughly, on the safe side.
const OVERHEAD: usize = 1536;

/// A notification that waits.
pub(super) struct Parcel {
    pub(super) delivery: Delivery,
    pub(super) since: Instant,
    size: usize,
}

impl Parcel {
    pub(super) fn new(delivery: Delivery) -> Self {
        let size = delivery.notification.event.size() + delivery.notification.status_id.len() + OVERHEAD;
        Self { delivery, since: Instant::now(), size }
    }
}

/// The queues of all Providers.
#[derive(Default)]
pub(super) struct Shelves(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    queues: HashMap<ObjectKey, Queue>,
    /// Of all that waits or is under way, in bytes.
    used: usize,
}

#[derive(Default)]
struct Queue {
    parcels: VecDeque<Parcel>,
    used: usize,
    newest: Option<Arc<Provider>>,
    arrived: Arc<Notify>,
    losses: Losses,
}

/// What became of a parcel that was put on a shelf.
#[derive(Default)]
pub(super) struct Placed {
    /// What tells of arrivals, where the Provider had no queue and so needs a sender.
    pub(super) new: Option<Arc<Notify>>,
    /// Whose oldest parcel had to go, one for each.
    pub(super) displaced: Vec<ObjectKey>,
}

impl Shelves {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a parcel to the end of a Provider's queue. Where the Provider has too much, its oldest go; where all together
    /// have too much, the oldest of whoever has most.
    pub(super) fn push(&self, provider: &ObjectKey, parcel: Parcel) -> Placed {
        let mut inner = self.lock();
        let mut placed = Placed::default();
        if !inner.queues.contains_key(provider) {
            let queue = Queue::default();
            placed.new = Some(queue.arrived.clone());
            inner.queues.insert(provider.clone(), queue);
        }
        let Inner { queues, used } = &mut *inner;
        if let Some(queue) = queues.get_mut(provider) {
            *used += parcel.size;
            queue.used += parcel.size;
            queue.newest = Some(parcel.delivery.provider.clone());
            queue.parcels.push_back(parcel);
            queue.arrived.notify_one();
            while queue.used > EACH && queue.displace(provider, used) {
                placed.displaced.push(provider.clone());
            }
        }
        while *used > ALL {
            let Some((key, queue)) = queues.iter_mut().max_by_key(|(_, queue)| queue.used) else { break };
            if !queue.displace(key, used) {
                break;
            }
            placed.displaced.push(key.clone());
        }
        placed
    }

    /// The oldest parcel of a Provider. It takes its room until [`Shelves::done`].
    pub(super) fn pop(&self, provider: &ObjectKey) -> Option<Parcel> {
        let mut inner = self.lock();
        let queue = inner.queues.get_mut(provider)?;
        let parcel = queue.parcels.pop_front()?;
        queue.used -= parcel.size;
        Some(parcel)
    }

    /// Frees the room of a parcel that was taken off.
    pub(super) fn done(&self, parcel: &Parcel) {
        self.lock().used -= parcel.size;
    }

    /// A Provider as its newest parcel has it: what waits is not sent to where it led before.
    pub(super) fn newest(&self, provider: &ObjectKey) -> Option<Arc<Provider>> {
        self.lock().queues.get(provider)?.newest.clone()
    }

    /// Notes a loss, to be told.
    pub(super) fn lose(&self, provider: &ObjectKey, alert: &Arc<Alert>, message: String) {
        if let Some(queue) = self.lock().queues.get_mut(provider) {
            queue.losses.add(alert, message);
        }
    }

    /// When the next loss of a Provider is to be told.
    pub(super) fn losses_due(&self, provider: &ObjectKey) -> Option<Instant> {
        self.lock().queues.get(provider)?.losses.due()
    }

    /// Losses of a Provider that are to be told now, or all of them.
    pub(super) fn take_losses(&self, provider: &ObjectKey, all: bool) -> Vec<(Arc<Alert>, String)> {
        let mut inner = self.lock();
        inner.queues.get_mut(provider).map(|queue| queue.losses.take(all)).unwrap_or_default()
    }

    /// Takes away a queue that has nothing in it, and tells whether it did. Nothing is pushed to a sender that is gone.
    pub(super) fn retire(&self, provider: &ObjectKey) -> bool {
        let mut inner = self.lock();
        let unused = |queue: &Queue| queue.parcels.is_empty() && queue.losses.is_empty();
        let retires = inner.queues.get(provider).is_none_or(unused);
        if retires {
            inner.queues.remove(provider);
        }
        retires
    }

    #[cfg(test)]
    pub(super) fn queues(&self) -> usize {
        self.lock().queues.len()
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.lock().used
    }
}

impl Queue {
    /// Drops the oldest parcel; false when there is none.
    fn displace(&mut self, provider: &ObjectKey, all: &mut usize) -> bool {
        let Some(parcel) = self.parcels.pop_front() else { return false };
        self.used -= parcel.size;
        *all -= parcel.size;
        let why = format!("too many notifications wait for provider '{}'", provider.name);
        self.losses.add(&parcel.delivery.alert, parcel.delivery.failure(&why));
        true
    }
}

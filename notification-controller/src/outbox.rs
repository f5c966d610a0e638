//! What waits to be sent: a bounded queue and one sender for each Provider, so that a slow one keeps nobody else waiting.
//! What is lost is counted and told.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice_api::notification::{Alert, Provider};
use sluice_runtime::ObjectKey;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::provider::Notification;

/// Notifications that wait for one Provider at most.
const QUEUE: usize = 4096;
/// What waits for one Provider at most, in KiB. More than the largest event.
const PROVIDER_ROOM: usize = 8 * 1024;
/// News that waited longer than this is none.
const MAX_AGE: Duration = Duration::from_mins(10);
/// What waits for all Providers together at most, in KiB.
const ROOM: usize = 64 * 1024;
/// A sender without work ends after this time.
const IDLE: Duration = Duration::from_mins(1);
/// How often a notification that the service puts off is tried again.
const RETRIES: u32 = 4;
/// The longest time that a service may put us off.
const MAX_WAIT: Duration = Duration::from_mins(5);
/// What a shutdown leaves for delivering what waits.
const DRAIN: Duration = Duration::from_secs(20);

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

    /// Some notifications of an Alert are lost.
    fn lost(&self, alert: &Alert, provider: &ObjectKey, loss: Loss, count: u64, message: String);
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
    room: Arc<Semaphore>,
    queues: Mutex<HashMap<ObjectKey, Queue>>,
}

struct Queue {
    sender: mpsc::Sender<Parcel>,
    room: Arc<Semaphore>,
    overflow: Arc<Overflow>,
}

/// What was lost because the queue was full, not yet told.
#[derive(Default)]
struct Overflow(Mutex<HashMap<ObjectKey, (Arc<Alert>, u64)>>);

struct Parcel {
    delivery: Delivery,
    since: Instant,
    _room: [OwnedSemaphorePermit; 2],
}

impl<C: Courier> Outbox<C> {
    /// Senders run on `tasks`, and after `stop` only for a short time.
    pub(crate) fn new(courier: C, tasks: TaskTracker, stop: CancellationToken) -> Self {
        let room = Arc::new(Semaphore::new(ROOM));
        Self { shared: Arc::new(Shared { courier, tasks, stop, room, queues: Mutex::default() }) }
    }

    /// Queues a delivery. When there is no room for it, it is lost, which its Alert is told.
    pub(crate) fn push(&self, delivery: Delivery) {
        let key = ObjectKey::of(&*delivery.provider);
        let mut queues = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // A shutdown may have ended the sender.
        let known = queues.get(&key).filter(|queue| !queue.sender.is_closed());
        let new = known.is_none().then(Queue::new);
        let Some(queue) = known.or(new.as_ref().map(|(queue, _)| queue)) else { return };
        let size = u32::try_from(delivery.notification.event.size() / 1024 + 1).unwrap_or(u32::MAX);
        let room = (queue.room.clone().try_acquire_many_owned(size))
            .and_then(|own| Ok([own, self.shared.room.clone().try_acquire_many_owned(size)?]));
        let alert = delivery.alert.clone();
        let taken = match room {
            Ok(room) => {
                queue.sender.try_send(Parcel { delivery, since: Instant::now(), _room: room }).is_ok()
            }
            Err(_) => false,
        };
        if !taken {
            queue.overflow.add(alert);
        }
        if let Some((queue, parcels)) = new {
            let (shared, lost) = (self.shared.clone(), queue.overflow.clone());
            let sender = Sender { shared, provider: key.clone(), parcels, lost, line: None };
            self.shared.tasks.spawn(sender.run());
            queues.insert(key, queue);
        }
    }
}

impl Queue {
    fn new() -> (Self, mpsc::Receiver<Parcel>) {
        let (sender, parcels) = mpsc::channel(QUEUE);
        (Self { sender, room: Arc::new(Semaphore::new(PROVIDER_ROOM)), overflow: Arc::default() }, parcels)
    }
}

impl Overflow {
    fn add(&self, alert: Arc<Alert>) {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.entry(ObjectKey::of(&*alert)).or_insert((alert, 0)).1 += 1;
    }

    fn take(&self) -> Vec<(Arc<Alert>, u64)> {
        let lost = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        lost.into_values().collect()
    }
}

/// Sends what waits for one Provider, one after the other.
struct Sender<C: Courier> {
    shared: Arc<Shared<C>>,
    provider: ObjectKey,
    parcels: mpsc::Receiver<Parcel>,
    lost: Arc<Overflow>,
    line: Option<C::Line>,
}

impl<C: Courier> Sender<C> {
    async fn run(mut self) {
        let stop = self.shared.stop.clone();
        // Ends by itself when idle, or soon after the process is told to end.
        if let Some(()) = stop.run_until_cancelled(self.work()).await {
            return;
        }
        let _ = tokio::time::timeout(DRAIN, self.drain()).await;
        self.parcels.close();
        while let Ok(parcel) = self.parcels.try_recv() {
            let message = format!("{}: the controller ended before it was sent", failure(&parcel.delivery));
            self.shared.courier.lost(&parcel.delivery.alert, &self.provider, Loss::Shutdown, 1, message);
        }
        self.tell_overflow();
    }

    /// Sends until there was nothing to do for a while. Taken out of the queues under the lock, so that nothing is pushed
    /// to a sender that is gone.
    async fn work(&mut self) {
        loop {
            match tokio::time::timeout(IDLE, self.parcels.recv()).await {
                Ok(Some(parcel)) => self.send(parcel).await,
                Ok(None) => return,
                Err(_) => {
                    let mut queues = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
                    if self.parcels.is_empty() {
                        queues.remove(&self.provider);
                        return;
                    }
                }
            }
        }
    }

    async fn drain(&mut self) {
        while let Ok(parcel) = self.parcels.try_recv() {
            self.send(parcel).await;
        }
    }

    async fn send(&mut self, parcel: Parcel) {
        if parcel.since.elapsed() > MAX_AGE {
            self.lost.add(parcel.delivery.alert);
            if self.parcels.is_empty() {
                self.tell_overflow();
            }
            return;
        }
        // Cut off by a shutdown, the parcel counts as lost.
        let mut parcel =
            Unsent { courier: &self.shared.courier, provider: &self.provider, parcel: Some(parcel) };
        let mut tries = 0;
        while let Some(current) = &parcel.parcel {
            match self.shared.courier.deliver(&mut self.line, &current.delivery).await {
                Ok(()) => {
                    parcel.parcel = None;
                }
                Err(Undelivered::Later(wait, _)) if tries < RETRIES && wait <= MAX_WAIT => {
                    tries += 1;
                    tokio::time::sleep(wait).await;
                }
                Err(Undelivered::Later(_, problem) | Undelivered::Failed(problem)) => {
                    let message = format!("{}: {problem}", failure(&current.delivery));
                    let alert = current.delivery.alert.clone();
                    parcel.parcel = None;
                    self.shared.courier.lost(&alert, &self.provider, Loss::Failed, 1, message);
                }
            }
        }
        drop(parcel);
        self.tell_overflow();
    }

    fn tell_overflow(&self) {
        for (alert, count) in self.lost.take() {
            let message = format!(
                "{count} notifications were lost: too many waited for provider '{}', or for too long",
                self.provider.name
            );
            self.shared.courier.lost(&alert, &self.provider, Loss::Overflow, count, message);
        }
    }
}

fn failure(delivery: &Delivery) -> String {
    format!("failed to send notification for {}", delivery.notification.event.subject())
}

/// A parcel under way. Dropped before it is done with, it is reported as lost.
struct Unsent<'a, C: Courier> {
    courier: &'a C,
    provider: &'a ObjectKey,
    parcel: Option<Parcel>,
}

impl<C: Courier> Drop for Unsent<'_, C> {
    fn drop(&mut self) {
        if let Some(parcel) = self.parcel.take() {
            let message = format!("{}: the controller ended before it was sent", failure(&parcel.delivery));
            self.courier.lost(&parcel.delivery.alert, self.provider, Loss::Shutdown, 1, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::event::tests::event;
    use crate::provider::AlertIdentity;

    /// Never delivers to `stuck`, puts `busy` off once per notification, and refuses what is named `bad`.
    #[derive(Default)]
    struct Fake {
        sent: AtomicU64,
        puts_off: Mutex<HashMap<String, u32>>,
        lost: Mutex<Vec<(String, Loss, u64)>>,
    }

    impl Courier for Arc<Fake> {
        type Line = ();

        async fn deliver(&self, _line: &mut Option<()>, delivery: &Delivery) -> Result<(), Undelivered> {
            let message = delivery.notification.event.message.clone();
            match ObjectKey::of(&*delivery.provider).name.as_str() {
                "stuck" => std::future::pending().await,
                "bad" => return Err(Undelivered::Failed("404".to_owned())),
                "busy" => {
                    let mut puts_off = self.puts_off.lock().unwrap();
                    let times = puts_off.entry(message).or_default();
                    *times += 1;
                    if *times == 1 {
                        return Err(Undelivered::Later(Duration::from_secs(30), "429".to_owned()));
                    }
                }
                "never" => return Err(Undelivered::Later(Duration::from_secs(30), "429".to_owned())),
                _ => {}
            }
            self.sent.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        fn lost(&self, alert: &Alert, _provider: &ObjectKey, loss: Loss, count: u64, _message: String) {
            self.lost.lock().unwrap().push((ObjectKey::of(alert).name, loss, count));
        }
    }

    fn delivery(provider: &str, message: &str) -> Delivery {
        let metadata = serde_json::json!({"name": provider, "namespace": "a"});
        let alert = serde_json::json!({"apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert",
            "metadata": metadata, "spec": {"providerRef": {"name": provider}, "eventSources": []}});
        let provider = serde_json::json!({"apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider",
            "metadata": metadata, "spec": {"type": "generic"}});
        let mut event = event("error", &[]);
        event.message = message.to_owned();
        Delivery {
            alert: Arc::new(serde_json::from_value(alert).unwrap()),
            provider: Arc::new(serde_json::from_value(provider).unwrap()),
            notification: Notification { event, status_id: String::new(), alert: AlertIdentity::default() },
        }
    }

    fn outbox() -> (Arc<Fake>, Outbox<Arc<Fake>>, CancellationToken, TaskTracker) {
        let (fake, tasks, stop) = (Arc::<Fake>::default(), TaskTracker::new(), CancellationToken::new());
        (fake.clone(), Outbox::new(fake, tasks.clone(), stop.clone()), stop, tasks)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_provider_loses_only_its_own_and_every_loss_is_told() {
        let (fake, outbox, stop, tasks) = outbox();
        for n in 0..10_000 {
            outbox.push(delivery("stuck", &n.to_string()));
        }
        for n in 0..10 {
            outbox.push(delivery("fine", &n.to_string()));
        }
        tokio::time::sleep(IDLE * 2).await;
        assert_eq!(fake.sent.load(Ordering::Relaxed), 10);
        assert_eq!(outbox.shared.queues.lock().unwrap().len(), 1, "the idle sender is gone");
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        let lost = fake.lost.lock().unwrap();
        assert!(lost.iter().all(|(alert, _, _)| alert == "stuck"));
        assert_eq!(lost.iter().map(|(_, _, count)| count).sum::<u64>(), 10_000, "each is accounted for");
        assert!(lost.contains(&("stuck".to_owned(), Loss::Overflow, 10_000 - QUEUE as u64)), "{lost:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn large_events_fill_the_room_before_the_queue() {
        let (fake, outbox, stop, tasks) = outbox();
        for _ in 0..10 {
            outbox.push(delivery("stuck", &"x".repeat(1024 * 1024)));
        }
        assert_eq!(outbox.shared.room.available_permits(), ROOM - 7 * 1025, "seven of a MiB and a bit");
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        assert_eq!(fake.lost.lock().unwrap().iter().map(|(_, _, count)| count).sum::<u64>(), 10);
        assert_eq!(outbox.shared.room.available_permits(), ROOM);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_off_comes_later_and_in_order_and_not_for_ever() {
        let (fake, outbox, _stop, _tasks) = outbox();
        for n in 0..3 {
            outbox.push(delivery("busy", &n.to_string()));
        }
        outbox.push(delivery("never", "x"));
        outbox.push(delivery("bad", "x"));
        tokio::time::sleep(Duration::from_mins(4)).await;
        assert_eq!(fake.sent.load(Ordering::Relaxed), 3);
        let mut lost = fake.lost.lock().unwrap().clone();
        lost.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(lost, [("bad".to_owned(), Loss::Failed, 1), ("never".to_owned(), Loss::Failed, 1)]);
    }
}

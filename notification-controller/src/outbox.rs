//! What waits to be sent: a bounded queue and one sender for each Provider, so that a slow one keeps nobody else waiting.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice_runtime::ObjectKey;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Notifications that wait for one Provider at most.
const QUEUE: usize = 256;
/// A sender without work ends after this time.
const IDLE: Duration = Duration::from_mins(1);

/// One delivery.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The queues of all Providers.
#[derive(Clone)]
pub(crate) struct Outbox {
    queues: Arc<Mutex<HashMap<ObjectKey, mpsc::Sender<Job>>>>,
    tasks: TaskTracker,
}

impl Outbox {
    /// Senders run on `tasks`.
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        Self { queues: Arc::default(), tasks }
    }

    /// Queues a delivery for a Provider. False when its queue is full: the job is lost.
    pub(crate) fn push(&self, provider: &ObjectKey, job: Job) -> bool {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(provider.clone()).or_insert_with(|| self.start(provider.clone()));
        queue.try_send(job).is_ok()
    }

    /// Starts the sender of a Provider. It ends when idle, and takes its queue out under the lock so that no job is lost.
    fn start(&self, provider: ObjectKey) -> mpsc::Sender<Job> {
        let (queue, mut jobs) = mpsc::channel::<Job>(QUEUE);
        let queues = self.queues.clone();
        self.tasks.spawn(async move {
            loop {
                match tokio::time::timeout(IDLE, jobs.recv()).await {
                    Ok(Some(job)) => job.await,
                    Ok(None) => break,
                    Err(_) => {
                        let mut queues = queues.lock().unwrap_or_else(PoisonError::into_inner);
                        if jobs.is_empty() {
                            queues.remove(&provider);
                            break;
                        }
                    }
                }
            }
        });
        queue
    }

    /// Takes no more work: senders end after what is queued.
    pub(crate) fn close(&self) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stuck_provider_loses_only_its_own_and_only_beyond_its_bound() {
        let tasks = TaskTracker::new();
        let outbox = Outbox::new(tasks.clone());
        let (stuck, fine) = (ObjectKey::new("a", "stuck"), ObjectKey::new("a", "fine"));
        let accepted =
            (0..QUEUE + 50).filter(|_| outbox.push(&stuck, Box::pin(std::future::pending()))).count();
        assert_eq!(accepted, QUEUE);
        let sent = Arc::new(AtomicUsize::new(0));
        for _ in 0..10 {
            let sent = sent.clone();
            let job = async move {
                sent.fetch_add(1, Ordering::Relaxed);
            };
            assert!(outbox.push(&fine, Box::pin(job)));
        }
        tokio::time::sleep(IDLE * 2).await;
        assert_eq!(sent.load(Ordering::Relaxed), 10);
        assert_eq!(outbox.queues.lock().unwrap().len(), 1, "the idle sender is gone");
    }
}

//! The work queue of a controller: which object is to be reconciled next, and when.
//!
//! Each key is queued at most once and never runs twice at the same time. What people ask for goes before what the
//! clock asks for. Failures are retried with an exponential delay per key.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ObjectKey;
use crate::metrics::QueueMetrics;

/// Limits of the delay after failures: the first one, doubled until the second one.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Delay after the first failure.
    pub min: Duration,
    /// Longest delay.
    pub max: Duration,
}

impl Backoff {
    /// The delay after a number of failures in a row (0 for the first).
    pub fn delay(&self, failures: u32) -> Duration {
        self.min.checked_mul(2_u32.saturating_pow(failures)).map_or(self.max, |delay| delay.min(self.max))
    }
}

/// Enqueues objects of one controller from anywhere.
#[derive(Clone)]
pub struct Waker(pub(crate) Arc<Queue>);

impl Waker {
    /// Asks for a reconcile as soon as a worker is free, before those that the clock asked for.
    pub fn wake(&self, key: &ObjectKey) {
        self.0.add(key, Priority::Urgent);
    }

    /// Asks for a reconcile after a delay, unless one is due earlier.
    pub fn wake_after(&self, key: &ObjectKey, delay: Duration) {
        self.0.add_after(key, delay);
    }

    /// Whether a reconcile of this key is asked for but has not started: what runs now is outdated.
    pub fn is_pending(&self, key: &ObjectKey) -> bool {
        self.0.is_pending(key)
    }
}

/// How soon a key is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Somebody changed something and waits.
    Urgent,
    /// A start of the controller or an interval.
    Routine,
}

#[derive(Default)]
struct State {
    urgent: VecDeque<ObjectKey>,
    routine: VecDeque<ObjectKey>,
    /// Keys in `urgent` or `routine`, with the time they came.
    queued: HashMap<ObjectKey, (Instant, Priority)>,
    running: HashSet<ObjectKey>,
    /// Keys that were asked for while they ran.
    again: HashMap<ObjectKey, Priority>,
    delayed: BTreeMap<(Instant, u64), ObjectKey>,
    delayed_by_key: HashMap<ObjectKey, (Instant, u64)>,
    failures: HashMap<ObjectKey, u32>,
    sequence: u64,
}

/// The queue of one controller.
pub(crate) struct Queue {
    state: Mutex<State>,
    ready: Notify,
    backoff: Backoff,
    metrics: QueueMetrics,
}

impl Queue {
    pub(crate) fn new(backoff: Backoff, metrics: QueueMetrics) -> Self {
        Self { state: Mutex::default(), ready: Notify::new(), backoff, metrics }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, key: &ObjectKey, priority: Priority) {
        self.metrics.adds.inc();
        self.state().add(key, priority);
        self.ready.notify_one();
    }

    pub(crate) fn add_after(&self, key: &ObjectKey, delay: Duration) {
        let mut state = self.state();
        let at = Instant::now() + delay;
        if state.delayed_by_key.get(key).is_none_or(|(earlier, _)| at < *earlier) {
            state.schedule(key, at);
        }
        drop(state);
        self.ready.notify_one();
    }

    pub(crate) fn is_pending(&self, key: &ObjectKey) -> bool {
        let state = self.state();
        state.again.contains_key(key) || state.queued.contains_key(key)
    }

    /// The next key to work on; it counts as running until [`Queue::done`] is called. `None` after shutdown.
    pub(crate) async fn next(&self, shutdown: &CancellationToken) -> Option<ObjectKey> {
        loop {
            if shutdown.is_cancelled() {
                return None;
            }
            let (due, more) = {
                let mut state = self.state();
                let popped = state.pop(Instant::now());
                self.metrics.depth.set(state.queued.len() as i64);
                (popped, state.urgent.len() + state.routine.len() > 0)
            };
            match due {
                Ok((key, since)) => {
                    self.metrics.waited.observe(since.elapsed().as_secs_f64());
                    if more {
                        self.ready.notify_one();
                    }
                    return Some(key);
                }
                Err(earliest) => {
                    let due = async {
                        match earliest {
                            Some(at) => tokio::time::sleep_until(at).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = self.ready.notified() => {}
                        () = due => {}
                        () = shutdown.cancelled() => return None,
                    }
                }
            }
        }
    }

    /// Ends the work on a key. `delay`: when the clock wants it next. A success clears the failures.
    pub(crate) fn done(&self, key: &ObjectKey, delay: Option<Duration>) {
        let mut state = self.state();
        state.failures.remove(key);
        state.finish(key, delay);
        drop(state);
        self.ready.notify_one();
    }

    /// Ends the work on a key that failed: it comes back after its own growing delay, which is returned.
    pub(crate) fn failed(&self, key: &ObjectKey) -> Duration {
        self.failed_within(key, Duration::MAX)
    }

    /// The same, for work that would come back after `longest` in any case.
    pub(crate) fn failed_within(&self, key: &ObjectKey, longest: Duration) -> Duration {
        self.metrics.retries.inc();
        let mut state = self.state();
        let failures = state.failures.entry(key.clone()).or_default();
        let delay = self.backoff.delay(*failures).min(longest);
        *failures = failures.saturating_add(1);
        state.finish(key, Some(delay));
        drop(state);
        self.ready.notify_one();
        delay
    }

    /// Forgets a key that is gone.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        let mut state = self.state();
        state.failures.remove(key);
        state.unschedule(key);
    }
}

impl State {
    fn add(&mut self, key: &ObjectKey, priority: Priority) {
        if self.running.contains(key) {
            let wanted = self.again.entry(key.clone()).or_insert(priority);
            if priority == Priority::Urgent {
                *wanted = Priority::Urgent;
            }
            return;
        }
        match self.queued.get_mut(key) {
            Some((_, Priority::Urgent)) => return,
            Some((_, Priority::Routine)) if priority == Priority::Routine => return,
            // Moved to the front queue; its place in the other one is skipped when it comes up.
            Some((_, known)) => *known = Priority::Urgent,
            None => {
                self.queued.insert(key.clone(), (Instant::now(), priority));
            }
        }
        match priority {
            Priority::Urgent => self.urgent.push_back(key.clone()),
            Priority::Routine => self.routine.push_back(key.clone()),
        }
    }

    fn schedule(&mut self, key: &ObjectKey, at: Instant) {
        self.unschedule(key);
        self.sequence += 1;
        self.delayed.insert((at, self.sequence), key.clone());
        self.delayed_by_key.insert(key.clone(), (at, self.sequence));
    }

    fn unschedule(&mut self, key: &ObjectKey) {
        if let Some(slot) = self.delayed_by_key.remove(key) {
            self.delayed.remove(&slot);
        }
    }

    /// The next key, or the time of the earliest delayed one.
    fn pop(&mut self, now: Instant) -> Result<(ObjectKey, Instant), Option<Instant>> {
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            let key = entry.remove();
            self.delayed_by_key.remove(&key);
            self.add(&key, Priority::Routine);
        }
        while let Some((key, from)) = self
            .urgent
            .pop_front()
            .map(|key| (key, Priority::Urgent))
            .or_else(|| self.routine.pop_front().map(|key| (key, Priority::Routine)))
        {
            // An entry whose priority was raised meanwhile stands in both queues.
            if self.queued.get(&key).is_some_and(|(_, priority)| *priority == from)
                && let Some((since, _)) = self.queued.remove(&key)
            {
                self.unschedule(&key);
                self.running.insert(key.clone());
                return Ok((key, since));
            }
        }
        Err(self.delayed.keys().next().map(|(at, _)| *at))
    }

    fn finish(&mut self, key: &ObjectKey, delay: Option<Duration>) {
        self.running.remove(key);
        if let Some(priority) = self.again.remove(key) {
            self.add(key, priority);
        } else if let Some(delay) = delay {
            let at = Instant::now() + delay;
            if self.delayed_by_key.get(key).is_none_or(|(earlier, _)| at < *earlier) {
                self.schedule(key, at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        let backoff = Backoff { min: Duration::from_millis(750), max: Duration::from_mins(15) };
        Queue::new(backoff, QueueMetrics::default())
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("ns", name)
    }

    async fn next(queue: &Queue) -> String {
        queue.next(&CancellationToken::new()).await.map(|key| key.name).unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_queued_once_and_never_runs_twice_at_once() {
        let queue = queue();
        queue.add(&key("a"), Priority::Routine);
        queue.add(&key("a"), Priority::Urgent);
        queue.add(&key("b"), Priority::Routine);
        assert_eq!(next(&queue).await, "a");
        queue.add(&key("a"), Priority::Urgent);
        assert_eq!(next(&queue).await, "b");
        assert!(queue.is_pending(&key("a")));
        assert!(tokio::time::timeout(Duration::from_secs(5), next(&queue)).await.is_err(), "a still runs");
        queue.done(&key("a"), Some(Duration::from_hours(1)));
        assert_eq!(next(&queue).await, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn what_people_ask_for_goes_first() {
        let queue = queue();
        for name in ["a", "b", "c"] {
            queue.add(&key(name), Priority::Routine);
        }
        queue.add(&key("c"), Priority::Urgent);
        let order = [next(&queue).await, next(&queue).await, next(&queue).await];
        assert_eq!(order, ["c", "a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_double_the_delay_until_a_success() {
        let queue = queue();
        queue.add(&key("a"), Priority::Routine);
        let mut delays = Vec::new();
        for _ in 0..3 {
            next(&queue).await;
            delays.push(queue.failed(&key("a")).as_millis());
        }
        assert_eq!(delays, [750, 1500, 3000]);
        next(&queue).await;
        queue.done(&key("a"), Some(Duration::ZERO));
        next(&queue).await;
        assert_eq!(queue.failed(&key("a")).as_millis(), 750);
        assert_eq!(queue.backoff.delay(40), Duration::from_mins(15));
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_delay_counts_and_running_clears_it() {
        let queue = queue();
        let start = Instant::now();
        queue.add_after(&key("a"), Duration::from_mins(1));
        queue.add_after(&key("a"), Duration::from_secs(10));
        queue.add_after(&key("a"), Duration::from_secs(30));
        next(&queue).await;
        assert_eq!(start.elapsed().as_secs(), 10);
        queue.done(&key("a"), None);
        assert!(tokio::time::timeout(Duration::from_hours(2), next(&queue)).await.is_err());
    }

    #[tokio::test]
    async fn many_workers_share_many_keys_without_a_loss() {
        let queue = Arc::new(queue());
        let shutdown = CancellationToken::new();
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let (queue, shutdown) = (queue.clone(), shutdown.clone());
                tokio::spawn(async move {
                    let mut count = 0;
                    while let Some(key) = queue.next(&shutdown).await {
                        count += 1;
                        tokio::task::yield_now().await;
                        queue.done(&key, None);
                    }
                    count
                })
            })
            .collect();
        for n in 0..1000 {
            queue.add(&key(&n.to_string()), Priority::Routine);
        }
        while !queue.state().queued.is_empty() || !queue.state().running.is_empty() {
            tokio::task::yield_now().await;
        }
        shutdown.cancel();
        let mut total = 0;
        for worker in workers {
            total += worker.await.unwrap();
        }
        assert_eq!(total, 1000);
    }
}

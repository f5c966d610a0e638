//! Runs as tasks: one for each object at a time, and no worker is held while it waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sluice_api::helm::HelmRelease;
use sluice_api::meta::Reconcilable;
use sluice_runtime::queue::Backoff;
use sluice_runtime::{Next, ObjectKey, observed};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Context, attempt};

/// What is known of the runs of one object.
#[derive(Default)]
struct Entry {
    /// Ends waits of the run that is under way.
    running: Option<CancellationToken>,
    /// Whether something came while it ran.
    again: bool,
    /// How often runs failed in a row.
    failures: u32,
}

/// The runs that are under way.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<HashMap<ObjectKey, Entry>>);

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object is gone.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        let mut entries = self.lock();
        match entries.get_mut(key) {
            // Whoever runs removes it.
            Some(Entry { running: Some(token), again, .. }) => {
                token.cancel();
                *again = false;
            }
            _ => drop(entries.remove(key)),
        }
    }

    /// Notes that a run begins. Nothing when one is under way: it is told that there is news.
    fn begin(&self, key: &ObjectKey, interrupts: bool) -> Option<CancellationToken> {
        let mut entries = self.lock();
        let entry = entries.entry(key.clone()).or_default();
        if let Some(token) = &entry.running {
            entry.again = true;
            if interrupts {
                token.cancel();
            }
            return None;
        }
        let token = CancellationToken::new();
        entry.running = Some(token.clone());
        entry.again = false;
        Some(token)
    }

    /// Notes that a run has ended. When to come back; nothing when there is no need. `failed`: whether the API server failed
    /// it, which costs no whole interval.
    fn end(
        &self,
        key: &ObjectKey,
        (next, failed): (Next, bool),
        backoff: Backoff,
        gone: bool,
    ) -> Option<Duration> {
        let mut entries = self.lock();
        let entry = entries.entry(key.clone()).or_default();
        entry.running = None;
        let soon = backoff.delay(entry.failures);
        let delay = match next {
            Next::Backoff => Some(soon),
            Next::AwaitChange => failed.then_some(soon),
            Next::Now => Some(Duration::ZERO),
            Next::After(delay) if failed => Some(delay.min(soon)),
            Next::After(delay) => Some(delay),
        };
        entry.failures = if failed || next == Next::Backoff { entry.failures + 1 } else { 0 };
        let again = std::mem::take(&mut entry.again);
        if gone {
            entries.remove(key);
            return None;
        }
        if again { Some(Duration::ZERO) } else { delay }
    }
}

/// Starts a run, unless one is under way.
pub(crate) fn start(context: &Arc<Context>, object: Arc<HelmRelease>) {
    let key = ObjectKey::of(&*object);
    // A deletion need not wait until what is to be deleted has become ready.
    let interrupts = object.metadata.deletion_timestamp.is_some() || context.settings.cancel_on_news;
    let Some(superseded) = context.tasks.begin(&key, interrupts) else { return };
    let context = context.clone();
    let tasks = context.manager.tasks.clone();
    let work = async move {
        let started = Instant::now();
        let inner = context.clone();
        let run = async move { Box::pin(attempt::run(&inner, object, superseded)).await }.in_current_span();
        // A task of its own, so that a panic ends nothing but this run.
        let (next, failed) = tokio::spawn(observed(run)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the run ended in a bug of Sluice; it is tried again");
            (Next::Backoff, false)
        });
        context.manager.metrics.reconciled(&HelmRelease::kind_name(), &key, started.elapsed());
        let gone = context.cache.get(&key).is_none();
        match context.tasks.end(&key, (next, failed), context.manager.flags.backoff(), gone) {
            Some(Duration::ZERO) => context.waker.wake(&key),
            Some(delay) => context.waker.wake_after(&key, delay),
            None => {}
        }
    };
    // To the end also when the process is to end: waits are given up then, and what was begun is recorded as failed.
    tasks.spawn(work.in_current_span());
}

/// The name of a kind, for metrics.
trait KindName {
    fn kind_name() -> String;
}

impl<K: Reconcilable> KindName for K {
    fn kind_name() -> String {
        K::kind(&()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_mins(1) };

    #[test]
    fn one_run_at_a_time_and_news_brings_another() {
        let tasks = Tasks::default();
        let key = ObjectKey::new("a", "b");
        let token = tasks.begin(&key, false).unwrap();
        assert!(tasks.begin(&key, false).is_none() && !token.is_cancelled());
        assert!(tasks.begin(&key, true).is_none() && token.is_cancelled());
        assert_eq!(
            tasks.end(&key, (Next::After(Duration::from_secs(9)), false), BACKOFF, false),
            Some(Duration::ZERO)
        );
        assert!(tasks.begin(&key, false).is_some());
        assert_eq!(tasks.end(&key, (Next::AwaitChange, false), BACKOFF, false), None);
    }

    #[test]
    fn a_run_that_the_api_server_failed_is_done_again_soon() {
        let tasks = Tasks::default();
        let key = ObjectKey::new("a", "b");
        let first = tasks.end(&key, (Next::After(Duration::from_hours(1)), true), BACKOFF, false);
        let second = tasks.end(&key, (Next::AwaitChange, true), BACKOFF, false);
        assert!(first < second && second < Some(Duration::from_mins(1)), "{first:?} {second:?}");
        assert_eq!(tasks.end(&key, (Next::AwaitChange, false), BACKOFF, false), None);
    }

    #[test]
    fn delays_grow_with_failures_in_a_row() {
        let tasks = Tasks::default();
        let key = ObjectKey::new("a", "b");
        let delays: Vec<_> =
            (0..3).map(|_| tasks.end(&key, (Next::Backoff, false), BACKOFF, false).unwrap()).collect();
        assert!(delays[0] < delays[1] && delays[1] < delays[2], "{delays:?}");
        tasks.end(&key, (Next::AwaitChange, false), BACKOFF, false);
        assert_eq!(tasks.end(&key, (Next::Backoff, false), BACKOFF, false), Some(delays[0]));
        assert_eq!(tasks.end(&key, (Next::Backoff, false), BACKOFF, true), None);
    }
}

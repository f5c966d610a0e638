//! Beyond Flux: drift is corrected as it happens, by annotation, with the watches that are there anyway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_api::kustomize::Kustomization;
use sluice_runtime::ObjectKey;

use super::Context;
use super::memory::{Memory, Wait};

/// The annotation: `true`.
const ANNOTATION: &str = "sluice.dev/watch";
/// Drift within this time after a correction is a quarrel with somebody.
const QUARREL: Duration = Duration::from_secs(30);
/// The longest pause between two corrections of a quarrel.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

fn is_wanted(object: &Kustomization) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(ANNOTATION)).is_some_and(|value| value == "true")
}

/// Begins to look out for changes of applied objects, if that is wanted; the Kustomization is woken by the first.
pub(super) fn start(context: &Arc<Context>, object: &Kustomization, memory: &mut Memory, corrected: bool) {
    memory.lookout = None;
    if !is_wanted(object) || memory.ledger.is_empty() {
        return;
    }
    let pause = match memory.corrected {
        _ if !corrected => Duration::ZERO,
        Some((last, pause)) => next_pause(last.elapsed(), pause),
        None => Duration::ZERO,
    };
    if corrected {
        memory.corrected = Some((Instant::now(), pause));
    }
    let (token, guard) = Wait::token();
    let (sentry, waker, key) = (memory.ledger.sentry(), context.waker.clone(), ObjectKey::of(object));
    let stop = context.manager.stop.clone();
    tokio::spawn(async move {
        let work = async {
            tokio::time::sleep(pause).await;
            let touched = sentry.touched().await;
            tracing::info!(object = touched.to_string(), "an applied object was changed, reconciling");
            waker.wake(&key);
        };
        tokio::select! {
            () = work => {}
            () = token.cancelled() => {}
            () = stop.cancelled() => {}
        }
    });
    memory.lookout = Some(guard);
}

/// How long to wait before the next correction: longer and longer while somebody changes the objects again and again.
fn next_pause(since: Duration, pause: Duration) -> Duration {
    if since > QUARREL + pause {
        return Duration::ZERO;
    }
    (pause * 2).clamp(Duration::from_secs(1), LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarrel_slows_down_and_peace_forgets_it() {
        let mut pause = Duration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            pause = next_pause(Duration::from_secs(1), pause);
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(next_pause(Duration::from_secs(400), pause), Duration::ZERO);
    }
}

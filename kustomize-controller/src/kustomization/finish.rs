//! The end of a run: status, event, log, and when the next one is due.

use std::sync::Arc;

use sluice_runtime::{Failure, Next, ObjectKey, Retry, Severity};

use super::memory::Memory;
use super::run::{self, Run};
use super::{Context, Done, lookout, reason, steps};

/// Tells how a run ended: status, event, log, and when the next one is due.
pub(super) async fn finish(
    context: &Arc<Context>,
    mut run: Run,
    memory: &mut Memory,
    result: Result<Done, Failure>,
) -> Next {
    let key = ObjectKey::of(&*run.object);
    let interval = run.object.spec.interval;
    match result {
        Ok(Done::Waiting) => Next::AwaitChange,
        Ok(Done::Finished) => {
            let corrected = run.corrects_drift;
            lookout::start(context, &run.object, memory, corrected);
            run.succeed();
            run.handle_request();
            run.write(context).await;
            let took = run::shown(run.started.elapsed());
            let message = format!("Reconciliation finished in {took}, next run in {interval}");
            tracing::info!(revision = run.revision, "{message}");
            run.event(context, Severity::Info, message, true);
            for dependent in context.waiting.take(&key) {
                context.waker.wake(&dependent);
            }
            Next::After(context.manager.flags.jitter(interval.to_std()))
        }
        Err(failure) => {
            memory.applied = None;
            memory.lookout = None;
            if matches!(
                failure.reason,
                reason::RECONCILIATION_FAILED | reason::PRUNE_FAILED | reason::HEALTH_CHECK_FAILED
            ) {
                steps::after_failure(context, &mut run, memory).await;
            }
            run.fail(&failure);
            run.handle_request();
            let retry = run.object.spec.retry_interval();
            let next = match failure.retry {
                Retry::Usual => Next::After(retry.to_std()),
                Retry::After(delay) => Next::After(context.manager.flags.jitter(delay)),
                Retry::AfterExactly(delay) => Next::After(delay),
                Retry::Backoff => Next::Backoff,
                Retry::Never => Next::AwaitChange,
            };
            let took = run::shown(run.started.elapsed());
            match &failure.event {
                // The error itself is logged with the event.
                Some((Severity::Error, _)) => {
                    tracing::info!(
                        revision = run.revision,
                        "Reconciliation failed after {took}, next try in {retry}"
                    );
                }
                _ => tracing::info!(revision = run.revision, "{}", failure.message),
            }
            if let Some((severity, text)) = &failure.event {
                run.event(context, *severity, text.clone(), false);
            }
            run.write(context).await;
            next
        }
    }
}

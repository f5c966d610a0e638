//! What all sources have in common: the steps around fetching, the rules of their conditions, the look at the storage.
//!
//! A kind brings a [`Fetch`]: what it looks at upstream, how an artifact is made of it, and what it tells of that. It
//! runs inside [`Sources`], which does all that is the same: finalizers, deletion, suspension, retention, the check of
//! the stored artifact, status, events and the time of the next run.

mod context;
mod draft;
mod failure;
mod inside;
mod publish;
mod storage;
mod summarize;

use std::future::Future;
use std::sync::Arc;

use kube::Resource;
use sluice_api::meta::{
    ARTIFACT_IN_STORAGE_CONDITION, ARTIFACT_OUTDATED_CONDITION, Artifact, BUILD_FAILED_CONDITION,
    FETCH_FAILED_CONDITION, INCLUDE_UNAVAILABLE_CONDITION, READY_CONDITION, RECONCILING_CONDITION,
    Reconcilable, SOURCE_VERIFIED_CONDITION, STALLED_CONDITION, STORAGE_OPERATION_FAILED_CONDITION,
};
use sluice_runtime::conditions::Summary;
use sluice_runtime::controller::{Next, Reconciler};
use sluice_runtime::{Controller, ObjectKey, Severity, errors, finalizer};

pub(crate) use context::Context;
pub(crate) use draft::Draft;
pub(crate) use failure::{Failure, Retry};
pub(crate) use inside::inside;
pub(crate) use publish::{artifact, publish};
pub(crate) use summarize::{Event, Success};

use crate::Shared;

/// A kind with an artifact in its status.
pub(crate) trait Source: Reconcilable {
    /// The artifact.
    fn artifact(status: &Self::Status) -> Option<&Artifact>;

    /// The artifact, to be changed.
    fn artifact_mut(status: &mut Self::Status) -> &mut Option<Artifact>;

    /// The address that always leads to the latest artifact, where the kind has one.
    fn url_mut(status: &mut Self::Status) -> Option<&mut String>;
}

/// Implements [`Source`] by the fields that statuses have under the same names.
macro_rules! impl_source {
    ($kind:ty, $status:ty $(, $url:ident)?) => {
        impl crate::source::Source for $kind {
            fn artifact(status: &$status) -> Option<&sluice_api::meta::Artifact> {
                status.artifact.as_ref()
            }

            fn artifact_mut(status: &mut $status) -> &mut Option<sluice_api::meta::Artifact> {
                &mut status.artifact
            }

            fn url_mut(_status: &mut $status) -> Option<&mut String> {
                None$(.or(Some(&mut _status.$url)))?
            }
        }
    };
}
pub(crate) use impl_source;

/// The conditions that this controller writes. No kind has all of them.
pub(crate) const OWNED: [&str; 10] = [
    STORAGE_OPERATION_FAILED_CONDITION,
    FETCH_FAILED_CONDITION,
    BUILD_FAILED_CONDITION,
    INCLUDE_UNAVAILABLE_CONDITION,
    ARTIFACT_OUTDATED_CONDITION,
    ARTIFACT_IN_STORAGE_CONDITION,
    SOURCE_VERIFIED_CONDITION,
    READY_CONDITION,
    RECONCILING_CONDITION,
    STALLED_CONDITION,
];

/// How the others make up `Ready`.
const SUMMARY: Summary<'static> = Summary {
    order: &[
        STORAGE_OPERATION_FAILED_CONDITION,
        FETCH_FAILED_CONDITION,
        BUILD_FAILED_CONDITION,
        INCLUDE_UNAVAILABLE_CONDITION,
        ARTIFACT_OUTDATED_CONDITION,
        ARTIFACT_IN_STORAGE_CONDITION,
        SOURCE_VERIFIED_CONDITION,
        STALLED_CONDITION,
        RECONCILING_CONDITION,
    ],
    negative: &[
        STORAGE_OPERATION_FAILED_CONDITION,
        FETCH_FAILED_CONDITION,
        BUILD_FAILED_CONDITION,
        INCLUDE_UNAVAILABLE_CONDITION,
        ARTIFACT_OUTDATED_CONDITION,
        STALLED_CONDITION,
        RECONCILING_CONDITION,
    ],
};

/// Those of them that say that something failed.
const FAILURES: [&str; 4] = [
    FETCH_FAILED_CONDITION,
    BUILD_FAILED_CONDITION,
    INCLUDE_UNAVAILABLE_CONDITION,
    STORAGE_OPERATION_FAILED_CONDITION,
];

/// What is special of one kind.
pub(crate) trait Fetch: Send + Sync + Sized + 'static {
    /// The kind.
    type Object: Source;
    /// What a run came to.
    type Outcome: Send;

    /// Objects that are not worked on at all are seen to here.
    fn intercept(
        &self,
        context: &Context<Self::Object>,
        object: &Arc<Self::Object>,
    ) -> impl Future<Output = kube::Result<Option<Next>>> + Send {
        let _ = (context, object);
        std::future::ready(Ok(None))
    }

    /// Looks upstream, and makes an artifact where that is due. The storage was looked at before.
    fn attempt(
        &self,
        context: &Context<Self::Object>,
        object: &Arc<Self::Object>,
        draft: &mut Draft<Self::Object>,
    ) -> impl Future<Output = kube::Result<Result<Self::Outcome, Failure>>> + Send;

    /// Forgets what is kept of an object that is deleted.
    fn forget(&self, _key: &ObjectKey) {}

    /// What a success means. Failures of before are gone from the status already.
    fn succeed(object: &Self::Object, success: &mut Success<'_, Self::Object>, outcome: Self::Outcome);
}

/// The reconciler of a kind.
pub(crate) struct Sources<F: Fetch> {
    context: Context<F::Object>,
    fetch: F,
}

impl<F: Fetch> Sources<F> {
    /// A reconciler for the objects of a controller.
    pub(crate) fn new(shared: Arc<Shared>, controller: &Controller<F::Object>, fetch: F) -> Self {
        Sources { context: Context::new(shared, controller.cache()), fetch }
    }

    async fn run(&self, object: Arc<F::Object>) -> kube::Result<Next> {
        let context = &self.context;
        if let Some(next) = self.fetch.intercept(context, &object).await? {
            return Ok(next);
        }
        if object.meta().deletion_timestamp.is_some() {
            return self.delete(&object).await;
        }
        let client = &context.shared.manager.client;
        let object = if finalizer::is_present(&*object) {
            object
        } else {
            match finalizer::add(client, &context.cache, &object).await? {
                Some(object) => object,
                None => return Ok(Next::AwaitChange),
            }
        };
        if object.suspend() {
            context.write(&object, &summarize::suspended(&*object)).await?;
            return Ok(Next::AwaitChange);
        }
        let mut draft = Draft::begin(&*object);
        if draft.is_news() {
            context.write(&object, &draft.status).await?;
        }
        // In a place of its own: a future that is handed on is held by each of those that hand it on.
        let attempt = Box::pin(self.attempt(&object, &mut draft));
        let attempt = context.shared.manager.stop.run_until_cancelled(attempt).await;
        // A shutdown is no failure of the object.
        let Some(attempt) = attempt else { return Ok(Next::AwaitChange) };
        let report = summarize::summarize::<F>(&*object, draft, attempt?);
        context.report(&object, report).await
    }

    async fn attempt(
        &self,
        object: &Arc<F::Object>,
        draft: &mut Draft<F::Object>,
    ) -> kube::Result<Result<F::Outcome, Failure>> {
        let context = &self.context;
        let stored = match storage::observe(&context.shared.storage, &**object).await {
            Ok(stored) => stored,
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some(problem) = stored.problem() {
            context.emit(object, Event::new(Severity::Error, "ArtifactVerificationFailed", problem));
        }
        if stored.garbage > 0 {
            let message = format!("garbage collected {} artifacts", stored.garbage);
            context.emit(object, Event::new(Severity::Trace, "GarbageCollectionSucceeded", message));
        }
        if draft.storage(&stored, &context.shared.storage) {
            context.write(object, &draft.status).await?;
        }
        self.fetch.attempt(context, object, draft).await
    }

    /// Removes all artifacts, then lets go of the object.
    async fn delete(&self, object: &Arc<F::Object>) -> kube::Result<Next> {
        if !finalizer::is_present(&**object) {
            return Ok(Next::AwaitChange);
        }
        let context = &self.context;
        if let Err(error) = context.remove_artifacts(object).await {
            let message =
                format!("garbage collection for deleted resource failed: {}", errors::chain(&error));
            context.emit(object, Event::new(Severity::Error, "GarbageCollectionFailed", message));
            return Ok(Next::Backoff);
        }
        self.fetch.forget(&ObjectKey::of(&**object));
        let message = "garbage collected artifacts for deleted resource";
        context.emit(object, Event::new(Severity::Trace, "GarbageCollectionSucceeded", message));
        finalizer::remove(&context.shared.manager.client, &context.cache, object).await?;
        Ok(Next::AwaitChange)
    }
}

impl<F: Fetch> Reconciler for Sources<F> {
    type Kind = F::Object;

    async fn reconcile(&self, object: Arc<F::Object>) -> Next {
        match self.run(object).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(error = errors::describe(&error), "cannot write the object");
                Next::Backoff
            }
        }
    }
}

/// Runs file work on a thread where it may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // Only a panic ends the work otherwise; the worker reports it and goes on.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

//! GitRepository: a commit becomes an artifact.

mod act;
mod draft;
mod failure;
mod include;
mod observe;
mod plan;
mod remote;
mod summarize;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt as _;
use sluice_api::source::GitRepository;
use sluice_runtime::controller::{Next, Reconciler};
use sluice_runtime::{Cache, Controller, Severity, StatusWriter, errors, finalizer};

use crate::Shared;
use draft::Draft;
use failure::Failure;
use plan::Plan;
use summarize::Report;

/// The kind as storage paths and flags name it.
const KIND: &str = "GitRepository";

/// Runs the controller until the manager stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let controller = Controller::<GitRepository>::new(&shared.manager, shared.flags.concurrent);
    let cache = controller.cache();
    let status =
        StatusWriter::new(shared.manager.client.clone(), cache.clone(), "source-controller", &draft::OWNED);
    let ssh = sluice_git::SshAlgorithms {
        key_exchange: shared.flags.ssh_kex_algos.clone(),
        host_key: shared.flags.ssh_hostkey_algos.clone(),
    };
    let git = sluice_git::Listings::new(sluice_git::Client::default().with_ssh(ssh));
    controller.run(GitRepositories { shared, git, cache, status }).await;
}

/// The reconciler and what it works with.
struct GitRepositories {
    shared: Arc<Shared>,
    git: sluice_git::Listings,
    cache: Arc<Cache<GitRepository>>,
    status: StatusWriter<GitRepository>,
}

/// What a run came to.
enum Outcome {
    /// Nothing to do: the artifact is of this revision.
    Kept(String),
    /// A new artifact.
    Stored(Box<act::Stored>),
}

impl Reconciler for GitRepositories {
    type Kind = GitRepository;

    async fn reconcile(&self, object: Arc<GitRepository>) -> Next {
        match self.run(object).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(error = errors::describe(&error), "cannot write the object");
                Next::Backoff
            }
        }
    }
}

impl GitRepositories {
    async fn run(&self, object: Arc<GitRepository>) -> kube::Result<Next> {
        if object.metadata.deletion_timestamp.is_some() {
            return self.delete(&object).await;
        }
        let object = if finalizer::is_present(&*object) {
            object
        } else {
            match finalizer::add(&self.shared.manager.client, &self.cache, &object).await? {
                Some(object) => object,
                None => return Ok(Next::AwaitChange),
            }
        };
        if object.spec.suspend {
            self.status.write(&object, &summarize::suspended(&object)).await?;
            return Ok(Next::AwaitChange);
        }
        let mut draft = Draft::begin(&object);
        if draft.is_news() {
            self.progress(&object, &mut draft).await?;
        }
        let attempt = self.shared.manager.stop.run_until_cancelled(self.attempt(&object, &mut draft)).await;
        // A shutdown is no failure of the object.
        let Some(attempt) = attempt else { return Ok(Next::AwaitChange) };
        let report = summarize::summarize(&object, draft, attempt?);
        self.report(&object, report).await
    }

    /// Observes, plans and acts.
    async fn attempt(
        &self,
        object: &Arc<GitRepository>,
        draft: &mut Draft,
    ) -> kube::Result<Result<Outcome, Failure>> {
        let stored = match observe::storage(&self.shared.storage, object).await {
            Ok(stored) => stored,
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some(problem) = stored.problem() {
            self.emit(object, Severity::Error, "ArtifactVerificationFailed", problem, BTreeMap::new());
        }
        if stored.garbage > 0 {
            let message = format!("garbage collected {} artifacts", stored.garbage);
            self.emit(object, Severity::Trace, "GarbageCollectionSucceeded", message, BTreeMap::new());
        }
        if draft.storage(&stored, &self.shared.storage) {
            self.progress(object, draft).await?;
        }
        let inputs = match observe::upstream(self, object, draft.is_news()).await {
            Ok(inputs) => inputs,
            Err(failure) => return Ok(Err(failure)),
        };
        match plan::plan(&object.spec, &draft.status, inputs) {
            Plan::Keep(revision) => Ok(Ok(Outcome::Kept(revision))),
            Plan::Fetch(fetch) => self.act(object, draft, fetch).await,
        }
    }

    /// Writes a status in the middle of a run. Later differences are against what was written.
    async fn progress(&self, object: &Arc<GitRepository>, draft: &mut Draft) -> kube::Result<()> {
        let current = self.current(object);
        self.status.write(&current, &draft.status).await.map(|_| ())
    }

    /// The object as it was last written or seen.
    fn current(&self, object: &Arc<GitRepository>) -> Arc<GitRepository> {
        let cached = self.cache.get(&sluice_runtime::ObjectKey::of(&**object));
        cached.filter(|cached| cached.uid() == object.uid()).unwrap_or_else(|| object.clone())
    }

    async fn report(&self, object: &Arc<GitRepository>, report: Report) -> kube::Result<Next> {
        self.status.write(&self.current(object), &report.status).await?;
        for event in report.events {
            self.emit(object, event.severity, event.reason, event.message, event.metadata);
        }
        Ok(match report.next {
            summarize::NextRun::Interval => {
                Next::After(self.shared.manager.flags.jitter(object.spec.interval.to_std()))
            }
            summarize::NextRun::Dependency => Next::After(self.shared.flags.requeue_dependency),
            summarize::NextRun::Backoff => Next::Backoff,
            summarize::NextRun::Change => Next::AwaitChange,
        })
    }

    /// Removes all artifacts, then lets go of the object.
    async fn delete(&self, object: &Arc<GitRepository>) -> kube::Result<Next> {
        if !finalizer::is_present(&**object) {
            return Ok(Next::AwaitChange);
        }
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let storage = self.shared.storage.clone();
        let removed = blocking(move || storage.remove_object(KIND, &namespace, &name)).await;
        if let Err(error) = removed {
            let message =
                format!("garbage collection for deleted resource failed: {}", errors::chain(&error));
            self.emit(object, Severity::Error, "GarbageCollectionFailed", message, BTreeMap::new());
            return Ok(Next::Backoff);
        }
        let message = "garbage collected artifacts for deleted resource";
        self.emit(object, Severity::Trace, "GarbageCollectionSucceeded", message, BTreeMap::new());
        finalizer::remove(&self.shared.manager.client, &self.cache, object).await?;
        Ok(Next::AwaitChange)
    }

    fn emit(
        &self,
        object: &GitRepository,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
        metadata: BTreeMap<String, String>,
    ) {
        self.shared.manager.recorder.emit(object, severity, reason, message, metadata);
    }
}

/// Runs file work on a thread where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // Only a panic ends the work otherwise; the worker reports it and goes on.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

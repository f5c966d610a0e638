//! ArtifactGenerator: artifacts made of parts of several sources, each in an ExternalArtifact of its own.
//!
//! What Flux has a program of its own for, source-watcher, is a kind like the others here: it shares the storage, so
//! that sources of this process are read from disk. Those who use an ExternalArtifact are woken only when its own content
//! changes, whatever else changes in the sources.

mod build;
mod check;
mod failure;
mod output;
mod request;
mod sources;
mod summarize;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use sluice_api::meta::{
    Artifact, READY_CONDITION, RECONCILING_CONDITION, Reconcilable as _, STALLED_CONDITION,
};
use sluice_api::source::{ArtifactGenerator, ArtifactGeneratorStatus, ExternalArtifactReference};
use sluice_runtime::controller::{Next, Reconciler};
use sluice_runtime::{Cache, Controller, ObjectKey, StatusWriter, errors, finalizer};

use crate::Shared;
use crate::source::{Event, blocking};
use failure::Failure;
use output::Outputs;
use sources::{Observed, Sources};

/// Flux's name for the program that sees to these objects.
const FIELD_MANAGER: &str = "source-watcher";
/// The longest that one run may take.
const TIMEOUT: Duration = Duration::from_mins(10);
/// The conditions that are written.
const OWNED: [&str; 3] = [READY_CONDITION, RECONCILING_CONDITION, STALLED_CONDITION];

/// Runs the controller until the manager stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut controller = Controller::<ArtifactGenerator>::new(&shared.manager, shared.flags.concurrent);
    let sources = Sources::watch(&shared, &mut controller);
    let cache = controller.cache();
    let fetcher = match sources::fetcher() {
        Ok(fetcher) => fetcher,
        Err(error) => {
            tracing::error!(error = errors::chain(&error), "ArtifactGenerators are not seen to");
            return;
        }
    };
    let generators = Generators {
        status: StatusWriter::new(shared.manager.client.clone(), cache.clone(), FIELD_MANAGER, &OWNED),
        outputs: Outputs::new(shared.clone(), sources.external.clone(), cache.clone()),
        shared,
        cache,
        sources,
        fetcher,
    };
    controller.run(generators).await;
}

/// What a reconcile works with.
struct Generators {
    shared: Arc<Shared>,
    cache: Arc<Cache<ArtifactGenerator>>,
    status: StatusWriter<ArtifactGenerator>,
    sources: Sources,
    outputs: Outputs,
    fetcher: sluice_artifact::Fetcher,
}

/// What a run came to.
enum Outcome {
    /// Everything is as it should be.
    Kept,
    /// These artifacts were made; `changed` are those whose content is new.
    Made { inventory: Vec<ExternalArtifactReference>, digest: String, changed: Vec<String> },
}

impl Reconciler for Generators {
    type Kind = ArtifactGenerator;

    async fn reconcile(&self, object: Arc<ArtifactGenerator>) -> Next {
        match self.run(object).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(error = errors::describe(&error), "cannot write the object");
                Next::Backoff
            }
        }
    }
}

impl Generators {
    async fn run(&self, object: Arc<ArtifactGenerator>) -> kube::Result<Next> {
        if object.metadata.deletion_timestamp.is_some() {
            return self.delete(&object).await;
        }
        let client = &self.shared.manager.client;
        let object = if finalizer::is_present(&*object) {
            object
        } else {
            match finalizer::add(client, &self.cache, &object).await? {
                Some(object) => object,
                None => return Ok(Next::AwaitChange),
            }
        };
        if object.suspend() {
            let (status, event) = summarize::disabled(&object);
            self.write(&object, &status).await?;
            self.emit(&object, event);
            return Ok(Next::AwaitChange);
        }
        let attempt = tokio::time::timeout(TIMEOUT, self.attempt(&object));
        // A shutdown is no failure of the object.
        let Some(attempt) = self.shared.manager.stop.run_until_cancelled(attempt).await else {
            return Ok(Next::AwaitChange);
        };
        let attempt = attempt.unwrap_or_else(|_| Ok(Err(Failure::timeout(TIMEOUT))));
        let report = summarize::summarize(&object, attempt?);
        self.write(&object, &report.status).await?;
        self.emit(&object, report.event);
        Ok(match report.retry {
            None => {
                let interval = object.interval().unwrap_or_default();
                Next::After(self.shared.manager.flags.jitter(interval.to_std()))
            }
            Some(crate::source::Retry::Dependency) => Next::After(self.shared.flags.requeue_dependency),
            Some(crate::source::Retry::Backoff) => Next::Backoff,
            Some(crate::source::Retry::Never) => Next::AwaitChange,
        })
    }

    async fn attempt(&self, object: &Arc<ArtifactGenerator>) -> kube::Result<Result<Outcome, Failure>> {
        let namespace = object.namespace().unwrap_or_default();
        if let Err(failure) =
            check::check(&object.spec, &namespace, self.shared.flags.no_cross_namespace_refs)
        {
            return Ok(Err(failure));
        }
        let observed = match self.sources.observe(&object.spec, &namespace) {
            Ok(observed) => observed,
            Err(failure) => return Ok(Err(failure)),
        };
        if self.is_up_to_date(object, &observed).await {
            return Ok(Ok(Outcome::Kept));
        }
        let working = summarize::working(object);
        self.write(object, &working).await?;
        Ok(self.make(object, &observed).await)
    }

    /// Whether there is nothing to do: neither the object nor a source has changed, and what was made is there.
    async fn is_up_to_date(&self, object: &Arc<ArtifactGenerator>, observed: &Observed) -> bool {
        let Some(status) = object.status.clone() else { return false };
        if !summarize::is_settled(object, &status) || status.observed_sources_digest != observed.digest() {
            return false;
        }
        if object.spec.path_pattern.is_empty() && status.inventory.len() != object.spec.artifacts.len() {
            return false;
        }
        let named: BTreeSet<&str> = status.inventory.iter().map(|output| output.name.as_str()).collect();
        let labelled = self.outputs.labelled(object);
        if labelled.len() != named.len() || !labelled.iter().all(|name| named.contains(name.as_str())) {
            return false;
        }
        let outputs = self.outputs.clone();
        blocking(move || status.inventory.iter().all(|output| outputs.is_intact(output))).await
    }

    async fn make(&self, object: &Arc<ArtifactGenerator>, observed: &Observed) -> Result<Outcome, Failure> {
        let namespace = object.namespace().unwrap_or_default();
        let scratch = tempfile::Builder::new().prefix("generator-").tempdir().map_err(Failure::scratch)?;
        let mut roots = BTreeMap::new();
        for (index, (alias, artifact)) in observed.used(&object.spec).enumerate() {
            let root = scratch.path().join(index.to_string());
            std::fs::create_dir(&root).map_err(Failure::scratch)?;
            sources::unpack(&self.shared.storage, &self.fetcher, alias, artifact, &root).await?;
            roots.insert(alias.to_owned(), root);
        }
        let roots: Arc<BTreeMap<String, PathBuf>> = Arc::new(roots);
        let requests = {
            let (spec, roots) = (object.spec.clone(), roots.clone());
            blocking(move || request::requests(&spec, &roots)).await?
        };
        let (mut inventory, mut changed) = (Vec::new(), Vec::new());
        for request in requests {
            let known = self.outputs.artifact(&ObjectKey::new(&namespace, &request.name));
            let before = known.as_ref().map(|artifact| artifact.digest.clone());
            let built = {
                let storage = self.shared.storage.clone();
                let (namespace, roots) = (namespace.clone(), roots.clone());
                let (request, scratch) = (request.clone(), scratch.path().join("output"));
                blocking(move || build::build(&storage, &namespace, &request, &roots, &scratch, known))
                    .await?
            };
            let artifact = observed.revised(&request, built);
            let reference = reference(&namespace, &request.name, &artifact);
            if before.as_deref() != Some(artifact.digest.as_str()) {
                changed.push(format!("{namespace}/{} ({})", request.name, artifact.digest));
            }
            self.outputs.apply(object, &request, artifact).await?;
            inventory.push(reference);
        }
        self.collect_garbage(object, &inventory).await?;
        Ok(Outcome::Made { inventory, digest: observed.digest(), changed })
    }

    /// Removes outputs that are none any more, and superseded files of those that are.
    async fn collect_garbage(
        &self,
        object: &Arc<ArtifactGenerator>,
        inventory: &[ExternalArtifactReference],
    ) -> Result<(), Failure> {
        let kept: BTreeSet<&str> = inventory.iter().map(|output| output.name.as_str()).collect();
        for name in self.outputs.of(object).iter().filter(|name| !kept.contains(name.as_str())) {
            self.outputs.remove(object, name).await.map_err(|error| Failure::output(name, &error))?;
        }
        let (outputs, inventory) = (self.outputs.clone(), inventory.to_vec());
        blocking(move || inventory.iter().for_each(|output| outputs.tidy(output))).await;
        Ok(())
    }

    /// Removes what was made, then lets go of the object.
    async fn delete(&self, object: &Arc<ArtifactGenerator>) -> kube::Result<Next> {
        if !finalizer::is_present(&**object) {
            return Ok(Next::AwaitChange);
        }
        for name in self.outputs.of(object) {
            self.outputs.remove(object, &name).await?;
        }
        finalizer::remove(&self.shared.manager.client, &self.cache, object).await?;
        Ok(Next::AwaitChange)
    }

    async fn write(
        &self,
        object: &Arc<ArtifactGenerator>,
        status: &ArtifactGeneratorStatus,
    ) -> kube::Result<()> {
        let cached = self.cache.get(&ObjectKey::of(&**object));
        let current = cached.filter(|cached| cached.uid() == object.uid()).unwrap_or_else(|| object.clone());
        self.status.write(&current, status).await.map(|_| ())
    }

    fn emit(&self, object: &ArtifactGenerator, event: Option<Event>) {
        let Some(Event { severity, reason, message, metadata }) = event else { return };
        self.shared.manager.recorder.emit(object, severity, reason, message, metadata);
    }
}

fn reference(namespace: &str, name: &str, artifact: &Artifact) -> ExternalArtifactReference {
    ExternalArtifactReference {
        digest: artifact.digest.clone(),
        filename: artifact.path.rsplit('/').next().unwrap_or_default().to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    }
}

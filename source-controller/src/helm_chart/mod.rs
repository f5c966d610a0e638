//! HelmChart: one version of a chart becomes an artifact.

mod build;
mod built;
mod dependencies;
mod failure;
mod local;
mod origin;
mod remote;
mod spools;

use std::path::Path;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use sluice_api::meta::Artifact;
use sluice_api::source::{Bucket, GitRepository, HelmChart, HelmChartStatus, HelmRepository};
use sluice_artifact::Spool;
use sluice_runtime::{Cache, Change, Controller, ObjectKey, Severity};

use crate::Shared;
use crate::source::{
    Context, Draft, Event, Failure, Fetch, Source, Sources, Success, artifact, impl_source, publish,
};
use build::{Build, Goal};
use built::Builds;
use origin::Origin;
use spools::{Need, Spools};

impl_source!(HelmChart, HelmChartStatus, url);

/// Runs the controller until the manager stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut controller = Controller::<HelmChart>::new(&shared.manager, shared.flags.concurrent);
    let reads = Counter::default();
    let help = "How often an artifact was read to build HelmCharts from it";
    shared
        .manager
        .metrics
        .register(|registry| registry.register("sluice_chart_source_reads", help, reads.clone()));
    let charts = HelmCharts {
        helm_repositories: watch(&shared, &mut controller),
        git_repositories: watch(&shared, &mut controller),
        buckets: watch(&shared, &mut controller),
        builds: Builds::default(),
        spools: Spools::new(shared.storage.clone(), reads.clone()),
    };
    let sources = Sources::new(shared, &controller, charts);
    controller.run(sources).await;
}

/// Follows a kind of sources: charts are woken whose source has a revision that they have not seen.
fn watch<S: Source>(shared: &Shared, controller: &mut Controller<HelmChart>) -> Arc<Cache<S>> {
    let charts = controller.cache();
    let config = shared.manager.flags.watch_config();
    controller.watch(shared.manager.watched::<S>(), config, move |change: &Change<S>| {
        let artifact = change.new.as_ref().and_then(|source| S::artifact(source.status()?));
        let Some(artifact) = artifact.filter(|_| !change.initial) else { return Vec::new() };
        let concerned = |chart: &HelmChart| {
            let source = &chart.spec.source_ref;
            let status = chart.status.as_ref();
            source.kind == S::kind(&())
                && source.name == change.key.name
                && chart.metadata.namespace.as_deref() == Some(&change.key.namespace)
                && status.is_none_or(|status| status.observed_source_artifact_revision != artifact.revision)
        };
        charts.filter(concerned).iter().map(|chart| ObjectKey::of(&**chart)).collect()
    })
}

/// What the kind works with.
struct HelmCharts {
    helm_repositories: Arc<Cache<HelmRepository>>,
    git_repositories: Arc<Cache<GitRepository>>,
    buckets: Arc<Cache<Bucket>>,
    builds: Builds,
    spools: Arc<Spools>,
}

impl HelmCharts {
    /// Opens the artifact of a chart's source. Other charts that are to be built from it find there what they need, too.
    async fn open(
        &self,
        context: &Context<HelmChart>,
        object: &HelmChart,
        artifact: &Artifact,
    ) -> Result<Option<Arc<Spool>>, Failure> {
        let source = &object.spec.source_ref;
        let is_awaited = |chart: &HelmChart| {
            let other = &chart.spec.source_ref;
            other.name == source.name
                && other.kind == source.kind
                && chart.metadata.namespace == object.metadata.namespace
                && !chart.spec.suspend
                && chart.metadata.deletion_timestamp.is_none()
                && !self.builds.knows(
                    &ObjectKey::of(chart),
                    chart.metadata.generation.unwrap_or_default(),
                    &artifact.digest,
                )
        };
        let others = || {
            let charts = context.cache.filter(is_awaited);
            charts.iter().flat_map(|chart| local::places(&chart.spec)).collect()
        };
        let paths = local::places(&object.spec);
        self.spools.open(artifact, Need::Chart { paths, others }).await
    }

    /// The artifact of a tree, with another place of it. The error says why that cannot be read.
    async fn open_at(&self, tree: &dependencies::Tree<'_>, place: &Path) -> Result<Arc<Spool>, String> {
        if tree.spool.covers(place) {
            return Ok(tree.spool.clone());
        }
        let opened = self.spools.open(tree.artifact, Need::<fn() -> _>::Place(place.to_owned())).await;
        match opened {
            Ok(Some(spool)) => Ok(spool),
            Ok(None) => Err("the artifact of the source is gone".to_owned()),
            Err(failure) => Err(failure.message),
        }
    }
}

/// What a run came to.
enum Outcome {
    /// The chart is what it was. `verified`: whether somebody who is trusted has signed it.
    Kept { verified: bool },
    /// Another chart.
    Stored { artifact: Box<Artifact>, url: String, build: Box<Build>, verified: bool },
}

impl Fetch for HelmCharts {
    type Object = HelmChart;
    type Outcome = Outcome;

    async fn attempt(
        &self,
        context: &Context<HelmChart>,
        object: &Arc<HelmChart>,
        draft: &mut Draft<HelmChart>,
    ) -> kube::Result<Result<Outcome, Failure>> {
        let origin = match self.origin(object) {
            Ok(origin) => origin,
            Err(failure) => return Ok(Err(failure)),
        };
        let digest = origin.artifact().map(|artifact| artifact.digest.clone());
        if let Some(artifact) = origin.artifact() {
            draft.status.observed_source_artifact_revision.clone_from(&artifact.revision);
        }
        let (goal, key) = (Goal::new(object, draft), ObjectKey::of(&**object));
        if let (Origin::Tree(_), Some(digest)) = (&origin, &digest)
            && goal.stored.is_some()
            && self.builds.has(&key, draft.generation, digest, draft.status.artifact.as_ref())
        {
            draft.reached();
            return Ok(Ok(Outcome::Kept { verified: false }));
        }
        let built = match &origin {
            Origin::Repository { spec, artifact } => {
                remote::build(self, context, object, &goal, spec, artifact.as_deref()).await
            }
            Origin::Tree(artifact) => {
                local::build(self, context, object, &goal, artifact).await.map(|build| (build, false))
            }
        };
        let (build, verified) = match built {
            Ok(build) => build,
            Err(failure) => return Ok(Err(failure)),
        };
        draft.reached();
        let Some(build) = build else {
            self.builds.remember(&key, draft.generation, digest.as_deref(), draft.status.artifact.as_ref());
            return Ok(Ok(Outcome::Kept { verified }));
        };
        if build.dependencies > 0 {
            let message = format!("resolved {} chart dependencies", build.dependencies);
            context.emit(object, Event::new(Severity::Trace, "ResolvedDependencies", message));
        }
        let known = draft.status.artifact.as_ref().map(|artifact| artifact.revision.as_str());
        if known.is_some_and(|known| known != build.version) {
            draft.outdated("NewChart", &build.summary("new"));
            context.write(object, &draft.status).await?;
        }
        let file = format!("{}-{}.tgz", build.name, build.version);
        let bytes = build.bytes.clone();
        let stored = publish(&context.shared.storage, &**object, &file, Some("latest.tar.gz"), move |out| {
            std::io::Write::write_all(out, &bytes).map_err(|error| Failure::archive(&error))
        })
        .await;
        Ok(stored.map(|(published, url)| {
            let artifact = Box::new(artifact(published, build.version.clone()));
            self.builds.remember(&key, draft.generation, digest.as_deref(), Some(&artifact));
            Outcome::Stored { artifact, url, build: Box::new(build), verified }
        }))
    }

    fn forget(&self, key: &ObjectKey) {
        self.builds.forget(key);
    }

    fn succeed(object: &HelmChart, success: &mut Success<'_, HelmChart>, outcome: Outcome) {
        let (version, verified) = match &outcome {
            Outcome::Kept { verified } => {
                (success.status.artifact.as_ref().map(|artifact| artifact.revision.clone()), *verified)
            }
            Outcome::Stored { artifact, verified, .. } => (Some(artifact.revision.clone()), *verified),
        };
        let message = version.filter(|_| verified);
        let message = message.map(|version| format!("verified signature of version {version}"));
        success.verified(verified, message);
        match outcome {
            Outcome::Kept { .. } => {
                let status = &success.status;
                let message = match &status.artifact {
                    Some(artifact) => format!(
                        "pulled '{}' chart with version '{}'",
                        status.observed_chart_name, artifact.revision
                    ),
                    None => String::new(),
                };
                success.keep(&message);
                let there = sluice_api::meta::ARTIFACT_IN_STORAGE_CONDITION;
                if !sluice_runtime::conditions::is_true(&success.status.conditions, there) {
                    success.in_storage("ChartPullSucceeded", |_| message);
                }
            }
            Outcome::Stored { artifact, url, build, .. } => {
                success.status.observed_chart_name.clone_from(&build.name);
                success.status.observed_values_files = if object.spec.ignore_missing_values_files {
                    build.values_files.clone()
                } else {
                    Vec::new()
                };
                let (reason, action) = if build.packaged {
                    ("ChartPackageSucceeded", "packaged")
                } else {
                    ("ChartPullSucceeded", "pulled")
                };
                let message = build.summary(action);
                success.store(*artifact, url, reason, message.clone());
                success.in_storage(reason, |_| message);
            }
        }
    }
}

//! The sources that hold charts.

use std::sync::Arc;

use sluice_api::helm::HelmRelease;
use sluice_api::meta::{Artifact, READY_CONDITION, STALLED_CONDITION, Status as _};
use sluice_api::source::{ExternalArtifact, HelmChart, OCIRepository, Source};
use sluice_runtime::apply::Cluster;
use sluice_runtime::{Cache, Change, Controller, Manager, ObjectKey, Sources, conditions};

use crate::helm_release::dependents;

/// The sources, by kind.
pub(crate) struct AllSources {
    charts: Sources<HelmChart>,
    oci: Sources<OCIRepository>,
    external: Sources<ExternalArtifact>,
}

/// What a HelmRelease wants to know of its source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The artifact.
    pub(crate) artifact: Option<Artifact>,
    /// Whether the source has seen its own latest spec.
    pub(crate) observed: bool,
    /// Whether it has given up.
    pub(crate) stalled: bool,
    /// What it says about itself.
    pub(crate) message: String,
}

impl Facts {
    fn of<K: Source>(object: &K) -> Self {
        let list = object.conditions();
        let generation = object.meta().generation.unwrap_or_default();
        Self {
            artifact: object.artifact().cloned(),
            observed: object.status().is_some_and(|status| status.observed_generation() == generation),
            stalled: conditions::is_true(list, STALLED_CONDITION),
            message: conditions::find(list, READY_CONDITION)
                .map(|ready| ready.message.clone())
                .unwrap_or_default(),
        }
    }
}

impl AllSources {
    /// Starts the watches; each wakes those who install from a source when it has something new.
    pub(crate) async fn watch(
        manager: &Manager,
        cluster: &Cluster,
        controller: &mut Controller<HelmRelease>,
        direct: bool,
        external: bool,
    ) -> Self {
        let client = &manager.client;
        let sources = Self {
            charts: Sources::new(client.clone(), direct),
            oci: Sources::new(client.clone(), direct),
            external: Sources::new(client.clone(), direct),
        };
        let releases = controller.cache();
        sources.charts.watch(manager, cluster, controller, wakes(&releases)).await;
        sources.oci.watch(manager, cluster, controller, wakes(&releases)).await;
        if external {
            sources.external.watch(manager, cluster, controller, wakes(&releases)).await;
        }
        sources
    }

    /// What is known of a source. Nothing for a kind that holds no charts.
    pub(crate) async fn facts(&self, kind: &str, key: &ObjectKey) -> Option<kube::Result<Facts>> {
        match kind {
            "HelmChart" => Some(facts(&self.charts, key).await),
            "OCIRepository" => Some(facts(&self.oci, key).await),
            "ExternalArtifact" => Some(facts(&self.external, key).await),
            _ => None,
        }
    }

    /// A HelmChart, as far as it is watched.
    pub(crate) fn chart(&self, key: &ObjectKey) -> Option<Arc<HelmChart>> {
        self.charts.watched(key)
    }
}

async fn facts<K>(sources: &Sources<K>, key: &ObjectKey) -> kube::Result<Facts>
where
    K: Source,
{
    sources.get(key).await.map(|source| Facts::of(&*source))
}

/// Whom a change of a source concerns.
fn wakes<K: Source>(
    releases: &Arc<Cache<HelmRelease>>,
) -> impl Fn(&Change<K>) -> Vec<ObjectKey> + Send + Sync + 'static {
    let releases = releases.clone();
    move |change| {
        let (Some(old), Some(new)) = (&change.old, &change.new) else { return Vec::new() };
        let revision = |object: &K| object.artifact().map(|artifact| artifact.revision.clone());
        let is_ready = |object: &K| conditions::is_true(object.conditions(), READY_CONDITION);
        let (before, after) = (revision(old), revision(new));
        let news = after.is_some() && before != after || !is_ready(old) && is_ready(new);
        match new.artifact() {
            Some(artifact) if news && !change.initial => {
                dependents::of_source(&releases, &K::kind(&()), &change.key, artifact)
            }
            _ => Vec::new(),
        }
    }
}

//! The sources that hold charts.

use std::sync::{Arc, OnceLock};

use kube::api::Api;
use kube::runtime::watcher;
use kube::{Client, Resource};
use sluice_api::helm::HelmRelease;
use sluice_api::meta::{Artifact, READY_CONDITION, STALLED_CONDITION, Status as _};
use sluice_api::source::{ExternalArtifact, HelmChart, OCIRepository, Source};
use sluice_runtime::apply::{Cluster, Refusal};
use sluice_runtime::{Cache, Change, Controller, Manager, ObjectKey, conditions};

use crate::helm_release::dependents;

/// The watched sources. A kind that is not installed is not watched, and then asked for when needed.
pub(crate) struct Sources {
    client: Client,
    direct: bool,
    charts: OnceLock<Arc<Cache<HelmChart>>>,
    oci: OnceLock<Arc<Cache<OCIRepository>>>,
    external: OnceLock<Arc<Cache<ExternalArtifact>>>,
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

impl Sources {
    /// Starts the watches; each wakes those who install from a source when it has something new.
    pub(crate) async fn watch(
        manager: &Arc<Manager>,
        cluster: &Cluster,
        controller: &mut Controller<HelmRelease>,
        direct: bool,
        external: bool,
    ) -> Self {
        let sources = Self {
            client: manager.client.clone(),
            direct,
            charts: OnceLock::new(),
            oci: OnceLock::new(),
            external: OnceLock::new(),
        };
        watch_kind(manager, cluster, controller, &sources.charts).await;
        watch_kind(manager, cluster, controller, &sources.oci).await;
        if external {
            watch_kind(manager, cluster, controller, &sources.external).await;
        }
        sources
    }

    /// What is known of a source. Nothing for a kind that holds no charts.
    pub(crate) async fn facts(&self, kind: &str, key: &ObjectKey) -> Option<kube::Result<Facts>> {
        match kind {
            "HelmChart" => Some(self.find(&self.charts, key).await),
            "OCIRepository" => Some(self.find(&self.oci, key).await),
            "ExternalArtifact" => Some(self.find(&self.external, key).await),
            _ => None,
        }
    }

    /// A HelmChart, as far as it is watched.
    pub(crate) fn chart(&self, key: &ObjectKey) -> Option<Arc<HelmChart>> {
        self.charts.get()?.get(key)
    }

    async fn find<K: Source + Resource<Scope = kube::core::NamespaceResourceScope>>(
        &self,
        cache: &OnceLock<Arc<Cache<K>>>,
        key: &ObjectKey,
    ) -> kube::Result<Facts> {
        if !self.direct
            && let Some(object) = cache.get().and_then(|cache| cache.get(key))
        {
            return Ok(Facts::of(&*object));
        }
        // Not seen (yet): the server knows, and words the error.
        let api = Api::<K>::namespaced(self.client.clone(), &key.namespace);
        Ok(Facts::of(&api.get(&key.name).await?))
    }
}

async fn watch_kind<K>(
    manager: &Arc<Manager>,
    cluster: &Cluster,
    controller: &mut Controller<HelmRelease>,
    slot: &OnceLock<Arc<Cache<K>>>,
) where
    K: Source + Resource<Scope = kube::core::NamespaceResourceScope>,
{
    let kind = K::kind(&()).into_owned();
    if let Err(error @ Refusal::Unmapped(_)) = cluster.resolve(&K::api_version(&()), &kind).await {
        tracing::info!(kind, %error, "sources of this kind are not watched");
        return;
    }
    let releases = controller.cache();
    let cache =
        controller.watch(manager.watched::<K>(), watcher::Config::default(), move |change: &Change<K>| {
            let (Some(old), Some(new)) = (&change.old, &change.new) else { return Vec::new() };
            let revision = |object: &K| object.artifact().map(|artifact| artifact.revision.clone());
            let is_ready = |object: &K| conditions::is_true(object.conditions(), READY_CONDITION);
            let (before, after) = (revision(old), revision(new));
            let news = after.is_some() && before != after || !is_ready(old) && is_ready(new);
            match new.artifact() {
                Some(artifact) if news && !change.initial => {
                    dependents::of_source(&releases, &kind, &change.key, artifact)
                }
                _ => Vec::new(),
            }
        });
    // Set once, by the only caller.
    let _ = slot.set(cache);
}

//! The sources that Kustomizations build from.

use std::sync::{Arc, OnceLock};

use kube::api::Api;
use kube::runtime::watcher;
use kube::{Client, Resource};
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{Artifact, OCI_REVISION_ANNOTATION};
use sluice_api::source::{Bucket, ExternalArtifact, GitRepository, OCIRepository, Source};
use sluice_runtime::apply::{Cluster, Refusal};
use sluice_runtime::{Cache, Change, Controller, Manager, ObjectKey};

use crate::kustomization::dependents;

/// The watched sources. A kind that is not installed is not watched, and then asked for when needed.
pub(crate) struct Sources {
    client: Client,
    direct: bool,
    git: OnceLock<Arc<Cache<GitRepository>>>,
    oci: OnceLock<Arc<Cache<OCIRepository>>>,
    bucket: OnceLock<Arc<Cache<Bucket>>>,
    external: OnceLock<Arc<Cache<ExternalArtifact>>>,
}

impl Sources {
    /// Starts the watches; each wakes those who build from a source when its revision changes.
    pub(crate) async fn watch(
        manager: &Arc<Manager>,
        cluster: &Cluster,
        controller: &mut Controller<Kustomization>,
        direct: bool,
    ) -> Self {
        let sources = Self {
            client: manager.client.clone(),
            direct,
            git: OnceLock::new(),
            oci: OnceLock::new(),
            bucket: OnceLock::new(),
            external: OnceLock::new(),
        };
        watch_kind(manager, cluster, controller, &sources.git).await;
        watch_kind(manager, cluster, controller, &sources.oci).await;
        watch_kind(manager, cluster, controller, &sources.bucket).await;
        watch_kind(manager, cluster, controller, &sources.external).await;
        sources
    }

    /// The artifact of a source. The outer error: the source cannot be read, or is not there. `None`: no artifact yet.
    pub(crate) async fn artifact(
        &self,
        kind: &str,
        key: &ObjectKey,
    ) -> Option<kube::Result<Option<Artifact>>> {
        match kind {
            "GitRepository" => Some(self.find(&self.git, key).await),
            "OCIRepository" => Some(self.find(&self.oci, key).await),
            "Bucket" => Some(self.find(&self.bucket, key).await),
            "ExternalArtifact" => Some(self.find(&self.external, key).await),
            _ => None,
        }
    }

    async fn find<K: Source + Resource<Scope = kube::core::NamespaceResourceScope>>(
        &self,
        cache: &OnceLock<Arc<Cache<K>>>,
        key: &ObjectKey,
    ) -> kube::Result<Option<Artifact>> {
        if !self.direct
            && let Some(object) = cache.get().and_then(|cache| cache.get(key))
        {
            return Ok(object.artifact().cloned());
        }
        // Not seen (yet): the server knows, and words the error.
        let api = Api::<K>::namespaced(self.client.clone(), &key.namespace);
        Ok(api.get(&key.name).await?.artifact().cloned())
    }
}

async fn watch_kind<K>(
    manager: &Arc<Manager>,
    cluster: &Cluster,
    controller: &mut Controller<Kustomization>,
    slot: &OnceLock<Arc<Cache<K>>>,
) where
    K: Source + Resource<Scope = kube::core::NamespaceResourceScope>,
{
    let kind = K::kind(&()).into_owned();
    if let Err(error @ Refusal::Unmapped(_)) = cluster.resolve(&K::api_version(&()), &kind).await {
        tracing::info!(kind, %error, "sources of this kind are not watched");
        return;
    }
    let kustomizations = controller.cache();
    let cache =
        controller.watch(manager.watched::<K>(), watcher::Config::default(), move |change: &Change<K>| {
            let revision = |object: &Option<Arc<K>>| {
                object.as_ref().and_then(|object| object.artifact()).map(|artifact| artifact.revision.clone())
            };
            let (old, new) = (revision(&change.old), revision(&change.new));
            // The first list tells nothing new: every Kustomization is looked at after the start anyway.
            if change.initial || change.old.is_some() && change.new.is_some() && (new.is_none() || old == new)
            {
                return Vec::new();
            }
            dependents::of_source(&kustomizations, &kind, &change.key, new.as_deref())
        });
    // Set once, by the only caller.
    let _ = slot.set(cache);
}

/// What the upstream of an artifact calls its content; empty where it does not say.
pub(crate) fn origin_revision(artifact: &Artifact) -> &str {
    artifact.metadata.get(OCI_REVISION_ANNOTATION).map(String::as_str).unwrap_or_default()
}

//! The sources that Kustomizations build from.

use std::sync::Arc;

use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{Artifact, OCI_REVISION_ANNOTATION};
use sluice_api::source::{Bucket, ExternalArtifact, GitRepository, OCIRepository, Source};
use sluice_runtime::apply::Cluster;
use sluice_runtime::{Cache, Change, Controller, Manager, ObjectKey, Sources};

use crate::kustomization::dependents;

/// The sources, by kind.
pub(crate) struct AllSources {
    git: Sources<GitRepository>,
    oci: Sources<OCIRepository>,
    bucket: Sources<Bucket>,
    external: Sources<ExternalArtifact>,
}

impl AllSources {
    /// Starts the watches; each wakes those who build from a source when its revision changes.
    pub(crate) async fn watch(
        manager: &Manager,
        cluster: &Cluster,
        controller: &mut Controller<Kustomization>,
        direct: bool,
    ) -> Self {
        let client = &manager.client;
        let sources = Self {
            git: Sources::new(client.clone(), direct),
            oci: Sources::new(client.clone(), direct),
            bucket: Sources::new(client.clone(), direct),
            external: Sources::new(client.clone(), direct),
        };
        let kustomizations = controller.cache();
        sources.git.watch(manager, cluster, controller, wakes(&kustomizations)).await;
        sources.oci.watch(manager, cluster, controller, wakes(&kustomizations)).await;
        sources.bucket.watch(manager, cluster, controller, wakes(&kustomizations)).await;
        sources.external.watch(manager, cluster, controller, wakes(&kustomizations)).await;
        sources
    }

    /// The artifact of a source. Nothing for a kind that is no source; the error: it cannot be read, or is not there; an
    /// inner `None`: no artifact yet.
    pub(crate) async fn artifact(
        &self,
        kind: &str,
        key: &ObjectKey,
    ) -> Option<kube::Result<Option<Artifact>>> {
        match kind {
            "GitRepository" => Some(artifact(&self.git, key).await),
            "OCIRepository" => Some(artifact(&self.oci, key).await),
            "Bucket" => Some(artifact(&self.bucket, key).await),
            "ExternalArtifact" => Some(artifact(&self.external, key).await),
            _ => None,
        }
    }
}

async fn artifact<K>(sources: &Sources<K>, key: &ObjectKey) -> kube::Result<Option<Artifact>>
where
    K: Source,
{
    sources.get(key).await.map(|source| source.artifact().cloned())
}

/// Whom a change of a source concerns.
fn wakes<K: Source>(
    kustomizations: &Arc<Cache<Kustomization>>,
) -> impl Fn(&Change<K>) -> Vec<ObjectKey> + Send + Sync + 'static {
    let kustomizations = kustomizations.clone();
    move |change| {
        let revision = |object: &Option<Arc<K>>| {
            object.as_ref().and_then(|object| object.artifact()).map(|artifact| artifact.revision.clone())
        };
        let (old, new) = (revision(&change.old), revision(&change.new));
        // The first list tells nothing new: every Kustomization is looked at after the start anyway.
        if change.initial || change.old.is_some() && change.new.is_some() && (new.is_none() || old == new) {
            return Vec::new();
        }
        dependents::of_source(&kustomizations, &K::kind(&()), &change.key, new.as_deref())
    }
}

/// What the upstream of an artifact calls its content; empty where it does not say.
pub(crate) fn origin_revision(artifact: &Artifact) -> &str {
    artifact.metadata.get(OCI_REVISION_ANNOTATION).map(String::as_str).unwrap_or_default()
}

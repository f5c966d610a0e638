//! Sources that another kind reads from: watched, and asked for where they are not.

use std::sync::{Arc, OnceLock};

use kube::Client;
use kube::api::Api;
use kube::runtime::watcher;
use sluice_api::meta::Reconcilable;
use sluice_api::source::Source;

use crate::apply::{Cluster, Refusal};
use crate::{Cache, Change, Controller, Manager, ObjectKey};

/// The sources of one kind. A kind that is not installed is not watched, and then asked for when needed.
pub struct Sources<K> {
    client: Client,
    direct: bool,
    cache: OnceLock<Arc<Cache<K>>>,
}

impl<K> Sources<K>
where
    K: Source,
{
    /// Sources that are not watched. `direct`: the server is asked for each even when they are.
    pub fn new(client: Client, direct: bool) -> Self {
        Self { client, direct, cache: OnceLock::new() }
    }

    /// Starts the watch, once, if the kind is installed. `affected`: whom a change concerns.
    pub async fn watch<D>(
        &self,
        manager: &Manager,
        cluster: &Cluster,
        controller: &mut Controller<D>,
        affected: impl Fn(&Change<K>) -> Vec<ObjectKey> + Send + Sync + 'static,
    ) where
        D: Reconcilable,
    {
        let kind = K::kind(&());
        let version = K::api_version(&());
        let resolved = cluster.resolve(&version, &kind);
        // Whoever is to end does not wait for an API server that says nothing.
        let Some(resolved) = manager.stop.run_until_cancelled(resolved).await else { return };
        if let Err(error @ Refusal::Unmapped(_)) = resolved {
            tracing::info!(%kind, %error, "sources of this kind are not watched");
            return;
        }
        self.cache
            .get_or_init(|| controller.watch(manager.watched::<K>(), watcher::Config::default(), affected));
    }

    /// A source, as far as it is watched.
    pub fn watched(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.cache.get()?.get(key)
    }

    /// A source.
    ///
    /// # Errors
    ///
    /// It is not there, or the server cannot be asked.
    pub async fn get(&self, key: &ObjectKey) -> kube::Result<Arc<K>> {
        if !self.direct
            && let Some(object) = self.watched(key)
        {
            return Ok(object);
        }
        // Not seen (yet): the server knows, and words the error.
        let api = Api::<K>::namespaced(self.client.clone(), &key.namespace);
        api.get(&key.name).await.map(Arc::new)
    }
}

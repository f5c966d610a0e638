//! Kinds without status or work of their own: they are only read. Earlier versions of Flux put a finalizer on them, which
//! nobody would ever remove again.

use std::sync::Arc;

use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use sluice_api::meta::FINALIZER;
use sluice_runtime::{Cache, Change, Manager, ObjectKey, Watched, errors, mirror};

/// Keeps a cache of a kind and takes old finalizers off its objects. `changed` sees each change.
pub(crate) fn watch<K>(
    manager: &Arc<Manager>,
    changed: impl Fn(&Change<K>) + Send + Sync + 'static,
) -> Arc<Cache<K>>
where
    K: Watched,
{
    let owner = manager.clone();
    mirror(manager, kube::runtime::watcher::Config::default(), move |change: &Change<K>| {
        changed(change);
        if let Some(object) = &change.new
            && object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
        {
            owner.tasks.spawn(release(owner.client.clone(), object.clone()));
        }
    })
}

async fn release<K>(client: kube::Client, object: Arc<K>)
where
    K: Watched,
{
    let key = ObjectKey::of(&*object);
    let api = Api::<K>::namespaced(client, &key.namespace);
    let left: Vec<&String> = object.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).collect();
    let version = object.resource_version();
    let patch = serde_json::json!({"metadata": {"finalizers": left, "resourceVersion": version}});
    // A conflict brings the object back with the next event.
    if let Err(error) = api.patch_metadata(&key.name, &PatchParams::default(), &Patch::Merge(patch)).await {
        tracing::error!(object = %key, error = %errors::describe(&error), "cannot remove an old finalizer");
    }
}

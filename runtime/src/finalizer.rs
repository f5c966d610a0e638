//! Adding and removing the finalizer of a kind.

use std::sync::Arc;

use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use sluice_api::meta::Reconcilable;

use crate::cache::{Cache, Undecodable};

/// Whether the object carries the finalizer.
pub fn is_present<K: Reconcilable>(object: &K) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == K::FINALIZER)
}

/// Adds the finalizer and returns the object as it then is. `None` when the object is gone.
pub async fn add<K>(client: &Client, cache: &Cache<K>, object: &Arc<K>) -> kube::Result<Option<Arc<K>>>
where
    K: Reconcilable,
{
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(K::FINALIZER.to_owned());
    patch(client, cache, object, finalizers).await
}

/// Removes the finalizer. `None` when the object is gone, as it is where no other finalizer holds it.
pub async fn remove<K>(client: &Client, cache: &Cache<K>, object: &Arc<K>) -> kube::Result<Option<Arc<K>>>
where
    K: Reconcilable,
{
    if !is_present(&**object) {
        return Ok(Some(object.clone()));
    }
    let finalizers = object.finalizers().iter().filter(|f| *f != K::FINALIZER).cloned().collect();
    patch(client, cache, object, finalizers).await
}

/// Writes the list of finalizers, if it still is the one that was seen. Other changes are no obstacle, however fast they
/// follow each other. Where the list has changed, the change that did it brings the object back.
async fn patch<K>(
    client: &Client,
    cache: &Cache<K>,
    object: &Arc<K>,
    finalizers: Vec<String>,
) -> kube::Result<Option<Arc<K>>>
where
    K: Reconcilable,
{
    let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let path = "/metadata/finalizers";
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": object.uid()},
        {"op": "test", "path": path, "value": object.meta().finalizers},
        {"op": "add", "path": path, "value": finalizers},
    ]);
    let operations = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    match api.patch(&object.name_any(), &PatchParams::default(), &Patch::<()>::Json(operations)).await {
        Ok(written) => Ok(Some(cache.observe_write(written))),
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lets go of an object that does not decode and that somebody deletes: it must not stay for ever.
pub(crate) async fn release<K>(client: &Client, object: &Undecodable) -> kube::Result<()>
where
    K: Reconcilable,
{
    let Some(index) = object.finalizers.iter().position(|finalizer| finalizer == K::FINALIZER) else {
        return Ok(());
    };
    let api = Api::<kube::core::PartialObjectMeta<K>>::namespaced(client.clone(), &object.key.namespace);
    let path = format!("/metadata/finalizers/{index}");
    let operations = json!([
        {"op": "test", "path": path, "value": K::FINALIZER},
        {"op": "remove", "path": path},
    ]);
    let operations = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    match api.patch_metadata(&object.key.name, &PatchParams::default(), &Patch::<()>::Json(operations)).await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

//! What was installed before, kept in the cluster.

use std::io::{Read as _, Write as _};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DeleteParams, ObjectMeta, PostParams};
use serde_json::Value;

use crate::cluster::Cluster;

/// The Secret that it is kept in.
pub(super) const SECRET: &str = "flux-before-sluice";
const KEY: &str = "objects.json.gz";
/// No installation is larger; what a Secret unpacks to must not fill the memory.
const LARGEST: u64 = 64 << 20;

fn secrets(cluster: &Cluster, namespace: &str) -> Api<Secret> {
    Api::namespaced(cluster.client.clone(), namespace)
}

/// An object without what the server adds to it.
pub(super) fn clean(mut object: Value, resource: &ApiResource) -> Value {
    object["apiVersion"] = resource.api_version.as_str().into();
    object["kind"] = resource.kind.as_str().into();
    let mut strip = |pointer: &str, fields: &[&str]| {
        let place = if pointer.is_empty() { Some(&mut object) } else { object.pointer_mut(pointer) };
        if let Some(map) = place.and_then(Value::as_object_mut) {
            for field in fields {
                map.remove(*field);
            }
        }
    };
    strip("", &["status"]);
    let server =
        ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "ownerReferences"];
    strip("/metadata", &server);
    strip("/metadata/annotations", &["deployment.kubernetes.io/revision"]);
    strip("/spec", &["clusterIP", "clusterIPs"]);
    if resource.kind == "ServiceAccount" {
        strip("", &["secrets"]);
    }
    object
}

/// Keeps objects.
pub(super) async fn write(cluster: &Cluster, namespace: &str, objects: &[Value]) -> Result<()> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&serde_json::to_vec(objects)?)?;
    let secret = Secret {
        metadata: ObjectMeta { name: Some(SECRET.into()), ..ObjectMeta::default() },
        data: Some([(KEY.to_owned(), ByteString(packed.finish()?))].into()),
        ..Secret::default()
    };
    let created = secrets(cluster, namespace).create(&PostParams::default(), &secret).await;
    created
        .map(drop)
        .with_context(|| format!("what is installed cannot be kept in Secret {namespace}/{SECRET}"))
}

/// What was kept; none where nothing was.
pub(super) async fn read(cluster: &Cluster, namespace: &str) -> Result<Option<Vec<Value>>> {
    let Some(secret) = secrets(cluster, namespace).get_opt(SECRET).await? else { return Ok(None) };
    let unusable = || format!("Secret {namespace}/{SECRET} was changed: key {KEY} cannot be read");
    let packed = secret.data.and_then(|mut data| data.remove(KEY)).with_context(unusable)?;
    let unpacked = GzDecoder::new(packed.0.as_slice()).take(LARGEST);
    serde_json::from_reader(unpacked).map(Some).with_context(unusable)
}

/// Forgets it.
pub(super) async fn forget(cluster: &Cluster, namespace: &str) -> Result<()> {
    secrets(cluster, namespace).delete(SECRET, &DeleteParams::default()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_server_adds_is_not_kept() {
        let resource = crate::commands::uninstall::resource("", "v1", "Service", "services");
        let live = json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"x": "y"}},
            "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": []}, "status": {}});
        let kept = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"ports": []}});
        assert_eq!(clean(live, &resource), kept);
    }
}

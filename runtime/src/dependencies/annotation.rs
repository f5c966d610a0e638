//! Beyond Flux: dependencies of other kinds, by annotation.

use std::collections::BTreeMap;

use kube::api::{Api, DynamicObject};
use serde_json::json;
use sluice_api::meta::READY_CONDITION;
use sluice_kstatus::Status;

use crate::apply::{Cluster, health};
use crate::{check_name, errors};

/// Annotation with dependencies of other kinds, as `Kind/namespace/name` separated by commas.
pub(super) const ANNOTATION: &str = "sluice.dev/depends-on";

/// Kinds that the annotation may name, with their API versions.
const KINDS: [(&str, &str); 8] = [
    ("HelmRelease", "helm.toolkit.fluxcd.io/v2"),
    ("Kustomization", "kustomize.toolkit.fluxcd.io/v1"),
    ("GitRepository", "source.toolkit.fluxcd.io/v1"),
    ("OCIRepository", "source.toolkit.fluxcd.io/v1"),
    ("HelmRepository", "source.toolkit.fluxcd.io/v1"),
    ("HelmChart", "source.toolkit.fluxcd.io/v1"),
    ("Bucket", "source.toolkit.fluxcd.io/v1"),
    ("ExternalArtifact", "source.toolkit.fluxcd.io/v1"),
];

/// Checks what the annotation of an object of namespace `own` names. The error says what is not ready.
pub(super) async fn check(
    cluster: &Cluster,
    own: &str,
    annotations: Option<&BTreeMap<String, String>>,
    own_namespace_only: bool,
) -> Result<(), String> {
    let list = annotations.and_then(|annotations| annotations.get(ANNOTATION));
    let items = list.into_iter().flat_map(|list| list.split(',')).map(str::trim);
    for item in items.filter(|item| !item.is_empty()) {
        check_one(cluster, own, item, own_namespace_only).await?;
    }
    Ok(())
}

/// Checks a dependency of another kind: it must be there and healthy.
async fn check_one(cluster: &Cluster, own: &str, item: &str, own_namespace_only: bool) -> Result<(), String> {
    let parts: Vec<_> = item.split('/').collect();
    let (kind, namespace, name) = match parts.as_slice() {
        [kind, name] => (*kind, own, *name),
        [kind, namespace, name] => (*kind, *namespace, *name),
        _ => {
            return Err(format!(
                "dependency '{item}' in {ANNOTATION} is not of the form Kind/namespace/name"
            ));
        }
    };
    let Some((_, api_version)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        return Err(format!("dependency '{item}' in {ANNOTATION} is of an unknown kind"));
    };
    if own_namespace_only && namespace != own {
        return Err(format!(
            "can't access '{kind}/{namespace}/{name}', cross-namespace references have been blocked"
        ));
    }
    check_name(kind, name)?;
    check_name("Namespace", namespace)?;
    let subject = format!("{kind}/{namespace}/{name}");
    let resource = cluster.resolve(api_version, kind).await;
    let resource = resource.map_err(|error| format!("dependency '{subject}' not found: {error}"))?;
    let api = Api::<DynamicObject>::namespaced_with(cluster.client().clone(), namespace, &resource.api);
    let found = api.get(name).await;
    let found =
        found.map_err(|error| format!("dependency '{subject}' not found: {}", errors::describe(&error)))?;
    // A Flux object is ready when it says so; one that has not spoken yet is not.
    let ready =
        found.data.pointer("/status/conditions").and_then(serde_json::Value::as_array).is_some_and(|list| {
            list.iter().any(|condition| condition["type"] == READY_CONDITION && condition["status"] == "True")
        });
    let healthy = health::judge(&json!(found)).0 == Status::Current;
    if ready && healthy { Ok(()) } else { Err(format!("dependency '{subject}' is not ready")) }
}

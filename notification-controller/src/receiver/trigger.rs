//! Asks for a reconcile of the objects that a Receiver names.

use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::json;
use sluice_api::meta::RECONCILE_REQUEST_ANNOTATION;
use sluice_api::notification::ReceiverResource;
use sluice_runtime::errors;

/// Requests reconciles for one entry of `spec.resources`.
pub(super) async fn request(
    client: &Client,
    resource: &ReceiverResource,
    own_namespace: &str,
    no_cross_namespace_refs: bool,
) -> Result<(), String> {
    let namespace = resource.namespace_or(own_namespace);
    if no_cross_namespace_refs && namespace != own_namespace {
        return Err("cross-namespace references are not allowed".to_owned());
    }
    let kind = api_resource(resource)?;
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &kind);
    if resource.name != "*" {
        return annotate(&api, &resource.name).await;
    }
    if resource.match_labels.is_empty() {
        return Err("matchLabels field not set when using wildcard '*' as name".to_owned());
    }
    let selector: Vec<String> =
        resource.match_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let listed = api.list_metadata(&ListParams::default().labels(&selector.join(","))).await;
    let listed = listed.map_err(|error| errors::describe(&error))?;
    let mut problems = Vec::new();
    for object in &listed.items {
        if let Err(problem) = annotate(&api, &object.name_any()).await {
            problems.push(problem);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

async fn annotate(api: &Api<DynamicObject>, name: &str) -> Result<(), String> {
    let now = Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {RECONCILE_REQUEST_ANNOTATION: now}}});
    let patched = api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched.map(|_| ()).map_err(|error| errors::describe(&error))
}

/// The API of an entry's kind. Kinds of sources may leave the version out.
fn api_resource(resource: &ReceiverResource) -> Result<ApiResource, String> {
    let version = match (resource.api_version.as_str(), resource.kind.as_str()) {
        ("", "Bucket" | "HelmChart" | "HelmRepository" | "GitRepository" | "OCIRepository") => {
            "source.toolkit.fluxcd.io/v1"
        }
        ("", "ImageRepository") => "image.toolkit.fluxcd.io/v1",
        ("", "ArtifactGenerator") => "source.extensions.fluxcd.io/v1beta1",
        ("", kind) => return Err(format!("apiVersion must be specified for kind \"{kind}\"")),
        (version, _) => version,
    };
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &resource.kind));
    if let Some(stem) = resource.plural.strip_suffix("repositorys") {
        resource.plural = format!("{stem}repositories");
    }
    Ok(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_need_no_version_and_others_do() {
        let find = |version: &str, kind: &str| {
            let (api_version, kind) = (version.to_owned(), kind.to_owned());
            api_resource(&ReceiverResource { api_version, kind, ..ReceiverResource::default() })
                .map(|found| format!("{}/{}", found.api_version, found.plural))
        };
        assert_eq!(find("", "GitRepository").unwrap(), "source.toolkit.fluxcd.io/v1/gitrepositories");
        assert_eq!(find("", "HelmChart").unwrap(), "source.toolkit.fluxcd.io/v1/helmcharts");
        assert_eq!(
            find("helm.toolkit.fluxcd.io/v2", "HelmRelease").unwrap(),
            "helm.toolkit.fluxcd.io/v2/helmreleases"
        );
        assert_eq!(
            find("image.toolkit.fluxcd.io/v1", "ImagePolicy").unwrap(),
            "image.toolkit.fluxcd.io/v1/imagepolicies"
        );
        assert!(find("", "Kustomization").is_err());
    }
}

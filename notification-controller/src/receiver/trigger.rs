//! Asks for a reconcile of the objects that a Receiver names.

use futures::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, PartialObjectMeta};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use sluice_api::meta::RECONCILE_REQUEST_ANNOTATION;
use sluice_api::notification::ReceiverResource;
use sluice_runtime::errors;

use super::filter::{Filters, Request};

/// What one webhook asks for.
pub(super) struct Trigger<'a> {
    pub(super) client: &'a Client,
    pub(super) own_namespace: &'a str,
    pub(super) no_cross_namespace_refs: bool,
    pub(super) filters: &'a Filters,
    pub(super) request: &'a Request,
}

impl Trigger<'_> {
    /// Requests reconciles for one entry of `spec.resources`, and returns how many.
    pub(super) async fn entry(&self, index: usize, resource: &ReceiverResource) -> Result<usize, String> {
        let namespace = resource.namespace_or(self.own_namespace);
        if self.no_cross_namespace_refs && namespace != self.own_namespace {
            return Err("cross-namespace references are not allowed".to_owned());
        }
        let kind = api_resource(resource)?;
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &kind);
        if resource.name != "*" {
            if self.filters.concerns(index) {
                let found = api.get_metadata(&resource.name).await;
                let found = found.map_err(|error| errors::describe(&error))?;
                if !self.filters.passes(index, self.request, &seen(&kind, &found.metadata))? {
                    return Ok(0);
                }
            }
            return annotate(&api, &resource.name).await.map(|()| 1);
        }
        let listed = list(&api, resource).await?;
        if listed.is_empty() {
            tracing::info!(kind = resource.kind, namespace, "no object has the labels of the receiver");
        }
        let mut problems = Vec::new();
        let mut wanted = Vec::new();
        for object in &listed {
            match self.filters.passes(index, self.request, &seen(&kind, &object.metadata)) {
                Ok(true) => wanted.push(object.name_any()),
                Ok(false) => {}
                Err(problem) => problems.push(problem),
            }
        }
        let requests = wanted.into_iter().map(|name| {
            let api = api.clone();
            async move { annotate(&api, &name).await }
        });
        let asked: Vec<_> = stream::iter(requests).buffer_unordered(PARALLEL).collect().await;
        let count = asked.iter().filter(|asked| asked.is_ok()).count();
        problems.extend(asked.into_iter().filter_map(Result::err));
        if problems.is_empty() { Ok(count) } else { Err(problems.join("; ")) }
    }
}

/// Requests to the API server at a time.
const PARALLEL: usize = 16;

/// An object as filters see it.
fn seen(kind: &ApiResource, metadata: &ObjectMeta) -> Value {
    json!({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata})
}

async fn list(
    api: &Api<DynamicObject>,
    resource: &ReceiverResource,
) -> Result<Vec<PartialObjectMeta<DynamicObject>>, String> {
    let Some(labels) = &resource.match_labels else {
        return Err("matchLabels field not set when using wildcard '*' as name".to_owned());
    };
    let selector: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let listed = api.list_metadata(&ListParams::default().labels(&selector.join(","))).await;
    Ok(listed.map_err(|error| errors::describe(&error))?.items)
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
    Ok(crate::kinds::resource(version, &resource.kind))
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

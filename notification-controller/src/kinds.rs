//! Where the API server has the objects of a kind.

use kube::core::{ApiResource, GroupVersionKind};

/// The resource of an `apiVersion` and a kind, by the rules of English that its name follows.
pub(crate) fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    // kube takes the `y` of an all-capital beginning such as OCIRepository for one that stays.
    if let Some(stem) = resource.plural.strip_suffix("repositorys") {
        resource.plural = format!("{stem}repositories");
    }
    resource
}

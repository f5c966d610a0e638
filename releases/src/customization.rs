//! What becomes of rendered manifests before they are applied: post-renderers, common metadata, labels of their origin.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluice_api::helm::{HelmRelease, KustomizePostRenderer};
use sluice_helm::manifest::{Customization, PostRenderStrategy};

/// The labels that every object of a release carries.
pub const NAME_LABEL: &str = "helm.toolkit.fluxcd.io/name";
/// See [`NAME_LABEL`].
pub const NAMESPACE_LABEL: &str = "helm.toolkit.fluxcd.io/namespace";

/// The labels that tell which HelmRelease an object belongs to.
pub fn origin_labels(object: &HelmRelease) -> BTreeMap<String, String> {
    [(NAME_LABEL, &object.metadata.name), (NAMESPACE_LABEL, &object.metadata.namespace)]
        .into_iter()
        .map(|(label, value)| (label.to_owned(), value.clone().unwrap_or_default()))
        .collect()
}

/// The changes that a HelmRelease asks for, and those that every one has.
pub fn customization(object: &HelmRelease) -> Customization {
    let metadata = object.spec.common_metadata.clone().unwrap_or_default();
    Customization {
        kustomizations: object
            .spec
            .post_renderers
            .iter()
            .filter_map(|renderer| renderer.kustomize.as_ref().map(kustomization))
            .collect(),
        labels: vec![metadata.labels, origin_labels(object)],
        annotations: metadata.annotations,
    }
}

/// What a kustomization file says in place of a post-renderer. The older forms of patches come first.
fn kustomization(renderer: &KustomizePostRenderer) -> Value {
    let merges = renderer.patches_strategic_merge.iter().map(|patch| json!({"patch": patch.to_string()}));
    let operations = renderer
        .patches_json6902
        .iter()
        .map(|patch| json!({"patch": json!(patch.patch).to_string(), "target": patch.target}));
    let patches = renderer.patches.iter().map(|patch| json!(patch));
    json!({
        "patches": merges.chain(operations).chain(patches).collect::<Vec<_>>(),
        "images": renderer.images,
    })
}

/// What hooks see of the changes. `by_default`: where nothing is said.
pub fn strategy(object: &HelmRelease, by_default: PostRenderStrategy) -> PostRenderStrategy {
    use sluice_api::helm::PostRenderStrategy as Asked;
    match object.spec.post_render_strategy {
        None => by_default,
        Some(Asked::NoHooks) => PostRenderStrategy::NoHooks,
        Some(Asked::Combined) => PostRenderStrategy::Combined,
        Some(Asked::Separate) => PostRenderStrategy::Separate,
    }
}

#[cfg(test)]
mod tests {
    use sluice_helm::manifest::PostRenderer as _;

    use super::*;

    #[test]
    fn older_forms_of_patches_work_and_the_origin_has_the_last_word() {
        let object: HelmRelease = serde_json::from_value(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2beta2", "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": "team"},
            "spec": {
                "interval": "5m", "chartRef": {"kind": "OCIRepository", "name": "x"},
                "commonMetadata": {"labels": {"a": "1", "helm.toolkit.fluxcd.io/name": "no"}},
                "postRenderers": [{"kustomize": {
                    "patchesStrategicMerge": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"k": "2"}}],
                    "patchesJson6902": [{"target": {"kind": "ConfigMap", "name": "m"}, "patch": [{"op": "add", "path": "/data/l", "value": "3"}]}],
                }}],
            },
        }))
        .unwrap();
        let text = customization(&object)
            .run("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n  k: \"1\"\n")
            .unwrap();
        let objects = crate::parse(&text).unwrap();
        assert_eq!(objects[0].fields()["data"], json!({"k": "2", "l": "3"}));
        assert_eq!(
            objects[0].fields()["metadata"]["labels"],
            json!({"a": "1", "helm.toolkit.fluxcd.io/name": "app", "helm.toolkit.fluxcd.io/namespace": "team"})
        );
    }
}

//! CustomResourceDefinitions, made from the types.
//!
//! The newest version of a kind is stored. Older versions are served with the same schema, marked as deprecated, and
//! need no conversion.

mod schema;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use kube::CustomResourceExt;

use crate::meta::{DISABLED_VALUE, SUBSTITUTE_ANNOTATION};
use crate::{helm, image, kustomize, notification, source};

/// The definitions of all kinds, in the order of their names.
pub fn all() -> Vec<CustomResourceDefinition> {
    const BETA_2: &[&str] = &["v1beta2"];
    const BETA_2_AND_1: &[&str] = &["v1beta2", "v1beta1"];
    let mut definitions = vec![
        define::<source::ArtifactGenerator>(&[]),
        define::<source::Bucket>(BETA_2_AND_1),
        define::<source::ExternalArtifact>(&[]),
        define::<source::GitRepository>(BETA_2_AND_1),
        define::<source::HelmChart>(BETA_2_AND_1),
        define::<source::HelmRepository>(BETA_2_AND_1),
        define::<source::OCIRepository>(BETA_2),
        define::<kustomize::Kustomization>(BETA_2_AND_1),
        define::<helm::HelmRelease>(&["v2beta2", "v2beta1"]),
        define::<notification::Alert>(BETA_2_AND_1),
        define::<notification::Provider>(BETA_2_AND_1),
        define::<notification::Receiver>(BETA_2_AND_1),
        define::<image::ImagePolicy>(BETA_2_AND_1),
        define::<image::ImageRepository>(BETA_2_AND_1),
        define::<image::ImageUpdateAutomation>(BETA_2_AND_1),
    ];
    definitions.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    definitions
}

/// The definition of one kind, with the older versions that are still served.
fn define<K: CustomResourceExt>(older: &[&str]) -> CustomResourceDefinition {
    let mut definition = K::crd();
    // Descriptions may hold `${…}`, which a Kustomization that installs the definitions must not substitute.
    definition
        .metadata
        .annotations
        .get_or_insert_default()
        .insert(SUBSTITUTE_ANNOTATION.to_owned(), DISABLED_VALUE.to_owned());
    definition.spec.names.list_kind = Some(format!("{}List", definition.spec.names.kind));
    let kind = definition.spec.names.kind.clone();
    for version in &mut definition.spec.versions {
        if let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            schema::tidy_root(root);
        }
    }
    if let Some(newest) = definition.spec.versions.first().cloned() {
        definition.spec.versions.extend(older.iter().map(|name| CustomResourceDefinitionVersion {
            name: (*name).to_owned(),
            storage: false,
            deprecated: Some(true),
            deprecation_warning: Some(format!(
                "{name} {kind} is deprecated, upgrade to {newest}",
                newest = newest.name
            )),
            ..newest.clone()
        }));
    }
    definition
}

#[cfg(test)]
mod tests;

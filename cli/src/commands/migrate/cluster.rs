//! Objects in the cluster: written again in the version that is stored, so that old versions can be dropped.

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::app::App;
use crate::commands::version::PART_OF_FLUX;

pub(super) async fn run(app: &App, dry_run: bool) -> Result<()> {
    app.output.action("starting migration of custom resources");
    let client = app.cluster().await?.client.clone();
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let listing = async { Ok(definitions.list(&ListParams::default().labels(PART_OF_FLUX)).await?.items) };
    let found = app.bounded("listing the definitions", listing).await?;
    if found.is_empty() {
        anyhow::bail!("no definitions with the label {PART_OF_FLUX} found: is anything installed?");
    }
    for definition in found {
        app.bounded("migrating the objects", migrate(app, &definitions, &definition, dry_run))
            .await
            .with_context(|| definition.name_any())?;
    }
    app.output.success("custom resources migrated successfully");
    Ok(())
}

async fn migrate(
    app: &App,
    definitions: &Api<CustomResourceDefinition>,
    definition: &CustomResourceDefinition,
    dry_run: bool,
) -> Result<()> {
    let spec = &definition.spec;
    let storage = spec.versions.iter().find(|version| version.storage).context("no version is stored")?;
    let stored = definition.status.as_ref().and_then(|status| status.stored_versions.clone());
    if stored.as_deref() == Some(std::slice::from_ref(&storage.name)) {
        return Ok(());
    }
    let resource = ApiResource {
        group: spec.group.clone(),
        version: storage.name.clone(),
        api_version: format!("{}/{}", spec.group, storage.name),
        kind: spec.names.kind.clone(),
        plural: spec.names.plural.clone(),
    };
    let cluster = app.cluster().await?;
    let objects = cluster.pages(&cluster.of(&resource, None), ListParams::default()).await?;
    for object in objects {
        let api = cluster.of(&resource, object.metadata.namespace.as_deref());
        rewrite(&api, &object, &resource, dry_run).await?;
        let namespace = object.namespace().unwrap_or_default();
        app.output.success(&format!(
            "{}/{namespace}/{} migrated to version {}",
            resource.kind,
            object.name_any(),
            storage.name
        ));
    }
    let name = definition.name_any();
    let patch = Patch::Merge(json!({"status": {"storedVersions": [storage.name]}}));
    let params = PatchParams { dry_run, ..PatchParams::default() };
    definitions.patch_subresource("status", &name, &params, &patch).await?;
    app.output.success(&format!("{name} migrated to storage version {}", storage.name));
    Ok(())
}

/// A write that changes nothing but the version in which the object is stored.
async fn rewrite(
    api: &Api<DynamicObject>,
    object: &DynamicObject,
    resource: &ApiResource,
    dry_run: bool,
) -> Result<()> {
    let patch = renewed(&serde_json::to_value(&object.metadata)?, resource).unwrap_or_else(|| json!({}));
    let params = PatchParams { dry_run, field_manager: Some("flux".into()), ..PatchParams::default() };
    match api.patch(&object.name_any(), &params, &Patch::Merge(&patch)).await {
        // Gone, or written by somebody else meanwhile: in the version that is stored.
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Managed fields that name an old version would make later applies fail once it is gone.
fn renewed(metadata: &Value, resource: &ApiResource) -> Option<Value> {
    let mut fields = metadata.get("managedFields")?.as_array()?.clone();
    let mut changed = false;
    for entry in &mut fields {
        let old = entry["apiVersion"].as_str().unwrap_or_default();
        if old.starts_with(&format!("{}/", resource.group)) && old != resource.api_version {
            entry["apiVersion"] = resource.api_version.as_str().into();
            changed = true;
        }
    }
    changed.then(|| {
        json!({"metadata": {"managedFields": fields, "resourceVersion": metadata["resourceVersion"].clone()}})
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managed_fields_of_old_versions_are_renewed() {
        let resource = crate::kinds::KUSTOMIZATION.resource();
        let metadata = json!({"resourceVersion": "7", "managedFields": [
            {"manager": "a", "apiVersion": "kustomize.toolkit.fluxcd.io/v1beta2"}, {"manager": "b", "apiVersion": "kustomize.toolkit.fluxcd.io/v1"}]});
        let patch = renewed(&metadata, &resource).unwrap();
        assert_eq!(patch["metadata"]["managedFields"][0]["apiVersion"], "kustomize.toolkit.fluxcd.io/v1");
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let fresh = json!({"managedFields": [{"apiVersion": "kustomize.toolkit.fluxcd.io/v1"}]});
        assert!(renewed(&fresh, &resource).is_none());
    }
}

//! Objects of any kind, by their YAML or by their names.

use anyhow::{Context, Result};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{GroupVersionKind, TypeMeta};
use kube::discovery::{ApiCapabilities, ApiResource, Scope, pinned_kind};
use serde_json::{Value, json};

/// A client and the namespace that a test works in.
#[derive(Clone)]
pub struct Cluster {
    /// For what this type does not offer.
    pub client: kube::Client,
    /// Objects that name no namespace are meant to be here.
    pub namespace: String,
}

const MANAGER: &str = "sluice-tests";

impl Cluster {
    /// Applies every document of the text and returns what the API server made of them.
    pub async fn apply(&self, yaml: &str) -> Result<Vec<DynamicObject>> {
        let mut applied = Vec::new();
        for document in documents(yaml)? {
            let name = document["metadata"]["name"].as_str().context("a document has no name")?.to_owned();
            let kind = document["kind"].as_str().unwrap_or_default().to_owned();
            let api = self.api_of(&document).await?;
            let object = api
                .patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&document))
                .await
                .with_context(|| format!("{kind} {name} is not accepted"))?;
            applied.push(object);
        }
        Ok(applied)
    }

    /// The API of a kind, as `("apps/v1", "Deployment")`, in the test's namespace if the kind has namespaces.
    pub async fn api(&self, api_version: &str, kind: &str) -> Result<Api<DynamicObject>> {
        self.api_in(api_version, kind, &self.namespace).await
    }

    /// The same in another namespace.
    pub async fn api_in(&self, api_version: &str, kind: &str, namespace: &str) -> Result<Api<DynamicObject>> {
        let (resource, capabilities) = self.resource(api_version, kind).await?;
        Ok(match capabilities.scope {
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
        })
    }

    /// One object.
    pub async fn get(&self, api_version: &str, kind: &str, name: &str) -> Result<DynamicObject> {
        let object = self.api(api_version, kind).await?.get(name).await;
        object.with_context(|| format!("{kind} {}/{name}", self.namespace))
    }

    /// One object, or that there is none.
    pub async fn find(&self, api_version: &str, kind: &str, name: &str) -> Result<Option<DynamicObject>> {
        Ok(self.api(api_version, kind).await?.get_opt(name).await?)
    }

    /// Asks for the deletion of an object.
    pub async fn delete(&self, api_version: &str, kind: &str, name: &str) -> Result<()> {
        self.api(api_version, kind).await?.delete(name, &DeleteParams::background()).await?;
        Ok(())
    }

    /// Changes an object by a merge patch.
    pub async fn patch(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        patch: Value,
    ) -> Result<DynamicObject> {
        let api = self.api(api_version, kind).await?;
        Ok(api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?)
    }

    /// Asks for a reconcile, as `flux reconcile` does, and returns the value that `status.lastHandledReconcileAt` will
    /// have when it was heard.
    pub async fn request_reconcile(&self, api_version: &str, kind: &str, name: &str) -> Result<String> {
        let request = jiff::Timestamp::now().to_string();
        let annotations = json!({ "reconcile.fluxcd.io/requestedAt": request });
        self.patch(api_version, kind, name, json!({ "metadata": { "annotations": annotations } })).await?;
        Ok(request)
    }

    async fn api_of(&self, document: &Value) -> Result<Api<DynamicObject>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let namespace = document["metadata"]["namespace"].as_str().unwrap_or(&self.namespace);
        self.api_in(&text(&document["apiVersion"]), &text(&document["kind"]), namespace).await
    }

    async fn resource(&self, api_version: &str, kind: &str) -> Result<(ApiResource, ApiCapabilities)> {
        let types = TypeMeta { api_version: api_version.into(), kind: kind.into() };
        let kind = GroupVersionKind::try_from(types)?;
        pinned_kind(&self.client, &kind).await.with_context(|| format!("{kind:?} is not installed"))
    }
}

/// The documents of a YAML text, without the empty ones.
pub fn documents(yaml: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(yaml).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The status (`True`, `False` or `Unknown`) of a condition, if the object has it.
pub fn condition<'a>(object: &'a DynamicObject, name: &str) -> Option<&'a str> {
    field(object, name, "status")
}

/// The reason of a condition, if the object has it.
pub fn reason<'a>(object: &'a DynamicObject, name: &str) -> Option<&'a str> {
    field(object, name, "reason")
}

fn field<'a>(object: &'a DynamicObject, condition: &str, field: &str) -> Option<&'a str> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    conditions.iter().find(|entry| entry["type"] == condition)?[field].as_str()
}

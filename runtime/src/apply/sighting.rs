//! An object as a watch sends it, read for its fingerprint and its health.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::fingerprint::{Notes, with_notes};

/// An object of any kind without what nobody asks for: of its managed fields there is a number, and of its content
/// nothing where that does not tell its health.
#[derive(Clone, Debug)]
pub(super) struct Sighting<const CONTENT: bool> {
    /// Its metadata, without managed fields, owners and finalizers.
    pub(super) metadata: ObjectMeta,
    /// What stands for all of it but the status.
    pub(super) fingerprint: u64,
    /// All fields but the metadata.
    pub(super) content: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    generation: Option<i64>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    managed_fields: Notes,
}

impl<'de, const CONTENT: bool> Deserialize<'de> for Sighting<CONTENT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields::<CONTENT>)
    }
}

struct Fields<const CONTENT: bool>;

impl<'de, const CONTENT: bool> Visitor<'de> for Fields<CONTENT> {
    type Value = Sighting<CONTENT>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut metadata = Metadata::default();
        let mut content = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if name == "metadata" {
                metadata = fields.next_value()?;
            } else if CONTENT {
                content.insert(name, fields.next_value()?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        let notes = metadata.managed_fields;
        let metadata = ObjectMeta {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            generation: metadata.generation,
            resource_version: metadata.resource_version,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            labels: metadata.labels,
            annotations: metadata.annotations,
            ..ObjectMeta::default()
        };
        Ok(Sighting { fingerprint: with_notes(&metadata, notes), metadata, content })
    }
}

impl<const CONTENT: bool> Resource for Sighting<CONTENT> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectList, WatchEvent};
    use serde_json::json;

    use super::super::fingerprint::fingerprint;
    use super::*;

    #[test]
    fn an_object_of_a_watch_has_the_fingerprint_of_the_answer_to_its_apply() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1},
            "metadata": {
                "name": "a", "namespace": "b", "uid": "u", "generation": 3, "resourceVersion": "9", "labels": null,
                "creationTimestamp": "2026-01-01T00:00:00Z", "ownerReferences": [], "finalizers": ["x"],
                "managedFields": [
                    {"manager": "m", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
                     "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}}}}},
                    {"manager": "kcm", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
                ],
            },
        });
        let expected = fingerprint(&ObjectMeta::deserialize(&object["metadata"]).unwrap());
        let event = json!({"type": "MODIFIED", "object": object}).to_string();
        let WatchEvent::Modified(seen) = serde_json::from_str::<WatchEvent<Sighting<true>>>(&event).unwrap()
        else {
            panic!("{event}")
        };
        assert_eq!((seen.fingerprint, &seen.content["spec"]), (expected, &json!({"replicas": 1})));
        assert_eq!(seen.metadata.creation_timestamp.map(|time| time.0.as_second()), Some(1_767_225_600));
        let list =
            json!({"apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": {}, "items": [object]});
        let list: ObjectList<Sighting<false>> = serde_json::from_str(&list.to_string()).unwrap();
        assert_eq!((list.items[0].fingerprint, list.items[0].content.len()), (expected, 0));
    }
}

//! One object of any kind as the API server sent it, and what all of Flux's kinds have.

use kube::api::DynamicObject;
use serde_json::{Map, Value};

use crate::kinds::Kind;

/// An object with its fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object(pub(crate) Value);

/// A condition of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition<'a> {
    pub(crate) status: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
    pub(crate) last_transition_time: &'a str,
    pub(crate) observed_generation: Option<i64>,
}

impl Object {
    /// What the server sent for a kind. Items of a list lack their kind.
    pub(crate) fn from_server(object: DynamicObject, kind: &Kind) -> Self {
        let mut object = Self::from(object);
        if let Value::Object(fields) = &mut object.0 {
            fields.entry("apiVersion").or_insert_with(|| kind.api_version().into());
            fields.entry("kind").or_insert_with(|| kind.kind.into());
        }
        object
    }

    /// A text at a JSON pointer; empty where there is none.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether there is `true` at a JSON pointer.
    pub(crate) fn yes(&self, pointer: &str) -> bool {
        self.0.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A number at a JSON pointer.
    pub(crate) fn number(&self, pointer: &str) -> Option<i64> {
        self.0.pointer(pointer).and_then(Value::as_i64)
    }

    /// The list at a JSON pointer; empty where there is none.
    pub(crate) fn list(&self, pointer: &str) -> &[Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    pub(crate) fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// A label or annotation; empty where there is none. `field` is `labels` or `annotations`.
    pub(crate) fn tag(&self, field: &str, key: &str) -> &str {
        let tags = self.0.get("metadata").and_then(|metadata| metadata.get(field));
        tags.and_then(|tags| tags.get(key)).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn generation(&self) -> i64 {
        self.number("/metadata/generation").unwrap_or_default()
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.yes("/spec/suspend")
    }

    /// The last request for a reconciliation that the controller saw to.
    pub(crate) fn last_handled(&self) -> &str {
        self.text("/status/lastHandledReconcileAt")
    }

    /// A condition by its type.
    pub(crate) fn condition(&self, type_: &str) -> Option<Condition<'_>> {
        let entry = self.list("/status/conditions").iter().find(|entry| entry["type"] == type_)?;
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        Some(Condition {
            status: text("status"),
            reason: text("reason"),
            message: text("message"),
            last_transition_time: text("lastTransitionTime"),
            observed_generation: entry.get("observedGeneration").and_then(Value::as_i64),
        })
    }

    /// The condition that sums up the others.
    pub(crate) fn ready(&self) -> Option<Condition<'_>> {
        self.condition(sluice_api::meta::READY_CONDITION)
    }

    /// Kind/namespace/name of a reference at a JSON pointer, the namespace being the object's own if none is given.
    pub(crate) fn reference(&self, pointer: &str) -> Option<Reference> {
        let value = self.0.pointer(pointer)?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let own = self.namespace();
        let namespace = if text("namespace").is_empty() { own } else { text("namespace") };
        (!text("name").is_empty()).then(|| Reference {
            kind: text("kind").to_owned(),
            namespace: namespace.to_owned(),
            name: text("name").to_owned(),
        })
    }

    /// The object without what the server keeps for itself.
    pub(crate) fn without_bookkeeping(&self) -> Value {
        let mut value = self.0.clone();
        if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
            metadata.remove("managedFields");
        }
        value
    }

    /// What a person would have written: identity, labels, annotations and spec.
    pub(crate) fn exported(&self) -> Value {
        let mut metadata = Map::new();
        for key in ["annotations", "labels", "name", "namespace"] {
            if let Some(value) = self.0["metadata"].get(key).filter(|value| !value.is_null()) {
                metadata.insert(key.to_owned(), value.clone());
            }
        }
        let mut exported = Map::new();
        for key in ["apiVersion", "kind"] {
            exported.insert(key.to_owned(), self.0[key].clone());
        }
        exported.insert("metadata".into(), Value::Object(metadata));
        exported
            .insert("spec".into(), self.0.get("spec").cloned().unwrap_or_else(|| Value::Object(Map::new())));
        Value::Object(exported)
    }
}

impl From<DynamicObject> for Object {
    fn from(object: DynamicObject) -> Self {
        // Maps with text keys are all that there is: this cannot fail.
        Self(serde_json::to_value(object).unwrap_or_default())
    }
}

/// Which object another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_export_is_what_a_person_would_have_written() {
        let object = Object(json!({
            "apiVersion": "x/v1", "kind": "X",
            "metadata": {"name": "a", "namespace": "b", "uid": "u", "managedFields": [], "labels": {"l": "1"}},
            "spec": {"suspend": true}, "status": {"a": 1},
        }));
        let expected = json!({
            "apiVersion": "x/v1", "kind": "X",
            "metadata": {"name": "a", "namespace": "b", "labels": {"l": "1"}}, "spec": {"suspend": true},
        });
        assert_eq!(object.exported(), expected);
        assert!(object.without_bookkeeping()["metadata"].get("managedFields").is_none());
    }

    #[test]
    fn a_reference_without_namespace_stays_at_home() {
        let object = Object(
            json!({"metadata": {"namespace": "own"}, "spec": {"sourceRef": {"kind": "GitRepository", "name": "a"}}}),
        );
        assert_eq!(object.reference("/spec/sourceRef").unwrap().to_string(), "GitRepository/own/a");
        assert!(object.reference("/spec/chartRef").is_none());
    }
}

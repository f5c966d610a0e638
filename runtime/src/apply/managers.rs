//! Taking fields over from other field managers, and removing what older tools left.

use serde_json::{Map, Value, json};

use super::Object;

/// Annotations of older tools that are removed from managed objects.
const OLD_ANNOTATIONS: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/checksum",
    "fluxcd.io/sync-checksum",
];
/// Labels of older tools that are removed from managed objects.
const OLD_LABELS: [&str; 1] = ["fluxcd.io/sync-gc-mark"];

/// Which managers a controller takes fields over from, by prefix of their name.
#[derive(Clone, Debug)]
pub struct Takeover {
    owner: String,
    /// Prefix and operation.
    managers: Vec<(String, &'static str)>,
}

impl Takeover {
    /// The managers that Flux takes over from, and those of `--override-manager`.
    pub fn new(owner: &str, overrides: &[String]) -> Self {
        let mut managers = vec![
            ("kubectl".to_owned(), "Apply"),
            ("kubectl".to_owned(), "Update"),
            ("before-first-apply".to_owned(), "Update"),
            (owner.to_owned(), "Update"),
        ];
        for name in overrides {
            managers.extend([(name.clone(), "Apply"), (name.clone(), "Update")]);
        }
        Self { owner: owner.to_owned(), managers }
    }

    /// Only the managers that are named.
    pub fn only(owner: &str, managers: &[String]) -> Self {
        let both = |name: &String| [(name.clone(), "Apply"), (name.clone(), "Update")];
        Self { owner: owner.to_owned(), managers: managers.iter().flat_map(both).collect() }
    }

    /// The JSON patch that takes fields over and changes nothing else. Empty when there is nothing to do.
    pub fn fields_patch(&self, live: &Object) -> Vec<Value> {
        let entries = live.metadata("managedFields").and_then(Value::as_array);
        let entries =
            entries.filter(|_| !self.managers.is_empty()).and_then(|entries| self.taken_over(entries));
        entries
            .into_iter()
            .map(|entries| json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}))
            .collect()
    }

    fn takes(&self, entry: &Value) -> bool {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        text("subresource").is_empty()
            && self.managers.iter().any(|(prefix, operation)| {
                text("operation") == *operation && text("manager").starts_with(prefix)
            })
    }

    /// The JSON patch that cleans the metadata of a live object. Empty when there is nothing to do.
    pub fn patch(&self, live: &Object) -> Vec<Value> {
        let mut operations = Vec::new();
        for (field, keys) in [("annotations", &OLD_ANNOTATIONS[..]), ("labels", &OLD_LABELS[..])] {
            let present = live.metadata(field).and_then(Value::as_object);
            for key in keys.iter().filter(|key| present.is_some_and(|tags| tags.contains_key(**key))) {
                let path = format!("/metadata/{field}/{}", key.replace('~', "~0").replace('/', "~1"));
                operations.push(json!({"op": "remove", "path": path}));
            }
        }
        let entries = live.metadata("managedFields").and_then(Value::as_array);
        if let Some(entries) = entries.and_then(|entries| self.taken_over(entries)) {
            operations.push(json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}));
        }
        operations
    }

    /// The entries with those of other managers merged into ours. `None` when there is none to merge.
    fn taken_over(&self, entries: &[Value]) -> Option<Vec<Value>> {
        let is_ours = |entry: &Value| {
            entry.get("manager").and_then(Value::as_str) == Some(&self.owner)
                && entry.get("operation").and_then(Value::as_str) == Some("Apply")
        };
        // The last one, as in the reference; there is at most one without a subresource.
        let our_index = entries.iter().rposition(is_ours);
        let mut ours = our_index.map(|index| entries[index].clone());
        let mut others = Vec::new();
        let mut merged = false;
        for (index, entry) in entries.iter().enumerate() {
            if Some(index) == our_index {
                continue;
            }
            if !self.takes(entry) {
                others.push(entry.clone());
                continue;
            }
            merged = true;
            match &mut ours {
                Some(ours) => {
                    if let Some(fields) = entry.get("fieldsV1") {
                        merge_fields(&mut ours["fieldsV1"], fields);
                    }
                }
                None => {
                    let mut renamed = entry.clone();
                    renamed["manager"] = self.owner.clone().into();
                    renamed["operation"] = "Apply".into();
                    ours = Some(renamed);
                }
            }
        }
        others.extend(ours);
        merged.then_some(others)
    }
}

/// The JSON patch that moves all field ownership to another version of the API. Empty when there is nothing to do.
pub(crate) fn migrate(live: &Object, api_version: &str) -> Vec<Value> {
    let Some(entries) = live.metadata("managedFields").and_then(Value::as_array) else { return Vec::new() };
    let current = |entry: &Value| entry.get("apiVersion").and_then(Value::as_str) == Some(api_version);
    if entries.iter().all(current) {
        return Vec::new();
    }
    let mut entries = entries.clone();
    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
        entry.insert("apiVersion".to_owned(), api_version.into());
    }
    vec![json!({"op": "replace", "path": "/metadata/managedFields", "value": entries})]
}

/// The union of two sets of fields. A leaf is an empty map; a leaf that also has children holds the key `.`.
fn merge_fields(into: &mut Value, other: &Value) {
    let Some(other) = other.as_object() else { return };
    if !into.is_object() {
        *into = Value::Object(other.clone());
        return;
    }
    if let Value::Object(into) = into {
        merge_maps(into, other);
    }
}

fn merge_maps(into: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (key, theirs) in other {
        match (into.get_mut(key), theirs) {
            (Some(Value::Object(ours)), Value::Object(theirs)) => {
                match (ours.is_empty(), theirs.is_empty()) {
                    (true, true) => {}
                    (true, false) => {
                        ours.clone_from(theirs);
                        ours.insert(".".to_owned(), json!({}));
                    }
                    (false, true) => {
                        ours.insert(".".to_owned(), json!({}));
                    }
                    // The depth is that of a JSON document that the server accepted.
                    (false, false) => merge_maps(ours, theirs),
                }
            }
            (Some(_), _) => {}
            (None, _) => {
                into.insert(key.clone(), theirs.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn live(entries: Value) -> Object {
        Object::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": entries}}))
            .unwrap()
    }

    fn takeover() -> Takeover {
        Takeover::new("kustomize-controller", &["helm".to_owned()])
    }

    #[test]
    fn fields_of_kubectl_become_ours() {
        let status =
            json!({"manager": "kubectl", "operation": "Update", "subresource": "status", "fieldsV1": {}});
        let object = live(json!([
            entry("kubectl-client-side-apply", "Update", json!({"f:data": {"f:a": {}, ".": {}}})),
            entry("other", "Update", json!({"f:data": {"f:z": {}}})),
            entry("kustomize-controller", "Apply", json!({"f:data": {"f:b": {}}})),
            entry("helm", "Apply", json!({"f:data": {"f:b": {"f:c": {}}}})),
            entry("flux-client-side-apply", "Update", json!({})),
            status,
        ]));
        let patch = takeover().patch(&object);
        assert_eq!(patch.len(), 1);
        let entries = patch[0]["value"].as_array().unwrap();
        let managers: Vec<_> = entries.iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
        assert_eq!(managers, ["other", "flux-client-side-apply", "kubectl", "kustomize-controller"]);
        assert_eq!(
            entries[3]["fieldsV1"],
            json!({"f:data": {".": {}, "f:a": {}, "f:b": {".": {}, "f:c": {}}}})
        );
    }

    #[test]
    fn the_first_match_is_renamed_when_we_own_nothing() {
        let object = live(json!([entry("before-first-apply", "Update", json!({"f:data": {}}))]));
        let patch = takeover().patch(&object);
        assert_eq!(patch[0]["value"], json!([entry("kustomize-controller", "Apply", json!({"f:data": {}}))]));
    }

    #[test]
    fn a_clean_object_needs_no_patch() {
        let object = live(json!([
            entry("kustomize-controller", "Apply", json!({})),
            entry("hpa", "Update", json!({}))
        ]));
        assert!(takeover().patch(&object).is_empty());
        assert!(migrate(&object, "v1").is_empty());
        assert_eq!(migrate(&object, "v2")[0]["value"][1]["apiVersion"], "v2");
    }

    #[test]
    fn marks_of_old_tools_are_removed() {
        let object = Object::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "a",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "x": "y"},
            "labels": {"fluxcd.io/sync-gc-mark": "z"},
        }}))
        .unwrap();
        let paths: Vec<_> =
            takeover().patch(&object).iter().map(|o| o["path"].as_str().unwrap().to_owned()).collect();
        assert_eq!(
            paths,
            [
                "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
                "/metadata/labels/fluxcd.io~1sync-gc-mark"
            ]
        );
    }
}

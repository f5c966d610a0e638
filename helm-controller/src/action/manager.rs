//! From releases that were made by the client to server-side apply.

use serde_json::{Value, json};
use sluice_runtime::apply::Object;

/// Managers that helm and we write as when it is not by server-side apply.
const CLIENT_MANAGERS: [&str; 2] = ["helm", "helm-controller"];

/// The operations that turn what a manager wrote by updates into what it applied, so that fields which it wants no more
/// go with the next apply.
pub(crate) fn to_server_side(live: &Object, manager: &str) -> Vec<Value> {
    let Some(Value::Array(entries)) = live.metadata("managedFields") else { return Vec::new() };
    let is_ours = |entry: &Value| {
        let name = entry["manager"].as_str().unwrap_or_default();
        entry["operation"] == "Update"
            && entry.get("subresource").and_then(Value::as_str).unwrap_or_default().is_empty()
            && (CLIENT_MANAGERS.contains(&name) || name == manager)
    };
    if !entries.iter().any(is_ours) {
        return Vec::new();
    }
    let is_applied = |entry: &Value| entry["operation"] == "Apply" && entry["manager"] == manager;
    let mut fields = entries
        .iter()
        .find(|entry| is_applied(entry))
        .map_or_else(|| json!({}), |entry| entry["fieldsV1"].clone());
    let mut api_version = Value::Null;
    for entry in entries.iter().filter(|entry| is_ours(entry)) {
        union(&mut fields, &entry["fieldsV1"]);
        api_version = entry["apiVersion"].clone();
    }
    let mut left: Vec<Value> =
        entries.iter().filter(|entry| !is_ours(entry) && !is_applied(entry)).cloned().collect();
    left.push(json!({
        "manager": manager, "operation": "Apply", "apiVersion": api_version, "fieldsType": "FieldsV1", "fieldsV1": fields,
    }));
    vec![
        json!({"op": "replace", "path": "/metadata/managedFields", "value": left}),
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": live.resource_version()}),
    ]
}

fn union(into: &mut Value, from: &Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else { return };
    for (key, value) in from {
        union(into.entry(key.clone()).or_insert_with(|| json!({})), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_object::object;

    #[test]
    fn updates_of_helm_become_an_apply_of_ours_and_others_stay() {
        let mut live = object(json!({}));
        live.metadata_mut().insert(
            "managedFields".into(),
            json!([
                {"manager": "helm", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:a": {}}}},
                {"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:b": {}}}},
                {"manager": "helm", "operation": "Update", "subresource": "status", "apiVersion": "v1", "fieldsV1": {}},
            ]),
        );
        let operations = to_server_side(&live, FIELD_MANAGER);
        let left = operations[0]["value"].as_array().unwrap();
        assert_eq!(left.len(), 3);
        assert_eq!(left[2]["manager"], "helm-controller");
        assert_eq!(left[2]["fieldsV1"], json!({"f:data": {"f:a": {}}}));
        assert!(to_server_side(&object(json!({})), FIELD_MANAGER).is_empty());
    }

    const FIELD_MANAGER: &str = "helm-controller";
}

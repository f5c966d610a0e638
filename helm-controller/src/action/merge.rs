//! Patches that are computed here: for releases that were made by the client, and for their way to the server.

use serde_json::{Map, Value, json};
use sluice_runtime::apply::Object;

/// The JSON merge patch that makes of a live object what a manifest wants, and takes away what only the manifest before
/// wanted. What others added stays, but lists are those of the manifest where it has them.
pub(crate) fn three_way(before: Option<&Object>, wanted: &Object, live: &Object) -> Value {
    let empty = Map::new();
    let before = before.map_or(&empty, Object::fields);
    Value::Object(maps(before, wanted.fields(), live.fields()))
}

fn maps(
    before: &Map<String, Value>,
    wanted: &Map<String, Value>,
    live: &Map<String, Value>,
) -> Map<String, Value> {
    let empty = Map::new();
    let mut patch = Map::new();
    for (key, value) in wanted {
        match (value, live.get(key)) {
            (Value::Object(value), Some(Value::Object(live))) => {
                let before = before.get(key).and_then(Value::as_object).unwrap_or(&empty);
                let inner = maps(before, value, live);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (Value::Null, None) => {}
            (value, live) => {
                if live.is_none_or(|live| !covers(live, value)) {
                    patch.insert(key.clone(), value.clone());
                }
            }
        }
    }
    for key in before.keys().filter(|key| !wanted.contains_key(*key) && live.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

/// Whether a live value is what is wanted but for fields that the server filled in.
fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| live.get(key).map_or(value.is_null(), |live| covers(live, value))),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        (Value::Number(live), Value::Number(wanted)) => live == wanted || live.as_f64() == wanted.as_f64(),
        (live, wanted) => live == wanted,
    }
}

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

    fn object(rest: Value) -> Object {
        let mut object = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}});
        for (key, value) in rest.as_object().unwrap() {
            object[key] = value.clone();
        }
        Object::new(object).unwrap()
    }

    #[test]
    fn a_patch_has_what_differs_and_takes_away_what_only_we_had() {
        let before = object(json!({"spec": {"a": 1, "gone": true, "list": [{"n": "x"}]}}));
        let wanted = object(json!({"spec": {"a": 2, "list": [{"n": "x"}], "new": {"k": "v"}}}));
        let live =
            object(json!({"spec": {"a": 1, "gone": true, "theirs": 7, "list": [{"n": "x", "default": 1}]}}));
        assert_eq!(
            three_way(Some(&before), &wanted, &live),
            json!({"spec": {"a": 2, "gone": null, "new": {"k": "v"}}})
        );
        assert_eq!(three_way(None, &live, &live), json!({}));
    }

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

//! Whether a live object differs from what an apply would make of it.

use serde_json::{Map, Value};

use super::Object;

/// Whether the live object differs from the answer of a dry run in labels, annotations, or anything but the rest of the
/// metadata and the status. Null, absent and empty are the same.
pub(crate) fn has_drifted(live: &Object, dry_run: &Object) -> bool {
    let tags = |object: &Object, field: &str| object.metadata(field).cloned().unwrap_or_default();
    ["labels", "annotations"].iter().any(|field| !same(&tags(live, field), &tags(dry_run, field)))
        || !same_maps(live.fields(), dry_run.fields(), |key| key != "metadata" && key != "status")
}

/// Whether two values mean the same to Kubernetes.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => same_maps(a, b, |_| true),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b || is_void(a) && is_void(b),
    }
}

fn same_maps(a: &Map<String, Value>, b: &Map<String, Value>, counts: impl Fn(&str) -> bool + Copy) -> bool {
    let null = Value::Null;
    a.iter().filter(|(key, _)| counts(key)).all(|(key, value)| same(value, b.get(key).unwrap_or(&null)))
        && b.iter().filter(|(key, _)| counts(key) && !a.contains_key(*key)).all(|(_, value)| is_void(value))
}

fn is_void(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn drifted(a: Value, b: Value) -> bool {
        let object = |value: Value| {
            let mut object = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}});
            for (key, value) in value.as_object().cloned().unwrap_or_default() {
                object[key] = value;
            }
            object["metadata"]["name"] = "a".into();
            Object::new(object).unwrap()
        };
        has_drifted(&object(a.clone()), &object(b.clone())) || has_drifted(&object(b), &object(a))
    }

    #[test]
    fn null_absent_and_empty_are_the_same() {
        assert!(!drifted(json!({"spec": {"a": null, "b": [], "c": {}}}), json!({"spec": {}})));
        assert!(!drifted(json!({"data": {}}), json!({})));
        assert!(!drifted(json!({"spec": {"a": 1}}), json!({"spec": {"a": 1.0}})));
    }

    #[test]
    fn values_orders_and_tags_count_but_status_and_other_metadata_do_not() {
        assert!(drifted(json!({"spec": {"a": 1}}), json!({"spec": {"a": 2}})));
        assert!(drifted(json!({"spec": {"a": [1, 2]}}), json!({"spec": {"a": [2, 1]}})));
        assert!(drifted(json!({"spec": {"a": ""}}), json!({"spec": {}})));
        assert!(drifted(json!({"metadata": {"labels": {"a": "b"}}}), json!({})));
        assert!(drifted(json!({"metadata": {"annotations": {"a": "b"}}}), json!({})));
        assert!(!drifted(
            json!({"metadata": {"generation": 1}, "status": {"a": 1}}),
            json!({"metadata": {"generation": 2}})
        ));
    }
}

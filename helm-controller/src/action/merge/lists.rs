//! Lists that join by the keys of their elements.

use serde_json::{Map, Value};
use sluice_kustomize::MergeType;

use super::{maps, patched};

/// The list that a live one becomes. Without rules how it joins, it is the wanted one.
pub(super) fn merge(before: &[Value], wanted: &[Value], live: &[Value], joins: Option<&MergeType>) -> Value {
    let keys = joins.and_then(MergeType::merge_keys);
    let Some(keys) = keys else { return Value::Array(wanted.to_vec()) };
    let same = |a: &Value, b: &Value| is_same(a, b, keys);
    let element = joins.and_then(MergeType::element);
    let empty = Map::new();
    // Each wanted element with what others have added to it.
    let mut ours = wanted
        .iter()
        .map(|item| match (item, live.iter().find(|live| same(live, item))) {
            (Value::Object(wanted), Some(Value::Object(live))) => {
                let before = before.iter().find(|before| same(before, item)).and_then(Value::as_object);
                let patch = maps(before.unwrap_or(&empty), wanted, live, element.as_ref());
                Value::Object(patched(live.clone(), patch))
            }
            _ => item.clone(),
        })
        .collect::<Vec<_>>()
        .into_iter();
    // In the places that elements of ours have now, so that what others put before or between them stays there.
    let kept: Vec<&Value> = live
        .iter()
        .filter(|live| {
            wanted.iter().any(|item| same(live, item)) || !before.iter().any(|item| same(live, item))
        })
        .collect();
    let last = kept.iter().rposition(|live| wanted.iter().any(|item| same(live, item)));
    let mut merged = Vec::with_capacity(kept.len() + wanted.len());
    for (index, live) in kept.into_iter().enumerate() {
        if wanted.iter().any(|item| same(live, item)) {
            merged.extend(ours.next());
        } else {
            merged.push(live.clone());
        }
        if Some(index) == last {
            merged.extend(ours.by_ref());
        }
    }
    merged.extend(ours);
    Value::Array(merged)
}

/// Whether two elements are of the same keys; plain values and lists without keys: whether they are equal.
fn is_same(a: &Value, b: &Value, keys: &[String]) -> bool {
    if keys.is_empty() || !a.is_object() || !b.is_object() {
        return a == b;
    }
    keys.iter().all(|key| key_of(a, key) == key_of(b, key))
}

/// The value of a key, with the server's default where there is one.
fn key_of<'a>(item: &'a Value, key: &str) -> Option<&'a Value> {
    static TCP: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| "TCP".into());
    item.get(key).or_else(|| (key == "protocol").then_some(&*TCP))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ports(before: &Value, wanted: &Value, live: &Value) -> Value {
        let service = MergeType::of_kind("v1", "Service").unwrap();
        let ports = service.member("spec").and_then(|spec| spec.member("ports"));
        let list = |value: &Value| value.as_array().cloned().unwrap();
        merge(&list(before), &list(wanted), &list(live), ports.as_ref())
    }

    #[test]
    fn ports_are_told_apart_by_protocol_and_keep_what_the_server_gave_them() {
        let before = json!([{"port": 53, "name": "tcp"}]);
        let wanted = json!([{"port": 53, "name": "dns-tcp"}, {"port": 53, "protocol": "UDP", "name": "dns"}]);
        let live = json!([{"port": 53, "protocol": "TCP", "nodePort": 30053, "name": "tcp"}]);
        assert_eq!(
            ports(&before, &wanted, &live),
            json!([
                {"port": 53, "protocol": "TCP", "nodePort": 30053, "name": "dns-tcp"},
                {"port": 53, "protocol": "UDP", "name": "dns"},
            ])
        );
    }

    #[test]
    fn sets_lose_what_only_we_had() {
        let object = MergeType::of_kind("v1", "Service").unwrap();
        let finalizers = object.member("metadata").and_then(|metadata| metadata.member("finalizers"));
        let merged = merge(
            &[json!("old"), json!("kept")],
            &[json!("kept"), json!("new")],
            &[json!("theirs"), json!("old"), json!("kept")],
            finalizers.as_ref(),
        );
        assert_eq!(merged, json!(["theirs", "kept", "new"]));
    }
}

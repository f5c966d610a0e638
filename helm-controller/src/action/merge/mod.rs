//! Patches that are computed here, for releases that were made by the client: from the manifest before, the one that is
//! wanted, and the live object.

mod lists;

use serde_json::{Map, Value};
use sluice_kustomize::MergeType;
use sluice_runtime::apply::Object;

/// The JSON merge patch that makes of a live object what a manifest wants, and takes away what only the manifest before
/// wanted. What others added stays, in lists of built-in kinds too, as a strategic merge would leave it; lists of other
/// kinds are those of the manifest.
pub(crate) fn three_way(before: Option<&Object>, wanted: &Object, live: &Object) -> Value {
    let empty = Map::new();
    let before = before.map_or(&empty, Object::fields);
    let joins = MergeType::of_kind(wanted.api_version(), wanted.kind());
    Value::Object(maps(before, wanted.fields(), live.fields(), joins.as_ref()))
}

fn maps(
    before: &Map<String, Value>,
    wanted: &Map<String, Value>,
    live: &Map<String, Value>,
    joins: Option<&MergeType>,
) -> Map<String, Value> {
    let empty = Map::new();
    let mut patch = Map::new();
    for (key, value) in wanted {
        let joins = joins.and_then(|joins| joins.member(key));
        match (value, live.get(key)) {
            (Value::Object(value), Some(Value::Object(live))) => {
                let before = before.get(key).and_then(Value::as_object).unwrap_or(&empty);
                let inner = maps(before, value, live, joins.as_ref());
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (Value::Array(value), Some(Value::Array(live))) => {
                let before = before.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let merged = lists::merge(before, value, live, joins.as_ref());
                if !covers(&Value::Array(live.clone()), &merged) {
                    patch.insert(key.clone(), merged);
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

/// A map with a merge patch in force.
fn patched(mut map: Map<String, Value>, patch: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in patch {
        match (value, map.remove(&key)) {
            (Value::Null, _) => {}
            (Value::Object(inner), Some(Value::Object(below))) => {
                map.insert(key, Value::Object(patched(below, inner)));
            }
            (value, _) => {
                map.insert(key, value);
            }
        }
    }
    map
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_object::object;

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

    fn deployment(containers: Value) -> Object {
        let spec = json!({"template": {"spec": {"containers": containers}}});
        let metadata = json!({"name": "a", "finalizers": ["x/ours"]});
        Object::new(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}),
        )
        .unwrap()
    }

    #[test]
    fn what_others_add_to_lists_of_built_in_kinds_stays_and_what_we_want_no_more_goes() {
        let before = deployment(
            json!([{"name": "app", "image": "a:1", "env": [{"name": "A", "value": "1"}]}, {"name": "old", "image": "o"}]),
        );
        let wanted = deployment(json!([{"name": "app", "image": "a:2", "ports": [{"containerPort": 80}]}]));
        let live = deployment(json!([
            {"name": "sidecar", "image": "s"},
            {"name": "app", "image": "a:1", "imagePullPolicy": "Always", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"name": "old", "image": "o"},
        ]));
        let patch = three_way(Some(&before), &wanted, &live);
        assert_eq!(
            patch,
            json!({"spec": {"template": {"spec": {"containers": [
                {"name": "sidecar", "image": "s"},
                {"name": "app", "image": "a:2", "imagePullPolicy": "Always", "ports": [{"containerPort": 80}]},
            ]}}}})
        );
        // And nothing is left to do after that.
        let live =
            Object::new(Value::Object(patched(live.fields().clone(), patch.as_object().unwrap().clone())))
                .unwrap();
        assert_eq!(three_way(Some(&wanted), &wanted, &live), json!({}));
    }

    #[test]
    fn lists_of_other_kinds_are_those_of_the_manifest() {
        let custom = |list: Value| {
            Object::new(
                json!({"apiVersion": "x/v1", "kind": "Y", "metadata": {"name": "a"}, "spec": {"list": list}}),
            )
            .unwrap()
        };
        let (before, live) = (custom(json!([{"name": "a"}])), custom(json!([{"name": "a"}, {"name": "b"}])));
        assert_eq!(three_way(Some(&before), &before, &live), json!({"spec": {"list": [{"name": "a"}]}}));
    }
}

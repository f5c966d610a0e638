//! An object for tests.

use serde_json::{Value, json};
use sluice_runtime::apply::Object;

/// The object `a` of the kind X, with these members.
pub(crate) fn object(members: Value) -> Object {
    let mut object = json!({"apiVersion": "v1", "kind": "X", "metadata": {}});
    for (key, value) in members.as_object().unwrap() {
        object[key] = value.clone();
    }
    object["metadata"]["name"] = "a".into();
    Object::new(object).unwrap()
}

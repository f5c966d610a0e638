//! Hiding what SOPS encrypted, for output that people read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What stands in the place of a value.
const MASK: &str = "**SOPS**";

/// Hides encrypted values of a Secret; other objects stay as they are.
pub fn mask(object: &mut Value) {
    if object["kind"] != "Secret" {
        return;
    }
    let whole = object.get("sops").is_some_and(|sops| sops.to_string().contains("ENC["));
    let docker = object["type"] == "kubernetes.io/dockerconfigjson";
    let hidden = if docker { format!("{{\"mask\":\"{MASK}\"}}") } else { MASK.to_owned() };
    if whole && let Some(fields) = object.as_object_mut() {
        fields.remove("sops");
    }
    for field in ["data", "stringData"] {
        let Some(values) = object.get_mut(field).and_then(Value::as_object_mut) else { continue };
        for value in values.values_mut() {
            let Some(text) = value.as_str() else { continue };
            let plain = STANDARD.decode(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let plain = if field == "data" { plain.unwrap_or_default() } else { text.to_owned() };
            if whole {
                *value =
                    if field == "data" { STANDARD.encode(&hidden).into() } else { hidden.as_str().into() };
            } else if plain.contains("sops") && plain.contains("ENC[") {
                *value = STANDARD.encode(MASK).into();
            }
        }
    }
}

/// Whether a Secret has values that were hidden.
pub fn is_masked(object: &Value) -> bool {
    let hidden = |value: &Value| {
        value.as_str().is_some_and(|text| {
            let plain = STANDARD.decode(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            text.contains(MASK) || plain.is_ok_and(|plain| plain.contains(MASK))
        })
    };
    object["kind"] == "Secret"
        && ["data", "stringData"]
            .iter()
            .any(|field| object[field].as_object().is_some_and(|values| values.values().any(hidden)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn encrypted_values_are_hidden_and_others_stay() {
        let mut whole = json!({"kind": "Secret", "data": {"a": "RU5D"}, "stringData": {"b": "ENC[x]"}, "sops": {"mac": "ENC[y]"}});
        mask(&mut whole);
        assert_eq!(
            whole,
            json!({"kind": "Secret", "data": {"a": "KipTT1BTKio="}, "stringData": {"b": "**SOPS**"}})
        );
        assert!(is_masked(&whole));
        let file = STANDARD.encode("{\"sops\": {\"mac\": \"ENC[x]\"}}");
        let mut single = json!({"kind": "Secret", "data": {"file": file, "plain": "eA=="}});
        mask(&mut single);
        assert_eq!(single, json!({"kind": "Secret", "data": {"file": "KipTT1BTKio=", "plain": "eA=="}}));
        let mut map = json!({"kind": "ConfigMap", "data": {"a": "ENC[sops]"}});
        mask(&mut map);
        assert_eq!(map["data"]["a"], "ENC[sops]");
        assert!(!is_masked(&map));
    }
}

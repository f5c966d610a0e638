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
        // A generator made it of an encrypted file of variables.
        let variables = values.get("sops_mac").is_some_and(|mac| plain(field, mac).contains("ENC["));
        if variables {
            values.retain(|key, _| !key.starts_with("sops_"));
        }
        for value in values.values_mut() {
            let text = plain(field, value);
            if whole || variables {
                *value =
                    if field == "data" { STANDARD.encode(&hidden).into() } else { hidden.as_str().into() };
            } else if text.contains("sops") && text.contains("ENC[") {
                *value = STANDARD.encode(MASK).into();
            }
        }
    }
}

/// Whether a Secret has a value that everybody can read: it is not empty, neither encrypted nor hidden, and not left for
/// `postBuild` to fill in.
pub fn has_plain_values(object: &Value) -> bool {
    let mut hidden = object.clone();
    mask(&mut hidden);
    ["data", "stringData"].iter().any(|field| {
        hidden[field].as_object().into_iter().flatten().any(|(_, value)| {
            let text = plain(field, value);
            !text.is_empty() && !["ENC[", "${", MASK].iter().any(|mark| text.contains(mark))
        })
    })
}

/// What a value of a Secret stands for. What is no base64 stands for itself.
fn plain(field: &str, value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    // Generators write long values in several lines.
    let decoded = || STANDARD.decode(text.split_ascii_whitespace().collect::<String>());
    match field {
        "data" => {
            decoded().map_or_else(|_| text.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => text.to_owned(),
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
        let encoded = |text: &str| STANDARD.encode(text);
        let mut variables = json!({"kind": "Secret",
            "data": {"TOKEN": encoded("ENC[x]"), "sops_mac": encoded("ENC[y]"), "sops_version": encoded("3")}});
        assert!(!has_plain_values(&variables));
        mask(&mut variables);
        assert_eq!(variables, json!({"kind": "Secret", "data": {"TOKEN": "KipTT1BTKio="}}));
        let mut map = json!({"kind": "ConfigMap", "data": {"a": "ENC[sops]"}});
        mask(&mut map);
        assert_eq!(map["data"]["a"], "ENC[sops]");
        assert!(!is_masked(&map));
    }

    #[test]
    fn values_that_everybody_can_read_are_told_from_others() {
        let secret = |field: &str, value: &str| json!({"kind": "Secret", field: {"a": value}});
        for (field, value) in
            [("data", "ENC[x]"), ("data", "RU5DW3hd"), ("stringData", "${TOKEN}"), ("data", "")]
        {
            assert!(!has_plain_values(&secret(field, value)), "{value}");
        }
        for (field, value) in [("data", "eA=="), ("stringData", "RU5DW3hd"), ("data", "no base64")] {
            assert!(has_plain_values(&secret(field, value)), "{value}");
        }
    }
}

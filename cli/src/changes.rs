//! The difference between two values, as a person reads it.

use serde_json::{Map, Value};

use crate::output::{Colour, Style};

/// Fields of the metadata that the server keeps.
const SERVER_FIELDS: [&str; 6] =
    ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"];

/// The differences of two objects, each with its path, the values of Secrets hidden.
pub(crate) fn between(live: &Value, merged: &Value, style: Style) -> String {
    let (mut before, mut after) = (plain(live), plain(merged));
    if before["kind"] == "Secret" {
        hide(&mut before, &mut after);
    }
    let mut text = String::new();
    walk("", &before, &after, style, &mut text);
    text
}

fn plain(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|key, _| !SERVER_FIELDS.contains(&key.as_str()));
        }
    }
    object
}

/// Puts stars in the place of values: equal ones stay equal, and different ones different.
fn hide(before: &mut Value, after: &mut Value) {
    for field in ["data", "stringData"] {
        let values =
            |object: &Value| object.get(field).and_then(Value::as_object).cloned().unwrap_or_default();
        let (old, new) = (values(before), values(after));
        let star = |map: &Map<String, Value>, other: &Map<String, Value>, changed: &str| -> Value {
            let star = |key: &String, value: &Value| match other.get(key) {
                Some(same) if same == value => "***".to_owned(),
                Some(_) => format!("*** ({changed})"),
                None => "***".to_owned(),
            };
            map.iter()
                .map(|(key, value)| (key.clone(), Value::from(star(key, value))))
                .collect::<Map<_, _>>()
                .into()
        };
        if !old.is_empty() {
            before[field] = star(&old, &new, "before");
        }
        if !new.is_empty() {
            after[field] = star(&new, &old, "after");
        }
    }
}

fn walk(path: &str, before: &Value, after: &Value, style: Style, text: &mut String) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            let only = |a: &Map<String, Value>, b: &Map<String, Value>| {
                a.iter()
                    .filter(|(key, _)| !b.contains_key(*key))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect::<Map<_, _>>()
            };
            entries(path, &only(old, new), false, style, text);
            entries(path, &only(new, old), true, style, text);
            for (key, value) in old {
                if let Some(other) = new.get(key) {
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    walk(&below, value, other, style, text);
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (value, other)) in old.iter().zip(new).enumerate() {
                let name = |value: &Value| value.get("name").and_then(Value::as_str).map(ToOwned::to_owned);
                let step =
                    name(value).filter(|_| name(value) == name(other)).unwrap_or_else(|| index.to_string());
                walk(&format!("{path}.{step}"), value, other, style, text);
            }
        }
        _ => {
            text.push_str(&format!(
                "\n{}\n  {}\n",
                shown(path),
                style.paint(Colour::Yellow, "± value change")
            ));
            text.push_str(&block('-', before, Colour::Red, style));
            text.push_str(&block('+', after, Colour::Green, style));
        }
    }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "(root level)" } else { path }
}

fn entries(path: &str, values: &Map<String, Value>, added: bool, style: Style, text: &mut String) {
    if values.is_empty() {
        return;
    }
    let (sign, word, colour) =
        if added { ('+', "added", Colour::Green) } else { ('-', "removed", Colour::Red) };
    let count = match values.len() {
        1 => "one map entry".to_owned(),
        count => format!("{count} map entries"),
    };
    let head = style.paint(colour, &format!("{sign} {count} {word}:"));
    text.push_str(&format!("\n{}\n  {head}\n", shown(path)));
    text.push_str(&indented(&Value::Object(values.clone()), "    ", colour, style));
}

fn block(sign: char, value: &Value, colour: Colour, style: Style) -> String {
    let text = indented(value, "      ", colour, style);
    text.replacen("      ", &format!("    {sign} "), 1)
}

fn indented(value: &Value, indent: &str, colour: Colour, style: Style) -> String {
    let yaml = match value {
        Value::Null => "null\n".to_owned(),
        value => crate::documents::yaml(value).unwrap_or_default(),
    };
    let lines: Vec<_> = yaml.lines().map(|line| style.paint(colour, line)).collect();
    lines.iter().flat_map(|line| [indent, line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_change_has_its_path() {
        let before = json!({"kind": "Deployment", "metadata": {"name": "a", "uid": "1"}, "spec": {"replicas": 1, "old": true,
            "containers": [{"name": "main", "image": "a:1"}]}, "status": {"x": 1}});
        let after = json!({"kind": "Deployment", "metadata": {"name": "a", "labels": {"b": "c"}}, "spec": {"replicas": 3,
            "containers": [{"name": "main", "image": "a:2"}]}});
        assert_eq!(
            between(&before, &after, Style::default()),
            "\nmetadata\n  + one map entry added:\n    labels:\n      b: c\n\nspec\n  - one map entry removed:\n    old: true\n\nspec.containers.main.image\n  ± value change\n    - a:1\n    + a:2\n\nspec.replicas\n  ± value change\n    - 1\n    + 3\n"
        );
    }

    #[test]
    fn values_of_secrets_are_never_shown() {
        let before = json!({"kind": "Secret", "data": {"a": "c2VjcmV0", "b": "eA==", "gone": "Z29uZQ=="}});
        let after = json!({"kind": "Secret", "data": {"a": "b3RoZXI=", "b": "eA==", "new": "bmV3"}});
        let text = between(&before, &after, Style::default());
        assert!(text.contains("*** (before)") && text.contains("*** (after)"), "{text}");
        for value in ["c2VjcmV0", "b3RoZXI=", "Z29uZQ==", "bmV3", "eA=="] {
            assert!(!text.contains(value), "{text}");
        }
    }
}

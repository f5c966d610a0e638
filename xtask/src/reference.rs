//! The reference of a kind: a page that lists its fields.

use serde_json::Value;

/// The page of a kind, made from its definition.
pub(crate) fn page(crd: &Value) -> String {
    let spec = &crd["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, group) = (text(&spec["names"]["kind"]), text(&spec["group"]));
    let versions = spec["versions"].as_array().cloned().unwrap_or_default();
    let newest = versions.first().cloned().unwrap_or_default();
    let root = &newest["schema"]["openAPIV3Schema"];
    let mut out = format!(
        "<!-- Made by `cargo xtask generate` from the types in api/. Do not edit. -->\n# {kind}\n\n{}\n\n",
        text(&root["description"])
    );
    let names: Vec<String> = versions
        .iter()
        .map(|version| {
            let mark = if version["deprecated"] == true { " (deprecated)" } else { "" };
            format!("`{group}/{}`{mark}", text(&version["name"]))
        })
        .collect();
    out.push_str(&format!("Versions, all with the same fields: {}.\n", names.join(", ")));
    let short: Vec<String> = spec["names"]["shortNames"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|name| format!("`{}`", text(name)))
        .collect();
    if !short.is_empty() {
        out.push_str(&format!("\nShort names: {}.\n", short.join(", ")));
    }
    for part in ["spec", "status"] {
        let schema = &root["properties"][part];
        if schema.is_object() {
            out.push_str(&format!("\n## {part}\n\n{}\n\n", text(&schema["description"])));
            rules(&mut out, schema);
            out.push_str("| field | type | meaning |\n|---|---|---|\n");
            fields(&mut out, schema, "");
        }
    }
    out
}

/// The rules that join fields.
fn rules(out: &mut String, schema: &Value) {
    let list = schema["x-kubernetes-validations"].as_array().cloned().unwrap_or_default();
    for rule in &list {
        out.push_str(&format!("- {}\n", rule["message"].as_str().unwrap_or_default()));
    }
    if !list.is_empty() {
        out.push('\n');
    }
}

fn fields(out: &mut String, schema: &Value, path: &str) {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|list| list.iter().any(|item| item.as_str() == Some(name)))
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let mut meaning = property["description"].as_str().unwrap_or_default().replace('\n', " ");
        if required(name) {
            meaning.push_str(" Required.");
        }
        for (key, label) in [
            ("default", "Default"),
            ("pattern", "Pattern"),
            ("minLength", "Shortest"),
            ("maxLength", "Longest"),
            ("minItems", "At least"),
            ("maxItems", "At most"),
        ] {
            match &property[key] {
                Value::Null => {}
                Value::String(value) => meaning.push_str(&format!(" {label}: `{value}`.")),
                value => meaning.push_str(&format!(" {label}: `{value}`.")),
            }
        }
        out.push_str(&format!("| `{path}` | {} | {} |\n", kind_of(property), meaning.replace('|', "\\|")));
        let (inner, mark) = if property["items"].is_object() {
            (&property["items"], "[]")
        } else if property["additionalProperties"].is_object() {
            (&property["additionalProperties"], ".*")
        } else {
            (property, "")
        };
        fields(out, inner, &format!("{path}{mark}"));
    }
}

/// The type of a field, as a person would say it.
fn kind_of(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> =
            values.iter().map(|value| format!("`{}`", value.as_str().unwrap_or_default())).collect();
        return values.join(", ");
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("date-time")) => "time".to_owned(),
        (Some("array"), _) => format!("list of {}", kind_of(&schema["items"])),
        (Some("object"), _) if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind_of(&schema["additionalProperties"]))
        }
        (Some(kind), _) => kind.to_owned(),
        (None, _) => "any".to_owned(),
    }
}

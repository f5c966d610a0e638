//! The definitions that this program installs, as schemas for manifests.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use sluice_helm::schema::{FetchSchema, check};

use crate::manifests;

/// Schemas by API version and kind.
pub(super) struct Schemas(BTreeMap<(String, String), Vec<u8>>);

/// Definitions refer to nothing elsewhere.
#[derive(Debug)]
struct Nothing;

impl FetchSchema for Nothing {
    fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        Err(format!("{url} is not read"))
    }
}

impl Schemas {
    /// Those of the chart in this program.
    pub(super) fn embedded() -> Result<Self> {
        let mut schemas = BTreeMap::new();
        for definition in manifests::definitions()? {
            let text =
                |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            for version in definition["spec"]["versions"].as_array().cloned().unwrap_or_default() {
                let name = version["name"].as_str().unwrap_or_default();
                let mut schema = version["schema"]["openAPIV3Schema"].clone();
                close(&mut schema, true);
                let key = (format!("{}/{name}", text("/spec/group")), text("/spec/names/kind").to_owned());
                schemas.insert(key, serde_json::to_vec(&schema).context("a schema cannot be written")?);
            }
        }
        Ok(Self(schemas))
    }

    /// What is wrong with an object.
    pub(super) fn check(&self, object: &Value) -> Vec<String> {
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let key = (text("apiVersion"), text("kind"));
        let Some(schema) = self.0.get(&key) else {
            return vec![format!("{} has no version {}", key.1, key.0)];
        };
        match check(schema, object, &Nothing) {
            Ok(()) => Vec::new(),
            Err(error) => {
                let text = error.to_string();
                let lines = text.lines().map(|line| line.trim().trim_start_matches("- ").to_owned());
                lines.filter(|line| !line.is_empty()).collect()
            }
        }
    }
}

/// Fields that a definition does not know are an error here; the API server drops them without a word.
fn close(schema: &mut Value, root: bool) {
    let Some(map) = schema.as_object_mut() else { return };
    let keeps = map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    let open = keeps || map.contains_key("additionalProperties") || !map.contains_key("properties");
    if !open && !root {
        map.insert("additionalProperties".into(), false.into());
    }
    // Formats of Kubernetes are not those of JSON Schema.
    map.remove("format");
    if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties {
            if root && name == "metadata" {
                continue;
            }
            close(property, false);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            close(inner, false);
        }
    }
}

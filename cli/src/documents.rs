//! Objects as YAML and JSON texts.

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::Value;

/// A form that data can be printed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Yaml,
}

impl Format {
    /// The text of a value, with the end of its last line.
    pub(crate) fn print(self, value: &Value) -> Result<String> {
        match self {
            Self::Yaml => yaml(value),
            Self::Json => Ok(serde_json::to_string_pretty(value)? + "\n"),
        }
    }
}

/// YAML as Kubernetes' tools print it: sorted keys, lists at their key.
pub(crate) fn yaml(value: &Value) -> Result<String> {
    sluice_yaml::json_to_yaml(serde_json::to_vec(value)?).context("this cannot be written as YAML")
}

/// The values of a YAML text with one or more documents, without the empty ones.
pub(crate) fn read_all(text: &str) -> Result<Vec<Value>> {
    let documents = sluice_yaml::read_all(text)?;
    documents.iter().filter(|document| !document.is_null()).map(to_json).collect()
}

/// A value that was read as YAML, as JSON.
pub(crate) fn to_json(value: &sluice_yaml::Value) -> Result<Value> {
    Ok(serde_json::from_str(&sluice_yaml::json::to_string(value)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_has_sorted_keys_and_lists_at_their_key() {
        let value = json!({"b": [1, {"c": "true"}], "a": null, "t": "2026-01-01"});
        assert_eq!(yaml(&value).unwrap(), "a: null\nb:\n- 1\n- c: \"true\"\nt: \"2026-01-01\"\n");
        assert_eq!(
            read_all("---\na: 1\n---\n---\nb: [x]\n").unwrap(),
            [json!({"a": 1}), json!({"b": ["x"]})]
        );
    }
}

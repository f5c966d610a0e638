use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::omit;

/// A ConfigMap or Secret with values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValuesReference {
    /// Secret or ConfigMap.
    #[schemars(extend("enum" = ["Secret", "ConfigMap"]))]
    pub kind: String,
    /// Whether the value at `targetPath` is taken as it is, with no parsing.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub literal: bool,
    /// Its name, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether it may be missing.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub optional: bool,
    /// Where the value belongs, as a.b[0]. When empty, the value is YAML and merged at the root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 250), regex(pattern = r"^([a-zA-Z0-9_\-.\\\/]|\[[0-9]{1,5}\])+$"))]
    pub target_path: String,
    /// The key to read; values.yaml when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253), regex(pattern = r"^[\-._a-zA-Z0-9]+$"))]
    pub values_key: String,
}

impl ValuesReference {
    /// The key to read, with the default applied.
    pub fn values_key(&self) -> &str {
        if self.values_key.is_empty() { "values.yaml" } else { &self.values_key }
    }
}

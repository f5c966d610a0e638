use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{omit, string_enum};

/// What to do with the built objects before they are applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostBuild {
    /// Variables and their values. In the manifests, `${name}` is replaced, and the string functions of bash work, such
    /// as `${name:=default}`, `${name:position}` and `${name/substring/replacement}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub substitute: BTreeMap<String, String>,
    /// ConfigMaps and Secrets whose keys are variables. A later one goes before an earlier one, and `substitute` before
    /// them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substitute_from: Vec<SubstituteReference>,
    /// Whether to substitute only when there are variables (WithVariables, the default) or always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute_strategy: Option<SubstituteStrategy>,
}

string_enum! {
    /// When variables are substituted.
    #[derive(Default)]
    pub enum SubstituteStrategy {
        /// When at least one variable is defined.
        #[default]
        WithVariables = "WithVariables",
        /// Always.
        Always = "Always",
    }
}

/// A ConfigMap or Secret with variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubstituteReference {
    /// ConfigMap or Secret.
    #[schemars(extend("enum" = ["Secret", "ConfigMap"]))]
    pub kind: String,
    /// Its name, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether it may be missing, and then counts as empty.
    #[serde(default, skip_serializing_if = "omit::no")]
    #[schemars(extend("default" = false))]
    pub optional: bool,
}

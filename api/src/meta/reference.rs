use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An object in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LocalObjectReference {
    /// The object's name.
    pub name: String,
}

/// A Secret in the same namespace, and one of its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyReference {
    /// The Secret's name.
    pub name: String,
    /// The key in the Secret; a default that depends on the use applies when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
}

/// An object in any namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct NamespacedObjectReference {
    /// The object's name.
    pub name: String,
    /// The object's namespace; that of the referring object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

impl NamespacedObjectReference {
    /// The namespace of the referent, given that of the object that refers to it.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        or(&self.namespace, own)
    }
}

/// An object of any kind in any namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedObjectKindReference {
    /// The API version of the object; the one that the server prefers when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The object's namespace; that of the referring object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

impl NamespacedObjectKindReference {
    /// The namespace of the referent, given that of the object that refers to it.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        or(&self.namespace, own)
    }
}

/// An object of the same kind that must be ready first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DependencyReference {
    /// The object's name.
    pub name: String,
    /// The object's namespace; that of the referring object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// A CEL expression over `self` and `dep` that tells whether the dependency is ready. It stands in for the usual
    /// check, unless the feature gate `AdditiveCELDependencyCheck` asks for both.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ready_expr: String,
}

impl DependencyReference {
    /// The namespace of the referent, given that of the object that refers to it.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        or(&self.namespace, own)
    }
}

impl fmt::Display for DependencyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            return f.write_str(&self.name);
        }
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Namespaces from which an object may be referred to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessFrom {
    /// Any of these selectors lets a namespace in.
    pub namespace_selectors: Vec<NamespaceSelector>,
}

/// Namespaces by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that a namespace must have; every namespace when empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

fn or<'a>(namespace: &'a str, own: &'a str) -> &'a str {
    if namespace.is_empty() { own } else { namespace }
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::meta::schema;

/// Objects by what they are, what they are called and how they are labelled. Empty fields match all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// A label selector for the annotations.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub annotation_selector: String,
    /// The API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// A label selector for the labels.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label_selector: String,
    /// The name: a regular expression that must match all of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The namespace: a regular expression that must match all of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The API version, without the group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// A patch and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Patch {
    /// A strategic merge patch or a list of JSON 6902 operations, as YAML.
    #[serde(default)]
    #[schemars(!default)]
    pub patch: String,
    /// The objects to patch. Without it, the one that the patch itself names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// Deprecated form of a JSON 6902 patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Json6902Patch {
    /// The operations, in order.
    pub patch: Vec<Json6902Operation>,
    /// The objects to patch.
    pub target: Selector,
}

/// One operation of a JSON 6902 patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Json6902Operation {
    /// A pointer to what is moved or copied.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// What to do.
    #[schemars(extend("enum" = ["test", "remove", "add", "replace", "move", "copy"]))]
    pub op: String,
    /// A pointer to where to do it.
    pub path: String,
    /// The value to test for or to put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub value: Option<Value>,
}

/// Another name, tag or digest for an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The new digest. Goes before the new tag.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// The name of the image as the manifests have it, without a tag.
    pub name: String,
    /// The new name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub new_name: String,
    /// The new tag.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub new_tag: String,
}

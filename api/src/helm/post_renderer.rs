use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kustomize::{Image, Json6902Patch, Patch};
use crate::meta::{schema, string_enum};

/// What changes rendered manifests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostRenderer {
    /// Changes by kustomize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<KustomizePostRenderer>,
}

/// Changes by kustomize.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizePostRenderer {
    /// New names, tags or digests for images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Patches, strategic merge or JSON 6902, with the objects they are for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Deprecated, use `patches`: JSON 6902 patches.
    #[serde(default, rename = "patchesJson6902", skip_serializing_if = "Vec::is_empty")]
    pub patches_json6902: Vec<Json6902Patch>,
    /// Deprecated, use `patches`: strategic merge patches, written as objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::any_list")]
    pub patches_strategic_merge: Vec<Value>,
}

string_enum! {
    /// How hooks pass through the post-renderers.
    #[derive(Default)]
    pub enum PostRenderStrategy {
        /// They do not.
        NoHooks = "nohooks",
        /// Together with the manifests.
        #[default]
        Combined = "combined",
        /// On their own.
        Separate = "separate",
    }
}

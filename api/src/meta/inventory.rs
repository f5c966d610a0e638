use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The objects that were applied, so that those that vanish from the source can be pruned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInventory {
    /// The objects in the order in which they were applied.
    pub entries: Vec<ResourceRef>,
}

/// One applied object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRef {
    /// Which object, as `<namespace>_<name>_<group>_<kind>`.
    pub id: String,
    /// The version of the API it was applied with, without the group.
    #[serde(rename = "v")]
    pub version: String,
}

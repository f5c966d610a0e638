use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// What a source produced: a file that other controllers fetch over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The digest of the file as `<algorithm>:<checksum>`.
    #[serde(default)]
    #[schemars(!default, regex(pattern = r"^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$"))]
    pub digest: String,
    /// When the file was written.
    pub last_update_time: Time,
    /// What upstream says about the content, such as the annotations of an OCI image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Where the file lies, relative to the root of the storage.
    pub path: String,
    /// What the origin calls the content: a branch with a commit, a tag with a digest, a chart version.
    #[serde(default)]
    #[schemars(!default)]
    pub revision: String,
    /// The length of the file in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// The address at which the file is served.
    pub url: String,
}

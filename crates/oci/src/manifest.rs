//! Manifests and indexes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Media type of an OCI image manifest.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI image index.
pub const INDEX_MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The media types that are asked for.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// What a manifest says of a piece of content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type.
    pub media_type: String,
    /// The digest.
    pub digest: String,
    /// The size in bytes.
    pub size: u64,
    /// Facts by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What kind of artifact it is, in lists of referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The machine that it runs on, in indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// A machine that an image runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor.
    #[serde(default)]
    pub architecture: String,
    /// The operating system.
    #[serde(default)]
    pub os: String,
}

/// A manifest: a configuration and layers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// What it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Facts by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests, one for each platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    /// Facts by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// The manifest for Linux on amd64, which is what Flux takes.
    pub fn linux_amd64(&self) -> Option<&Descriptor> {
        let fits = |platform: &Platform| platform.os == "linux" && platform.architecture == "amd64";
        self.manifests.iter().find(|entry| entry.platform.as_ref().is_some_and(fits))
    }
}

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A manifest.
    Manifest(Manifest),
    /// An index.
    Index(Index),
}

/// Reads a manifest or an index by its media type, or by its shape where the registry names none.
pub fn parse_manifest(media_type: &str, bytes: &[u8]) -> Result<Parsed, String> {
    let text = |error: serde_json::Error| format!("the manifest is not valid: {error}");
    match media_type.split(';').next().unwrap_or_default().trim() {
        INDEX_MEDIA_TYPE | DOCKER_LIST => serde_json::from_slice(bytes).map(Parsed::Index).map_err(text),
        MANIFEST_MEDIA_TYPE | DOCKER_MANIFEST => {
            serde_json::from_slice(bytes).map(Parsed::Manifest).map_err(text)
        }
        _ => {
            let value: serde_json::Value = serde_json::from_slice(bytes).map_err(text)?;
            if value.get("manifests").is_some() {
                serde_json::from_value(value).map(Parsed::Index).map_err(text)
            } else {
                serde_json::from_value(value).map(Parsed::Manifest).map_err(text)
            }
        }
    }
}

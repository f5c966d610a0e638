use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CloudProvider, OciVerification};
use crate::meta::{
    Artifact, Condition, Duration, LocalObjectReference, impl_reconcilable, omit, schema, string_enum,
};

/// Which OCI artifact to fetch, how often, and what of it becomes the artifact.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "OCIRepository",
    doc = "OCIRepository makes an artifact of an OCI artifact or image.",
    namespaced,
    status = "OCIRepositoryStatus",
    derive = "PartialEq",
    plural = "ocirepositories",
    shortname = "ocirepo",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct OCIRepositorySpec {
    /// A Secret with a certificate authority (ca.crt) and a client certificate (tls.crt, tls.key).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// Patterns, as in a .gitignore file, of what is left out of the artifact. They replace the default
    /// patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether to talk to the registry without TLS.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub insecure: bool,
    /// How often to look for changes. Some jitter may be added.
    pub interval: Duration,
    /// Which layer to take, and how: the first one, extracted, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_selector: Option<OCILayerSelector>,
    /// How to authenticate: with a Secret (generic) or by a cloud provider's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "generic"))]
    pub provider: Option<CloudProvider>,
    /// A Secret with the address of a proxy, and its user name and password if it needs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// What to fetch: the tag latest unless told otherwise.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<OCIRepositoryRef>,
    /// A Secret of type kubernetes.io/dockerconfigjson with credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// The ServiceAccount whose image pull secrets, or whose identity with a cloud provider, are used.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// Whether to leave the object alone.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub suspend: bool,
    /// How long operations on the registry may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::timeout", extend("default" = "60s"))]
    pub timeout: Option<Duration>,
    /// The address of the repository in the registry, without a tag.
    #[schemars(regex(pattern = "^oci://.*$"))]
    pub url: String,
    /// Which signatures must be valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<OciVerification>,
}

impl OCIRepositorySpec {
    /// How long fetching may take, with the default applied.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(60))
    }

    /// How to authenticate, with the default applied.
    pub fn provider(&self) -> CloudProvider {
        self.provider.unwrap_or_default()
    }
}

/// What to fetch. The digest goes before the version range, that before the tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OCIRepositoryRef {
    /// A digest, as sha256:<hex>.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// A range of versions: the tag of the newest version in it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub semver: String,
    /// A regular expression that tags must match before the range is looked at.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub semver_filter: String,
    /// A tag: latest when no field is set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
}

/// Which layer to take, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OCILayerSelector {
    /// The media type of the layer; the first layer when empty. Of several, the first is taken.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// Whether to extract the layer or to copy it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OCILayerOperation>,
}

impl OCILayerSelector {
    /// What to do with the layer, with the default applied.
    pub fn operation(&self) -> OCILayerOperation {
        self.operation.unwrap_or_default()
    }
}

string_enum! {
    /// What to do with a layer.
    #[derive(Default)]
    pub enum OCILayerOperation {
        /// Extract it as a compressed tar archive.
        #[default]
        Extract = "extract",
        /// Copy it as it is.
        Copy = "copy",
    }
}

/// What is known of an OCI artifact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct OCIRepositoryStatus {
    /// The last artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The state of the object by aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The last request for a reconciliation that was seen to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// The generation that was last reconciled.
    #[serde(default, skip_serializing_if = "omit::zero")]
    pub observed_generation: i64,
    /// The ignore patterns that the artifact was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// The layer selector that the artifact was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_layer_selector: Option<OCILayerSelector>,
    /// A best effort at an address that always leads to the last artifact.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
}

impl_reconcilable!(OCIRepository, OCIRepositoryStatus, |spec| suspend: spec.suspend, interval: Some(spec.interval));

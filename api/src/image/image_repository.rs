use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{
    AccessFrom, Condition, Duration, LocalObjectReference, Time, impl_reconcilable, omit, schema,
};
use crate::source::CloudProvider;

/// Which image to look for tags of, and how often.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "image.toolkit.fluxcd.io",
    version = "v1",
    kind = "ImageRepository",
    doc = "ImageRepository knows the tags of an image.",
    namespaced,
    status = "ImageRepositoryStatus",
    derive = "PartialEq",
    plural = "imagerepositories",
    shortname = "imgrepo",
    shortname = "imagerepo",
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image"),
    printcolumn(name = "Tags", type_ = "string", json_path = ".status.lastScanResult.tagCount"),
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
    printcolumn(
        name = "Last scan",
        type_ = "string",
        json_path = ".status.lastScanResult.scanTime",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ImageRepositorySpec {
    /// From which other namespaces ImagePolicies may refer to this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// A Secret with a certificate authority (ca.crt) and a client certificate (tls.crt, tls.key).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// Regular expressions of tags that do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 25), extend("default" = ["^.*\\.sig$"]))]
    pub exclusion_list: Vec<String>,
    /// The name of the image, without a tag.
    pub image: String,
    /// Whether to talk to the registry without TLS.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub insecure: bool,
    /// How often to look for tags.
    pub interval: Duration,
    /// How to authenticate: with a Secret (generic) or by a cloud provider's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "generic"))]
    pub provider: Option<CloudProvider>,
    /// A Secret with the address of a proxy, and its user name and password if it needs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// A Secret of type kubernetes.io/dockerconfigjson with credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// The ServiceAccount whose image pull secrets, or whose identity with a cloud provider, are used.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub service_account_name: String,
    /// Whether to leave the object alone.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub suspend: bool,
    /// How long looking for tags may take; `interval` when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::timeout")]
    pub timeout: Option<Duration>,
}

impl ImageRepositorySpec {
    /// How long looking for tags may take, with the default applied and never under a second.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(self.interval).max(Duration::from_secs(1))
    }

    /// How to authenticate, with the default applied.
    pub fn provider(&self) -> CloudProvider {
        self.provider.unwrap_or_default()
    }
}

/// What is known of an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct ImageRepositoryStatus {
    /// The full name of the image, with the registry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub canonical_image_name: String,
    /// The state of the object by aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The last request for a reconciliation that was seen to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// The generation that was last reconciled.
    #[serde(default, skip_serializing_if = "omit::zero")]
    pub observed_generation: i64,
    /// What the last look found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scan_result: Option<ScanResult>,
    /// The exclusions that the last look was made with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_exclusion_list: Vec<String>,
}

/// What a look for tags found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanResult {
    /// Some of the tags, in descending order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latest_tags: Vec<String>,
    /// A value that changes with the tags.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// When it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_time: Option<Time>,
    /// How many tags there are.
    #[schemars(schema_with = "schema::integer")]
    pub tag_count: i64,
}

impl_reconcilable!(ImageRepository, ImageRepositoryStatus, |spec| suspend: spec.suspend, interval: Some(spec.interval));

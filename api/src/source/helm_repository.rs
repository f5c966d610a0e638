use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CloudProvider;
use crate::meta::{
    AccessFrom, Artifact, Condition, Duration, LocalObjectReference, impl_reconcilable, omit, schema,
    string_enum,
};

/// Where charts are found: a repository with an index, or a registry.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "HelmRepository",
    doc = "HelmRepository makes an artifact of the index of a Helm repository.",
    namespaced,
    status = "HelmRepositoryStatus",
    derive = "PartialEq",
    plural = "helmrepositories",
    shortname = "helmrepo",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#
    )
)]
#[serde(rename_all = "camelCase")]
pub struct HelmRepositorySpec {
    /// Without effect: who else may use the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// A Secret with a certificate authority (ca.crt) and a client certificate (tls.crt, tls.key).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// Whether to talk to a registry without TLS.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub insecure: bool,
    /// How often to look for changes. Some jitter may be added. Without effect for registries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Whether to send the credentials to another host that the index points to.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub pass_credentials: bool,
    /// How to authenticate to a registry: with a Secret (generic) or by a cloud provider's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "generic"))]
    pub provider: Option<CloudProvider>,
    /// A Secret with credentials: username and password, or for a registry one of type
    /// kubernetes.io/dockerconfigjson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Whether to leave the object alone.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub suspend: bool,
    /// How long fetching the index may take: 60s unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::timeout")]
    pub timeout: Option<Duration>,
    /// Whether this is a repository with an index (default) or a registry (oci).
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<HelmRepositoryType>,
    /// The address of the repository.
    #[schemars(regex(pattern = "^(http|https|oci)://.*$"))]
    pub url: String,
}

impl HelmRepositorySpec {
    /// How long fetching the index may take, with the default applied.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(60))
    }

    /// How to authenticate to a registry, with the default applied.
    pub fn provider(&self) -> CloudProvider {
        self.provider.unwrap_or_default()
    }

    /// What the repository is, with the default applied.
    pub fn type_(&self) -> HelmRepositoryType {
        self.type_.unwrap_or_default()
    }
}

string_enum! {
    /// What a Helm repository is.
    #[derive(Default)]
    pub enum HelmRepositoryType {
        /// A web server with an index file.
        #[default]
        Default = "default",
        /// An OCI registry.
        Oci = "oci",
    }
}

/// What is known of a Helm repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct HelmRepositoryStatus {
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
    /// A best effort at an address that always leads to the last artifact.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
}

impl_reconcilable!(
    HelmRepository, HelmRepositoryStatus,
    |spec| suspend: spec.suspend, interval: spec.interval,
    ignored: { "spec.accessFrom": spec.access_from.is_some() }
);

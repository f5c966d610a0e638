use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Selector;
use crate::meta::{LocalObjectReference, string_enum};

/// A source in any namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceSourceReference {
    /// The API version of the source. Accepted, but the version in use is always the newest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The kind of the source.
    #[schemars(extend("enum" = ["OCIRepository", "GitRepository", "Bucket", "ExternalArtifact"]))]
    pub kind: String,
    /// The source's name.
    pub name: String,
    /// The source's namespace; that of the referring object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

impl CrossNamespaceSourceReference {
    /// The namespace of the source, given that of the object that refers to it.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        if self.namespace.is_empty() { own } else { &self.namespace }
    }
}

string_enum! {
    /// What kustomize notes in annotations.
    pub enum BuildMetadata {
        /// Where an object comes from.
        OriginAnnotations = "originAnnotations",
        /// What changed an object.
        TransformerAnnotations = "transformerAnnotations",
    }
}

string_enum! {
    /// What happens to the applied objects when their Kustomization is deleted.
    #[derive(Default)]
    pub enum DeletionPolicy {
        /// As `prune` says: deleted or left.
        #[default]
        MirrorPrune = "MirrorPrune",
        /// Deleted.
        Delete = "Delete",
        /// Deleted, and waited for.
        WaitForTermination = "WaitForTermination",
        /// Left.
        Orphan = "Orphan",
    }
}

/// How encrypted files are decrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decryption {
    /// What encrypted them: sops.
    #[schemars(extend("enum" = ["sops"]))]
    pub provider: String,
    /// A Secret with private keys (OpenPGP, age) and credentials of key services. Credentials found there go before the
    /// identity of the ServiceAccount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// The ServiceAccount whose identity is used with the key services of cloud providers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
}

/// How to tell the health of a kind of custom resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomHealthCheck {
    /// The API version of the resources.
    pub api_version: String,
    /// A CEL expression that is true for a resource that is as it should be.
    pub current: String,
    /// A CEL expression that is true for a resource that failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failed: String,
    /// A CEL expression that is true for a resource that is on its way.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub in_progress: String,
    /// The kind of the resources; all of the API version's group when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// Fields that others may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IgnoreRule {
    /// JSON pointers (RFC 6901) to the fields.
    pub paths: Vec<String>,
    /// The objects that the rule is for; all when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

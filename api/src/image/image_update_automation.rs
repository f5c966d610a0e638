use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ImageRef;
use crate::meta::{
    Condition, Duration, LocalObjectReference, Time, impl_reconcilable, omit, schema, string_enum,
};
use crate::source::GitRepositoryReference;

/// Which files in which repository to update, and how to commit.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "image.toolkit.fluxcd.io",
    version = "v1",
    kind = "ImageUpdateAutomation",
    doc = "ImageUpdateAutomation commits new images to a Git repository.",
    namespaced,
    status = "ImageUpdateAutomationStatus",
    derive = "PartialEq",
    plural = "imageupdateautomations",
    shortname = "iua",
    shortname = "imgupd",
    shortname = "imgauto",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-images",
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
        name = "Last run",
        type_ = "string",
        json_path = ".status.lastAutomationRunTime",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ImageUpdateAutomationSpec {
    /// How to check out, commit and push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSpec>,
    /// How often to look for something to update.
    pub interval: Duration,
    /// Which ImagePolicies count; all in the namespace when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub policy_selector: Option<LabelSelector>,
    /// The repository.
    pub source_ref: SourceReference,
    /// Whether to leave the object alone.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub suspend: bool,
    /// Which files to update, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = {"strategy": "Setters"}))]
    pub update: Option<UpdateStrategy>,
}

/// A repository in any namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceReference {
    /// The API version of the source. Accepted, but the version in use is always the newest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The kind of the source.
    #[serde(default)]
    #[schemars(!default, extend("enum" = ["GitRepository"], "default" = "GitRepository"))]
    pub kind: String,
    /// The source's name.
    pub name: String,
    /// The source's namespace; that of the referring object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

impl SourceReference {
    /// The namespace of the source, given that of the object that refers to it.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        if self.namespace.is_empty() { own } else { &self.namespace }
    }
}

/// How to check out, commit and push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSpec {
    /// What to check out; what the source checks out when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<GitCheckoutSpec>,
    /// How to commit.
    pub commit: CommitSpec,
    /// Where to push; to the branch that was checked out when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushSpec>,
}

/// What to check out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitCheckoutSpec {
    /// The reference.
    #[serde(rename = "ref")]
    pub reference: GitRepositoryReference,
}

/// How to commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommitSpec {
    /// Who commits.
    pub author: CommitUser,
    /// A Go template for the message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message_template: String,
    /// Values for the template, as `.Values`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub message_template_values: BTreeMap<String, String>,
    /// What to sign with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<SigningKey>,
}

/// Someone who commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommitUser {
    /// The address.
    pub email: String,
    /// The name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// A key to sign commits with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// A Secret with the key: git.asc (gpg) or identity (ssh), and the passphrase.
    #[serde(default)]
    #[schemars(!default)]
    pub secret_ref: LocalObjectReference,
    /// What the key is; gpg when not set.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<SigningKeyType>,
}

string_enum! {
    /// What signs commits.
    #[derive(Default)]
    pub enum SigningKeyType {
        /// OpenPGP.
        #[default]
        Gpg = "gpg",
        /// SSH.
        Ssh = "ssh",
    }
}

/// Where to push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushSpec {
    /// The branch. Created when it is not there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// Push options for the server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// A refspec to push, together with the branch or in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub refspec: String,
}

/// Which files to update, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// The directory; the root of the repository when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// How: by markers in comments.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["Setters"], "default" = "Setters"))]
    pub strategy: String,
}

/// What was committed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct ImageUpdateAutomationStatus {
    /// The state of the object by aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When it last ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_automation_run_time: Option<Time>,
    /// The last request for a reconciliation that was seen to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// The last commit that was pushed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_push_commit: String,
    /// When it was pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_push_time: Option<Time>,
    /// The generation that was last reconciled.
    #[serde(default, skip_serializing_if = "omit::zero")]
    pub observed_generation: i64,
    /// The images that the policies had chosen, by the names of the policies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub observed_policies: BTreeMap<String, ImageRef>,
    /// The revision that was checked out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub observed_source_revision: String,
}

impl_reconcilable!(
    ImageUpdateAutomation, ImageUpdateAutomationStatus,
    |spec| suspend: spec.suspend, interval: Some(spec.interval)
);

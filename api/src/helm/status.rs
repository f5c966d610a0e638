use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{Condition, Duration, ResourceInventory, Time, omit, schema};

/// What is known of a Helm release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct HelmReleaseStatus {
    /// The state of the object by aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// How often reconciliation failed since the last success or change.
    #[serde(default, skip_serializing_if = "omit::zero")]
    pub failures: i64,
    /// The HelmChart of the release, as namespace/name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub helm_chart: String,
    /// The revisions of the release since the last success, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Snapshot>,
    /// How often installation failed since the last success or change.
    #[serde(default, skip_serializing_if = "omit::zero")]
    pub install_failures: i64,
    /// The objects that are applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<ResourceInventory>,
    /// The digest of the values that were last tried.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_attempted_config_digest: String,
    /// The generation that was last tried.
    #[serde(default, skip_serializing_if = "omit::zero")]
    pub last_attempted_generation: i64,
    /// What was last tried.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["install", "upgrade"]))]
    pub last_attempted_release_action: String,
    /// How long the last try took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_duration")]
    pub last_attempted_release_action_duration: Option<Duration>,
    /// The revision of the chart that was last tried.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_attempted_revision: String,
    /// The digest of the chart that was last tried, where it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_attempted_revision_digest: String,
    /// Deprecated: the SHA-1 checksum of the values that were last tried.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_attempted_values_checksum: String,
    /// The last request to force an action that was seen to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_force_at: String,
    /// The last request for a reconciliation that was seen to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// The last request to forget failures that was seen to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_reset_at: String,
    /// Deprecated: the revision of the last release.
    #[serde(default, skip_serializing_if = "omit::zero")]
    #[schemars(schema_with = "schema::integer")]
    pub last_release_revision: i64,
    /// The digest of the common metadata that was last applied.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub observed_common_metadata_digest: String,
    /// The generation that was last reconciled.
    #[serde(default, skip_serializing_if = "omit::zero")]
    pub observed_generation: i64,
    /// The digest of the post-renderers that were last applied.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub observed_post_renderers_digest: String,
    /// The namespace of the records of the release.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 63))]
    pub storage_namespace: String,
    /// How often an upgrade failed since the last success or change.
    #[serde(default, skip_serializing_if = "omit::zero")]
    pub upgrade_failures: i64,
}

/// One revision of a release, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// What made it: install, upgrade, rollback, uninstall or uninstall-remediation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The version of this record's form.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The version of the application, as the chart tells it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// The name of the chart.
    pub chart_name: String,
    /// The version of the chart.
    pub chart_version: String,
    /// The digest of the values.
    pub config_digest: String,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Time>,
    /// The digest of the release's record.
    pub digest: String,
    /// When the release was first deployed.
    pub first_deployed: Time,
    /// When the release was last deployed.
    pub last_deployed: Time,
    /// The name of the release.
    pub name: String,
    /// The namespace of the release.
    pub namespace: String,
    /// The digest of the chart in its registry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub oci_digest: String,
    /// The state of the release, in Helm's words.
    pub status: String,
    /// The tests that ran, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_hooks: Option<BTreeMap<String, TestHookStatus>>,
    /// The revision of the release.
    #[schemars(schema_with = "schema::integer")]
    pub version: i64,
}

impl Snapshot {
    /// Namespace, name and version, as `namespace/name.v1`.
    pub fn full_release_name(&self) -> String {
        format!("{}/{}.v{}", self.namespace, self.name, self.version)
    }

    /// Chart and version, as `name@version`.
    pub fn versioned_chart_name(&self) -> String {
        format!("{}@{}", self.chart_name, self.chart_version)
    }
}

/// What became of a test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestHookStatus {
    /// When it last completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_completed: Option<Time>,
    /// When it last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_started: Option<Time>,
    /// Its state, in Helm's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phase: String,
}

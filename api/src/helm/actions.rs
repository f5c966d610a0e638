use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{Duration, omit, schema, string_enum};

/// How to install.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Install {
    /// What to do with the definitions in the chart's crds directory: Create unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,
    /// Whether to create the target namespace.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub create_namespace: bool,
    /// Whether not to run hooks.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_hooks: bool,
    /// Whether not to check manifests against the schema of the cluster.
    #[serde(default, rename = "disableOpenAPIValidation", skip_serializing_if = "omit::no")]
    pub disable_open_api_validation: bool,
    /// Whether not to check values against the schema of the chart.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_schema_validation: bool,
    /// Whether not to take over objects that belong to no release.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_take_ownership: bool,
    /// Whether not to wait for objects to become ready.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_wait: bool,
    /// Whether not to wait for Jobs to complete.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_wait_for_jobs: bool,
    /// What to do when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<InstallRemediation>,
    /// Whether the name of a release that was deleted, but is still recorded, may be used again.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub replace: bool,
    /// Whether objects are applied by the server; true unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<bool>,
    /// Deprecated, use `crds`: whether to leave out the definitions.
    #[serde(default, rename = "skipCRDs", skip_serializing_if = "omit::no")]
    pub skip_crds: bool,
    /// Whether to undo a failure or to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// How long a single Kubernetes operation may take; the timeout of the HelmRelease when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// How to upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// What to do when the chart has another name than before: Reinstall unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart_name_change_strategy: Option<ChartNameChangeStrategy>,
    /// Whether to delete objects that a failed upgrade made.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub cleanup_on_fail: bool,
    /// What to do with the definitions in the chart's crds directory: Create unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,
    /// Whether not to run hooks.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_hooks: bool,
    /// Whether not to check manifests against the schema of the cluster.
    #[serde(default, rename = "disableOpenAPIValidation", skip_serializing_if = "omit::no")]
    pub disable_open_api_validation: bool,
    /// Whether not to check values against the schema of the chart.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_schema_validation: bool,
    /// Whether not to take over objects that belong to no release.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_take_ownership: bool,
    /// Whether not to wait for objects to become ready.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_wait: bool,
    /// Whether not to wait for Jobs to complete.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_wait_for_jobs: bool,
    /// Whether to replace objects that cannot be changed.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub force: bool,
    /// Whether to keep the values of the last release and merge the new ones into them.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub preserve_values: bool,
    /// What to do when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<UpgradeRemediation>,
    /// Whether objects are applied by the server: as the last release did (auto) unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<ServerSideApplyMode>,
    /// Whether to undo a failure or to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<UpgradeStrategy>,
    /// How long a single Kubernetes operation may take; the timeout of the HelmRelease when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// How to roll back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// Whether to delete objects that a failed rollback made.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub cleanup_on_fail: bool,
    /// Whether not to run hooks.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_hooks: bool,
    /// Whether not to wait for objects to become ready.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_wait: bool,
    /// Whether not to wait for Jobs to complete.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_wait_for_jobs: bool,
    /// Whether to replace objects that cannot be changed.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub force: bool,
    /// Deprecated and without effect: whether to restart pods.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub recreate: bool,
    /// Whether objects are applied by the server: as the last release did (auto) unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<ServerSideApplyMode>,
    /// How long a single Kubernetes operation may take; the timeout of the HelmRelease when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// How to uninstall.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Uninstall {
    /// When dependents of the deleted objects are deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "background"))]
    pub deletion_propagation: Option<DeletionPropagation>,
    /// Whether not to run hooks.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_hooks: bool,
    /// Whether not to wait until all objects are gone.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub disable_wait: bool,
    /// Whether to keep the record of the release.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub keep_history: bool,
    /// How long a single Kubernetes operation may take; the timeout of the HelmRelease when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// Whether and how to run the tests of the chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Test {
    /// Whether to run them after an installation or upgrade.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub enable: bool,
    /// Which tests to run, or not to run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Whether a failed test is no failure of the release.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub ignore_failures: bool,
    /// How long a single Kubernetes operation may take; the timeout of the HelmRelease when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// A test to run, or not to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Whether not to run it.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub exclude: bool,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// What to do when an installation fails: uninstall, and try again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstallRemediation {
    /// Whether a failed test is no failure; as `test.ignoreFailures` when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_test_failures: Option<bool>,
    /// Whether to uninstall after the last try too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediate_last_failure: Option<bool>,
    /// How often to try again; without end when negative.
    #[serde(default, skip_serializing_if = "omit::zero")]
    #[schemars(schema_with = "schema::integer")]
    pub retries: i64,
}

/// What to do when an upgrade fails: roll back or uninstall, and try again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeRemediation {
    /// Whether a failed test is no failure; as `test.ignoreFailures` when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_test_failures: Option<bool>,
    /// Whether to undo the last try too. True unless told otherwise when `retries` is above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediate_last_failure: Option<bool>,
    /// How often to try again; without end when negative.
    #[serde(default, skip_serializing_if = "omit::zero")]
    #[schemars(schema_with = "schema::integer")]
    pub retries: i64,
    /// How to undo a failed upgrade: rollback unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RemediationStrategy>,
}

/// What the remediations of installation and upgrade have in common.
pub trait Remediation {
    /// How often to try again; without end when negative.
    fn retries(&self) -> i64;

    /// Whether a failed test is no failure, given what the release says about its tests.
    fn ignore_test_failures(&self, of_tests: bool) -> bool;

    /// Whether to undo the last try too.
    fn remediate_last_failure(&self) -> bool;

    /// How a failure is undone.
    fn strategy(&self) -> RemediationStrategy;

    /// Whether no try is left after so many failures.
    fn exhausted(&self, failures: i64) -> bool {
        self.retries() >= 0 && failures > self.retries()
    }
}

impl Remediation for InstallRemediation {
    fn retries(&self) -> i64 {
        self.retries
    }

    fn ignore_test_failures(&self, of_tests: bool) -> bool {
        self.ignore_test_failures.unwrap_or(of_tests)
    }

    fn remediate_last_failure(&self) -> bool {
        self.remediate_last_failure.unwrap_or(false)
    }

    fn strategy(&self) -> RemediationStrategy {
        RemediationStrategy::Uninstall
    }
}

impl Remediation for UpgradeRemediation {
    fn retries(&self) -> i64 {
        self.retries
    }

    fn ignore_test_failures(&self, of_tests: bool) -> bool {
        self.ignore_test_failures.unwrap_or(of_tests)
    }

    fn remediate_last_failure(&self) -> bool {
        self.remediate_last_failure.unwrap_or(self.retries > 0)
    }

    fn strategy(&self) -> RemediationStrategy {
        self.strategy.unwrap_or_default()
    }
}

/// Whether to undo a failed installation or to try again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.retryInterval) || self.name != 'RemediateOnFailure'",
        "message": ".retryInterval cannot be set when .name is 'RemediateOnFailure'"
    }
]))]
pub struct Strategy {
    /// What to do.
    pub name: StrategyName,
    /// When to try again: after 5m unless told otherwise. Only for RetryOnFailure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<Duration>,
}

/// Whether to undo a failed upgrade or to try again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.retryInterval) || self.name == 'RetryOnFailure'",
        "message": ".retryInterval can only be set when .name is 'RetryOnFailure'"
    }
]))]
pub struct UpgradeStrategy {
    /// What to do.
    pub name: StrategyName,
    /// When to try again: after 5m unless told otherwise. Only for RetryOnFailure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<Duration>,
}

string_enum! {
    /// What to do after a failure.
    #[derive(Default)]
    pub enum StrategyName {
        /// Undo it, as the remediation says.
        #[default]
        RemediateOnFailure = "RemediateOnFailure",
        /// Try again.
        RetryOnFailure = "RetryOnFailure",
    }
}

string_enum! {
    /// How a failed upgrade is undone.
    #[derive(Default)]
    pub enum RemediationStrategy {
        /// By a rollback.
        #[default]
        Rollback = "rollback",
        /// By uninstalling.
        Uninstall = "uninstall",
    }
}

string_enum! {
    /// What to do with the definitions that a chart brings.
    #[derive(Default)]
    pub enum CrdsPolicy {
        /// Leave them out.
        Skip = "Skip",
        /// Create those that are missing.
        #[default]
        Create = "Create",
        /// Create those that are missing and replace those that are there.
        CreateReplace = "CreateReplace",
    }
}

string_enum! {
    /// When dependents of deleted objects are deleted.
    #[derive(Default)]
    pub enum DeletionPropagation {
        /// Afterwards.
        #[default]
        Background = "background",
        /// Before.
        Foreground = "foreground",
        /// Never.
        Orphan = "orphan",
    }
}

string_enum! {
    /// Whether objects are applied by the server.
    #[derive(Default)]
    pub enum ServerSideApplyMode {
        /// They are.
        Enabled = "enabled",
        /// They are not.
        Disabled = "disabled",
        /// As the last release did.
        #[default]
        Auto = "auto",
    }
}

string_enum! {
    /// What to do when the chart has another name than before.
    #[derive(Default)]
    pub enum ChartNameChangeStrategy {
        /// Upgrade the release.
        InPlaceUpdate = "InPlaceUpdate",
        /// Uninstall the old chart and install the new one.
        #[default]
        Reinstall = "Reinstall",
    }
}

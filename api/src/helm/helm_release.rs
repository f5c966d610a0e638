use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    CrossNamespaceSourceReference, HelmChartTemplate, HelmReleaseStatus, Install, PostRenderStrategy,
    PostRenderer, Rollback, Test, Uninstall, Upgrade, ValuesReference,
};
use crate::kustomize::{CustomHealthCheck, IgnoreRule};
use crate::meta::{
    CommonMetadata, DependencyReference, Duration, KubeConfigReference, impl_reconcilable, omit, schema,
    string_enum,
};

/// Which chart to install under which name, with which values, and how.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "helm.toolkit.fluxcd.io",
    version = "v2",
    kind = "HelmRelease",
    doc = "HelmRelease installs a Helm chart and keeps it up to date.",
    namespaced,
    status = "HelmReleaseStatus",
    derive = "PartialEq",
    plural = "helmreleases",
    shortname = "hr",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-appliers",
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
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "(has(self.chart) && !has(self.chartRef)) || (!has(self.chart) && has(self.chartRef))",
        "message": "either chart or chartRef must be set"
    }
]))]
pub struct HelmReleaseSpec {
    /// The chart, as a template for a HelmChart. Either this or `chartRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<HelmChartTemplate>,
    /// A source that holds the chart. Either this or `chart`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart_ref: Option<CrossNamespaceSourceReference>,
    /// Labels and annotations for every object; they replace those of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// HelmReleases that must be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,
    /// Whether to look for changes that others made, and what to do about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_detection: Option<DriftDetection>,
    /// How to tell the health of custom resources, by CEL expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<CustomHealthCheck>,
    /// How to install.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<Install>,
    /// How often to reconcile with nothing having changed. Some jitter may be added.
    pub interval: Duration,
    /// The cluster to install to, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,
    /// How many revisions of the release are kept: 5 unless told otherwise, all with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::integer")]
    pub max_history: Option<i64>,
    /// Whether one client is used throughout, true unless told otherwise. Set to false where the chart brings
    /// definitions that later steps need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_client: Option<bool>,
    /// Whether hooks pass through the post-renderers too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_render_strategy: Option<PostRenderStrategy>,
    /// What changes the rendered manifests before they are applied, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_renderers: Vec<PostRenderer>,
    /// The name of the release. Composed of the target namespace, if set, and the object's name when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 53))]
    pub release_name: String,
    /// How to roll back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// The ServiceAccount to act as.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: String,
    /// The namespace of the release's records; that of the object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 63))]
    pub storage_namespace: String,
    /// Whether to leave the object alone. Does not stop a run that has begun.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub suspend: bool,
    /// The namespace of the release; that of the object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 63))]
    pub target_namespace: String,
    /// Whether and how to run the chart's tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
    /// How long a single Kubernetes operation may take: 5m unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How to uninstall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uninstall: Option<Uninstall>,
    /// How to upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    /// Values for the chart. They go before those of `valuesFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any")]
    pub values: Option<Value>,
    /// ConfigMaps and Secrets with values, merged in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_from: Vec<ValuesReference>,
    /// How to wait for objects to become ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_strategy: Option<WaitStrategy>,
}

impl HelmReleaseSpec {
    /// How long an operation may take, with the default applied.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(300))
    }

    /// How many revisions are kept, with the default applied; 0 for all.
    pub fn max_history(&self) -> i64 {
        self.max_history.unwrap_or(5)
    }
}

impl HelmRelease {
    /// The name of the release.
    pub fn release_name(&self) -> String {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        match (self.spec.release_name.as_str(), self.spec.target_namespace.as_str()) {
            ("", "") => name.to_owned(),
            ("", namespace) => format!("{namespace}-{name}"),
            (release, _) => release.to_owned(),
        }
    }

    /// The namespace of the release.
    pub fn release_namespace(&self) -> &str {
        self.namespace_or_own(&self.spec.target_namespace)
    }

    /// The namespace of the release's records.
    pub fn storage_namespace(&self) -> &str {
        self.namespace_or_own(&self.spec.storage_namespace)
    }

    fn namespace_or_own<'a>(&'a self, namespace: &'a str) -> &'a str {
        if namespace.is_empty() { self.metadata.namespace.as_deref().unwrap_or_default() } else { namespace }
    }
}

/// Whether to look for changes that others made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftDetection {
    /// Fields that others may change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
    /// Whether to look, and whether to undo what is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DriftDetectionMode>,
}

string_enum! {
    /// What to do about changes that others made.
    #[derive(Default)]
    pub enum DriftDetectionMode {
        /// Undo them.
        Enabled = "enabled",
        /// Tell of them.
        Warn = "warn",
        /// Do not look for them.
        #[default]
        Disabled = "disabled",
    }
}

/// How to wait for objects to become ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitStrategy {
    /// The way of waiting.
    pub name: WaitStrategyName,
}

string_enum! {
    /// A way of waiting for objects to become ready.
    #[derive(Default)]
    pub enum WaitStrategyName {
        /// By the rules of kstatus.
        #[default]
        Poller = "poller",
        /// By the rules of Helm 3.
        Legacy = "legacy",
    }
}

impl_reconcilable!(HelmRelease, HelmReleaseStatus, |spec| suspend: spec.suspend, interval: Some(spec.interval));

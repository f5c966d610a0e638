use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{Duration, LocalObjectReference, omit};
use crate::source::{ReconcileStrategy, VerificationProvider};

/// A template for a HelmChart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartTemplate {
    /// Labels and annotations of the HelmChart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<HelmChartTemplateMetadata>,
    /// What the HelmChart asks for.
    pub spec: HelmChartTemplateSpec,
}

/// Labels and annotations of a HelmChart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartTemplateMetadata {
    /// Annotations to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What a HelmChart asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartTemplateSpec {
    /// The name of the chart in a Helm repository, or its path in another source.
    #[schemars(length(min = 1, max = 2048))]
    pub chart: String,
    /// Whether values files that the source lacks are passed over.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub ignore_missing_values_files: bool,
    /// How often to look for changes of the source; the interval of the HelmRelease when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// What makes a new artifact: a new version of the chart, or a new revision of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "ChartVersion"))]
    pub reconcile_strategy: Option<ReconcileStrategy>,
    /// The source of the chart.
    pub source_ref: CrossNamespaceObjectReference,
    /// Deprecated, use `valuesFiles`: a values file, merged before those.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub values_file: String,
    /// Values files, merged in their order, that replace the chart's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// Which signatures must be valid. Only for charts in a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<HelmChartTemplateVerification>,
    /// A version or a range of versions. Without effect for charts from Git repositories and buckets.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("default" = "*"))]
    pub version: String,
}

/// A source of charts in any namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceObjectReference {
    /// The API version of the source. Accepted, but the version in use is always the newest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The kind of the source.
    #[schemars(extend("enum" = ["HelmRepository", "GitRepository", "Bucket"]))]
    pub kind: String,
    /// The source's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The source's namespace; that of the referring object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
}

impl CrossNamespaceObjectReference {
    /// The namespace of the source, given that of the object that refers to it.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        if self.namespace.is_empty() { own } else { &self.namespace }
    }
}

/// A source in any namespace that holds a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceSourceReference {
    /// The API version of the source. Accepted, but the version in use is always the newest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The kind of the source.
    #[schemars(extend("enum" = ["OCIRepository", "HelmChart", "ExternalArtifact"]))]
    pub kind: String,
    /// The source's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The source's namespace; that of the referring object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
}

impl CrossNamespaceSourceReference {
    /// The namespace of the source, given that of the object that refers to it.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        if self.namespace.is_empty() { own } else { &self.namespace }
    }
}

/// Which signatures of a chart must be valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartTemplateVerification {
    /// What made the signatures.
    #[serde(default)]
    #[schemars(!default, extend("default" = "cosign"))]
    pub provider: VerificationProvider,
    /// A Secret with the public keys to verify with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
}

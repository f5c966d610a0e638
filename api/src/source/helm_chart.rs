use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OidcIdentityMatch, VerificationProvider};
use crate::meta::{
    AccessFrom, Artifact, Condition, Duration, LocalObjectReference, impl_reconcilable, omit, string_enum,
};

/// Which chart to fetch or package, from which source, and how often.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "HelmChart",
    doc = "HelmChart makes an artifact of a Helm chart.",
    namespaced,
    status = "HelmChartStatus",
    derive = "PartialEq",
    plural = "helmcharts",
    shortname = "hc",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    printcolumn(name = "Chart", type_ = "string", json_path = ".spec.chart"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Source Kind", type_ = "string", json_path = ".spec.sourceRef.kind"),
    printcolumn(name = "Source Name", type_ = "string", json_path = ".spec.sourceRef.name"),
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
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.verify) || self.sourceRef.kind == 'HelmRepository'",
    "message": "spec.verify is only supported when spec.sourceRef.kind is 'HelmRepository'"
}]))]
pub struct HelmChartSpec {
    /// Deprecated and without effect: who else may use the chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// The name of the chart in a Helm repository, or its path in another source.
    pub chart: String,
    /// Whether values files that the source lacks are passed over.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub ignore_missing_values_files: bool,
    /// How often to look for changes. Some jitter may be added.
    pub interval: Duration,
    /// What makes a new artifact: a new version of the chart, or a new revision of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "ChartVersion"))]
    pub reconcile_strategy: Option<ReconcileStrategy>,
    /// The source of the chart.
    pub source_ref: LocalHelmChartSourceReference,
    /// Whether to leave the object alone.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub suspend: bool,
    /// Deprecated, use `valuesFiles`: a values file, merged before those.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub values_file: String,
    /// Values files, merged in their order, that replace the chart's own. Paths are relative to the source,
    /// or to the chart where the source is a Helm repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// Which signatures must be valid. Only for charts in a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<HelmChartVerification>,
    /// A version or a range of versions. Without effect for charts from Git repositories and buckets.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("default" = "*"))]
    pub version: String,
}

impl HelmChartSpec {
    /// What makes a new artifact, with the default applied.
    pub fn reconcile_strategy(&self) -> ReconcileStrategy {
        self.reconcile_strategy.unwrap_or_default()
    }

    /// The version or range, with the default applied.
    pub fn version(&self) -> &str {
        if self.version.is_empty() { "*" } else { &self.version }
    }

    /// All values files in the order of merging, the deprecated single one first.
    pub fn values_files(&self) -> Vec<&str> {
        let old = Some(self.values_file.as_str()).filter(|file| !file.is_empty());
        old.into_iter().chain(self.values_files.iter().map(String::as_str)).collect()
    }
}

/// A source in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalHelmChartSourceReference {
    /// The API version of the source. Accepted, but the version in use is always the newest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The kind of the source.
    #[schemars(extend("enum" = ["HelmRepository", "GitRepository", "Bucket"]))]
    pub kind: String,
    /// The source's name.
    pub name: String,
}

string_enum! {
    /// What makes a new chart artifact.
    #[derive(Default)]
    pub enum ReconcileStrategy {
        /// A new version of the chart.
        #[default]
        ChartVersion = "ChartVersion",
        /// A new revision of the source.
        Revision = "Revision",
    }
}

/// Which signatures of a chart must be valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartVerification {
    /// Who may have signed without a key, by cosign. Any of them will do; everybody when empty.
    #[serde(default, rename = "matchOIDCIdentity", skip_serializing_if = "Vec::is_empty")]
    pub match_oidc_identity: Vec<OidcIdentityMatch>,
    /// What made the signatures.
    #[serde(default)]
    #[schemars(!default, extend("default" = "cosign"))]
    pub provider: VerificationProvider,
    /// A Secret with the public keys (cosign: *.pub) or the trust policy and certificates (notation) to
    /// verify with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
}

/// What is known of a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct HelmChartStatus {
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
    /// The name of the chart in the artifact.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub observed_chart_name: String,
    /// The revision of the source that the artifact was made from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub observed_source_artifact_revision: String,
    /// The values files that the artifact was made with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_values_files: Vec<String>,
    /// A best effort at an address that always leads to the last artifact.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
}

impl_reconcilable!(
    HelmChart, HelmChartStatus,
    |spec| suspend: spec.suspend, interval: Some(spec.interval),
    ignored: { "spec.accessFrom": spec.access_from.is_some() }
);

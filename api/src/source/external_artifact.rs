use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{
    Artifact, Condition, Duration, NamespacedObjectKindReference, READY_CONDITION, Reconcilable, Status,
};

/// Who makes the artifact.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "ExternalArtifact",
    doc = "ExternalArtifact holds an artifact that another controller makes.",
    namespaced,
    status = "ExternalArtifactStatus",
    derive = "PartialEq",
    plural = "externalartifacts",
    shortname = "ea",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
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
    ),
    printcolumn(name = "Source", type_ = "string", json_path = ".spec.sourceRef.name")
)]
#[serde(rename_all = "camelCase")]
pub struct ExternalArtifactSpec {
    /// The object that the artifact is made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<NamespacedObjectKindReference>,
}

/// What is known of an artifact that another controller makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalArtifactStatus {
    /// The last artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The state of the object by aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// The status has no fields of its own for the generation and the request: the first is that of the condition Ready, and
/// what is noted of either is dropped.
impl Status for ExternalArtifactStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn conditions_mut(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }

    fn observed_generation(&self) -> i64 {
        let ready = self.conditions.iter().find(|condition| condition.type_ == READY_CONDITION);
        ready.and_then(|ready| ready.observed_generation).unwrap_or_default()
    }

    fn set_observed_generation(&mut self, _: i64) {}

    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn last_handled_reconcile_at(&self) -> &str {
        ""
    }

    fn set_last_handled_reconcile_at(&mut self, _: String) {}
}

impl Reconcilable for ExternalArtifact {
    type Status = ExternalArtifactStatus;

    fn status(&self) -> Option<&ExternalArtifactStatus> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> &mut Option<ExternalArtifactStatus> {
        &mut self.status
    }

    fn suspend(&self) -> bool {
        false
    }

    fn interval(&self) -> Option<Duration> {
        None
    }
}

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{CommonMetadata, Condition, Duration, READY_CONDITION, Reconcilable, Status, string_enum};

/// Which artifacts to make of which sources.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "source.extensions.fluxcd.io",
    version = "v1beta1",
    kind = "ArtifactGenerator",
    doc = "ArtifactGenerator makes artifacts of the contents of several sources.",
    namespaced,
    status = "ArtifactGeneratorStatus",
    derive = "PartialEq",
    plural = "artifactgenerators",
    shortname = "ag",
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
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.pathPattern) && size(self.pathPattern) > 0 || self.artifacts.all(a, a.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",
        "message": "artifact names must be valid Kubernetes object names when pathPattern is not set"
    }
]))]
pub struct ArtifactGeneratorSpec {
    /// The artifacts to make.
    #[schemars(length(min = 1, max = 1000))]
    pub artifacts: Vec<OutputArtifact>,
    /// Labels and annotations for every artifact's object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// A pattern of directories in a source, as `@alias/path/{name}`. Every artifact is made once for each
    /// directory that matches, with the captured parts in place of `{name}`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024), regex(pattern = "^@([a-z0-9]([a-z0-9_-]*[a-z0-9])?)/(.*)$"))]
    pub path_pattern: String,
    /// The sources to take from.
    #[schemars(length(min = 1, max = 1000))]
    pub sources: Vec<SourceReference>,
}

/// A source, and the name it goes by here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceReference {
    /// What the source is called in this object.
    #[schemars(length(max = 63), regex(pattern = "^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$"))]
    pub alias: String,
    /// The kind of the source.
    #[schemars(extend("enum" = ["Bucket", "GitRepository", "OCIRepository", "HelmChart", "ExternalArtifact"]))]
    pub kind: String,
    /// The source's name.
    #[schemars(length(max = 253), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// The source's namespace; that of this object when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: String,
}

impl SourceReference {
    /// The namespace of the source, given that of the object that refers to it.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        if self.namespace.is_empty() { own } else { &self.namespace }
    }
}

/// An artifact to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputArtifact {
    /// What to copy into it, in order.
    #[schemars(length(min = 1))]
    pub copy: Vec<CopyOperation>,
    /// The name of the artifact and of the ExternalArtifact that holds it.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The source, as @alias, whose origin's revision is noted in the artifact.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64), regex(pattern = "^@([a-z0-9]([a-z0-9_-]*[a-z0-9])?)$"))]
    pub origin_revision: String,
    /// The source, as @alias, whose revision the artifact takes over. Its digest when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64), regex(pattern = "^@([a-z0-9]([a-z0-9_-]*[a-z0-9])?)$"))]
    pub revision: String,
}

/// Something to copy into an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CopyOperation {
    /// Patterns of files that are not copied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub exclude: Vec<String>,
    /// A file, directory or pattern in a source, as @alias/path.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^@([a-z0-9]([a-z0-9_-]*[a-z0-9])?)/(.*)$"))]
    pub from: String,
    /// What to do with a file that is already there, or with an archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<CopyStrategy>,
    /// Where to copy it to, as @artifact/path.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^@(artifact)/(.*)$"))]
    pub to: String,
}

string_enum! {
    /// How files are copied.
    #[derive(Default)]
    pub enum CopyStrategy {
        /// The later file replaces the earlier one.
        #[default]
        Overwrite = "Overwrite",
        /// YAML files are merged.
        Merge = "Merge",
        /// Archives are extracted.
        Extract = "Extract",
    }
}

/// What is known of the artifacts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactGeneratorStatus {
    /// The state of the object by aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The artifacts that were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inventory: Vec<ExternalArtifactReference>,
    /// The last request for a reconciliation that was seen to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// A digest of the sources that the artifacts were made of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub observed_sources_digest: String,
}

/// An artifact that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalArtifactReference {
    /// The digest of its file.
    pub digest: String,
    /// The name of its file.
    pub filename: String,
    /// The name of the ExternalArtifact.
    pub name: String,
    /// The namespace of the ExternalArtifact.
    pub namespace: String,
}

/// The status has no field of its own for the generation: it is that of the condition Ready.
impl Status for ArtifactGeneratorStatus {
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

    fn last_handled_reconcile_at(&self) -> &str {
        &self.last_handled_reconcile_at
    }

    fn set_last_handled_reconcile_at(&mut self, value: String) {
        self.last_handled_reconcile_at = value;
    }
}

impl Reconcilable for ArtifactGenerator {
    type Status = ArtifactGeneratorStatus;

    const FINALIZER: &'static str = super::GENERATOR_FINALIZER;

    fn status(&self) -> Option<&ArtifactGeneratorStatus> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> &mut Option<ArtifactGeneratorStatus> {
        &mut self.status
    }

    /// The annotation `source.extensions.fluxcd.io/reconcile: disabled` suspends the object; there is no field for it.
    fn suspend(&self) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations
            .and_then(|annotations| annotations.get(super::GENERATOR_RECONCILE_ANNOTATION))
            .is_some_and(|value| value.eq_ignore_ascii_case(crate::meta::DISABLED_VALUE))
    }

    /// One hour: there is no field for it.
    fn interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(3600))
    }
}

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    BuildMetadata, CommonMetadata, CrossNamespaceSourceReference, CustomHealthCheck, Decryption,
    DeletionPolicy, IgnoreRule, Image, Json6902Patch, KustomizationStatus, Patch, PostBuild,
};
use crate::meta::{
    DependencyReference, Duration, KubeConfigReference, NamespacedObjectKindReference, impl_reconcilable,
    omit, schema,
};

/// What to build from which source, and how to apply it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "kustomize.toolkit.fluxcd.io",
    version = "v1",
    kind = "Kustomization",
    doc = "Kustomization builds an overlay from a source and applies it to a cluster.",
    namespaced,
    status = "KustomizationStatus",
    derive = "PartialEq",
    plural = "kustomizations",
    shortname = "ks",
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
pub struct KustomizationSpec {
    /// What kustomize notes in the annotations of what it builds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_metadata: Vec<BuildMetadata>,
    /// Labels and annotations for every object; they replace those of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// Relative paths of kustomize components.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// How encrypted files are decrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decryption: Option<Decryption>,
    /// What happens to the applied objects when this object is deleted: as `prune` says (MirrorPrune, the default),
    /// they are deleted, deleted and waited for, or left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Kustomizations that must be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,
    /// Whether to recreate objects of which a field cannot be changed.
    #[serde(default, skip_serializing_if = "omit::no")]
    #[schemars(extend("default" = false))]
    pub force: bool,
    /// How to tell the health of custom resources, by CEL expressions. They count only with `wait` or `healthChecks`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<CustomHealthCheck>,
    /// Objects that must be healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<NamespacedObjectKindReference>,
    /// Fields that others may change: they are neither compared nor applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
    /// Whether components that the source lacks are passed over.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub ignore_missing_components: bool,
    /// New names, tags or digests for images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// How often to reconcile with nothing having changed. Some jitter may be added.
    pub interval: Duration,
    /// The cluster to apply to, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,
    /// A prefix for the name of every object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 200))]
    pub name_prefix: String,
    /// A suffix for the name of every object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 200))]
    pub name_suffix: String,
    /// Patches, strategic merge or JSON 6902, with the objects they are for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Deprecated, use `patches`: JSON 6902 patches.
    #[serde(default, rename = "patchesJson6902", skip_serializing_if = "Vec::is_empty")]
    pub patches_json6902: Vec<Json6902Patch>,
    /// Deprecated, use `patches`: strategic merge patches, written as objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::any_list")]
    pub patches_strategic_merge: Vec<Value>,
    /// The directory in the source that holds the overlay, or plain manifests. The root when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What to do with the built objects before they are applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_build: Option<PostBuild>,
    /// Whether to delete objects that are no longer in the source.
    pub prune: bool,
    /// When to try again after a failure; `interval` when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<Duration>,
    /// The ServiceAccount to act as.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// The source to build from.
    pub source_ref: CrossNamespaceSourceReference,
    /// Whether to leave the object alone. Does not stop a run that has begun.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub suspend: bool,
    /// The namespace of every object, in place of what the overlay says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 63))]
    pub target_namespace: String,
    /// How long building, applying and health checks may take; `interval` when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Deprecated and without effect: how manifests are validated.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["none", "client", "server"]))]
    pub validation: String,
    /// Whether to wait until every applied object is healthy. `healthChecks` then do not count.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub wait: bool,
}

impl KustomizationSpec {
    /// How long a run may take: what is set, else a little less than the interval, but never under 30 seconds.
    pub fn timeout(&self) -> Duration {
        let floor = Duration::from_secs(30);
        let wanted = match self.timeout {
            Some(timeout) => timeout,
            None => Duration::from_nanos(self.interval.as_nanos().saturating_sub(floor.as_nanos())),
        };
        wanted.max(floor)
    }

    /// When to try again after a failure, with the default applied.
    pub fn retry_interval(&self) -> Duration {
        self.retry_interval.unwrap_or(self.interval)
    }

    /// What happens on deletion, with the default applied.
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.deletion_policy.unwrap_or_default()
    }
}

impl_reconcilable!(
    Kustomization, KustomizationStatus,
    |spec| suspend: spec.suspend, interval: Some(spec.interval),
    ignored: { "spec.validation": !spec.validation.is_empty() }
);

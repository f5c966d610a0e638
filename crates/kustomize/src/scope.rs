//! Which kinds have no namespace.

use std::collections::BTreeSet;
use std::sync::Arc;

/// The kinds without a namespace: the built-in ones, and those of which the paths of a custom schema tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scopes(Option<Arc<BTreeSet<(String, String)>>>);

impl Scopes {
    /// From pairs of apiVersion and kind.
    pub(crate) fn new(cluster_scoped: BTreeSet<(String, String)>) -> Self {
        Self((!cluster_scoped.is_empty()).then(|| Arc::new(cluster_scoped)))
    }

    /// Whether there is nothing beside the built-in kinds.
    pub(crate) fn is_builtin(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the kind is known to be cluster-scoped; unknown kinds count as namespaced.
    pub(crate) fn is_cluster_scoped(&self, api_version: &str, kind: &str) -> bool {
        is_cluster_scoped(api_version, kind)
            || self.0.as_ref().is_some_and(|own| {
                own.contains(&(api_version.to_owned(), kind.to_owned())) && !is_scope_known(api_version, kind)
            })
    }
}

/// Whether the kind is a built-in one without a namespace.
fn is_cluster_scoped(api_version: &str, kind: &str) -> bool {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let stable = version == "v1";
    let both = stable || version == "v1beta1";
    match (group, kind) {
        ("", "Namespace" | "Node" | "PersistentVolume" | "ComponentStatus" | "NodeProxyOptions") => stable,
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        )
        | ("apiextensions.k8s.io", "CustomResourceDefinition")
        | ("apiregistration.k8s.io", "APIService")
        | ("certificates.k8s.io", "CertificateSigningRequest")
        | ("networking.k8s.io", "IngressClass")
        | ("node.k8s.io", "RuntimeClass")
        | ("rbac.authorization.k8s.io", "ClusterRole" | "ClusterRoleBinding")
        | ("scheduling.k8s.io", "PriorityClass")
        | ("storage.k8s.io", "CSIDriver" | "CSINode" | "StorageClass" | "VolumeAttachment") => both,
        ("flowcontrol.apiserver.k8s.io", "FlowSchema" | "PriorityLevelConfiguration")
        | ("policy", "PodSecurityPolicy") => version == "v1beta1",
        _ => false,
    }
}

/// Whether the scope of the kind is known without a schema.
pub(crate) fn is_scope_known(api_version: &str, kind: &str) -> bool {
    if is_cluster_scoped(api_version, kind) {
        return true;
    }
    let kinds: &[&str] = match api_version {
        "apps/v1" => &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
        "autoscaling/v1" => &["HorizontalPodAutoscaler", "Scale"],
        "autoscaling/v2beta1" | "autoscaling/v2beta2" => &["HorizontalPodAutoscaler"],
        "batch/v1" => &["CronJob", "Job"],
        "batch/v1beta1" => &["CronJob"],
        "coordination.k8s.io/v1" | "coordination.k8s.io/v1beta1" => &["Lease"],
        "discovery.k8s.io/v1" | "discovery.k8s.io/v1beta1" => &["EndpointSlice"],
        "events.k8s.io/v1" | "events.k8s.io/v1beta1" => &["Event"],
        "extensions/v1beta1" | "networking.k8s.io/v1beta1" => &["Ingress"],
        "networking.k8s.io/v1" => &["Ingress", "NetworkPolicy"],
        "policy/v1" | "policy/v1beta1" => &["PodDisruptionBudget"],
        "rbac.authorization.k8s.io/v1" | "rbac.authorization.k8s.io/v1beta1" => &["Role", "RoleBinding"],
        "storage.k8s.io/v1beta1" => &["CSIStorageCapacity"],
        "v1" => &[
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodAttachOptions",
            "PodExecOptions",
            "PodPortForwardOptions",
            "PodProxyOptions",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
            "ServiceProxyOptions",
        ],
        _ => &[],
    };
    kinds.contains(&kind)
}

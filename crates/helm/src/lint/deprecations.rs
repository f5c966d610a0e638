//! API versions that go away.

use crate::capabilities::KubeVersion;

/// API version, kind, deprecated in, gone in (minor versions of Kubernetes 1), what takes its place.
type Row = (&'static str, &'static str, u32, u32, &'static str);

const TABLE: &[Row] = &[
    (
        "admissionregistration.k8s.io/v1beta1",
        "MutatingWebhookConfiguration",
        16,
        22,
        "admissionregistration.k8s.io/v1",
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "ValidatingWebhookConfiguration",
        16,
        22,
        "admissionregistration.k8s.io/v1",
    ),
    ("apps/v1beta1", "Deployment", 9, 16, "apps/v1"),
    ("apps/v1beta1", "StatefulSet", 9, 16, "apps/v1"),
    ("apps/v1beta2", "DaemonSet", 9, 16, "apps/v1"),
    ("apps/v1beta2", "Deployment", 9, 16, "apps/v1"),
    ("apps/v1beta2", "ReplicaSet", 9, 16, "apps/v1"),
    ("apps/v1beta2", "StatefulSet", 9, 16, "apps/v1"),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler", 22, 25, "autoscaling/v2"),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler", 23, 26, "autoscaling/v2"),
    ("batch/v1beta1", "CronJob", 21, 25, "batch/v1"),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest", 19, 22, "certificates.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", "Lease", 19, 22, "coordination.k8s.io/v1"),
    ("discovery.k8s.io/v1beta1", "EndpointSlice", 21, 25, "discovery.k8s.io/v1"),
    ("events.k8s.io/v1beta1", "Event", 19, 25, "events.k8s.io/v1"),
    ("extensions/v1beta1", "DaemonSet", 8, 16, "apps/v1"),
    ("extensions/v1beta1", "Deployment", 8, 16, "apps/v1"),
    ("extensions/v1beta1", "Ingress", 14, 22, "networking.k8s.io/v1"),
    ("extensions/v1beta1", "NetworkPolicy", 9, 16, "networking.k8s.io/v1"),
    ("extensions/v1beta1", "ReplicaSet", 8, 16, "apps/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema", 23, 26, "flowcontrol.apiserver.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema", 26, 29, "flowcontrol.apiserver.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", 29, 32, "flowcontrol.apiserver.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", "Ingress", 19, 22, "networking.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", "IngressClass", 19, 22, "networking.k8s.io/v1"),
    ("policy/v1beta1", "PodDisruptionBudget", 21, 25, "policy/v1"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole", 17, 22, "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRoleBinding", 17, 22, "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1beta1", "Role", 17, 22, "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1beta1", "RoleBinding", 17, 22, "rbac.authorization.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", "PriorityClass", 14, 22, "scheduling.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "CSIDriver", 19, 22, "storage.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity", 24, 27, "storage.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "StorageClass", 19, 22, "storage.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "VolumeAttachment", 19, 22, "storage.k8s.io/v1"),
];

/// A warning if an object's API version goes away.
pub(super) fn warning(api_version: &str, kind: &str, version: &KubeVersion) -> Option<String> {
    let major: u32 = version.major.parse().ok()?;
    let minor: u32 = version.minor.trim_end_matches('+').parse().ok()?;
    let (_, _, deprecated, removed, successor) =
        TABLE.iter().find(|row| row.0 == api_version && row.1 == kind)?;
    (major > 1 || minor >= *deprecated).then(|| {
        format!(
            "{api_version} {kind} is deprecated in v1.{deprecated}+, unavailable in v1.{removed}+; use {successor} \
             {kind}"
        )
    })
}

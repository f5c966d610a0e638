//! The order of kinds.

const INSTALL_ORDER: &[&str] = &[
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Where a kind comes when objects are made: known kinds by their place, then the others by name.
pub fn install_rank(kind: &str) -> (usize, &str) {
    rank(INSTALL_ORDER.iter().position(|known| *known == kind), kind)
}

/// Where a kind comes when objects are deleted: backwards, but services go as soon as no one is led to them.
pub fn uninstall_rank(kind: &str) -> (usize, &str) {
    let order = || INSTALL_ORDER.iter().rev().filter(|known| **known != "Service");
    let after_ingress_class = order().position(|known| *known == "IngressClass").map_or(0, |place| place + 1);
    let place = match kind {
        "Service" => Some(after_ingress_class),
        _ => order()
            .position(|known| *known == kind)
            .map(|place| if place >= after_ingress_class { place + 1 } else { place }),
    };
    rank(place, kind)
}

fn rank(place: Option<usize>, kind: &str) -> (usize, &str) {
    match place {
        Some(place) => (place, ""),
        None => (usize::MAX, kind),
    }
}

#[cfg(test)]
mod tests {
    use super::{INSTALL_ORDER, uninstall_rank};

    #[test]
    fn services_are_deleted_before_what_they_lead_to() {
        let mut kinds: Vec<&str> = INSTALL_ORDER.to_vec();
        kinds.sort_by_key(|kind| uninstall_rank(kind));
        assert_eq!(
            kinds[..8],
            [
                "ValidatingWebhookConfiguration",
                "MutatingWebhookConfiguration",
                "APIService",
                "Ingress",
                "IngressClass",
                "Service",
                "CronJob",
                "Job"
            ]
        );
        assert_eq!(kinds.last(), Some(&"PriorityClass"));
    }
}

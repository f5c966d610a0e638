//! In which order objects are applied: stages, and ranks within a stage.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::{Object, ObjectId};

/// Kinds that go first, in this order.
const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
/// Kinds that go last, in this order.
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// What is applied, and waited for, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Definitions of custom resources, Namespaces and ClusterRoles; waited for.
    Definitions,
    /// Kinds whose name ends in `Class`; waited for.
    Classes,
    /// Kinds that the operator of the controller chose.
    Custom,
    /// Everything else.
    Rest,
}

/// Kinds with a stage of their own, as `--custom-apply-stage-kinds` lists them.
#[derive(Clone, Debug, Default)]
pub struct CustomKinds(HashSet<(String, String)>);

impl CustomKinds {
    /// Reads `group/Kind,…`; a bare kind is one of the core group.
    pub fn parse(text: &str) -> Self {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Self(
            items
                .map(|item| match item.split_once('/') {
                    Some((group, kind)) => (group.to_owned(), kind.to_owned()),
                    None => (String::new(), item.to_owned()),
                })
                .collect(),
        )
    }

    /// The stage of an object.
    pub fn stage(&self, object: &Object) -> Stage {
        let is =
            |kind: &str, group: &str| object.kind().eq_ignore_ascii_case(kind) && object.group() == group;
        if object.is_crd()
            || is("Namespace", "") && object.version() == "v1"
            || is("ClusterRole", "rbac.authorization.k8s.io")
        {
            Stage::Definitions
        } else if object.kind().ends_with("Class") {
            Stage::Classes
        } else if self.0.contains(&(object.group().to_owned(), object.kind().to_owned())) {
            Stage::Custom
        } else {
            Stage::Rest
        }
    }
}

/// The rank of a kind, whatever its group.
pub(crate) fn rank(kind: &str) -> i32 {
    let first = FIRST.iter().position(|known| *known == kind).map(|at| at as i32 - FIRST.len() as i32);
    let last = || LAST.iter().position(|known| *known == kind).map(|at| at as i32 + 1);
    first.or_else(last).unwrap_or(0)
}

/// The order within a stage: rank, group, kind, namespace, name.
pub(crate) fn compare(a: &ObjectId, b: &ObjectId) -> Ordering {
    let key = |id: &ObjectId| rank(&id.kind);
    key(a)
        .cmp(&key(b))
        .then_with(|| a.group.cmp(&b.group))
        .then_with(|| a.kind.cmp(&b.kind))
        .then_with(|| a.namespace.cmp(&b.namespace))
        .then_with(|| a.name.cmp(&b.name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(api_version: &str, kind: &str, name: &str) -> Object {
        Object::new(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})).unwrap()
    }

    #[test]
    fn kinds_are_applied_in_the_order_of_flux() {
        let mut kinds = [
            "ValidatingWebhookConfiguration",
            "Ingress",
            "Deployment",
            "Secret",
            "Namespace",
            "ServiceAccount",
            "Certificate",
            "CustomResourceDefinition",
            "MutatingWebhookConfiguration",
        ]
        .map(|kind| object("x/v1", kind, "a").id());
        kinds.sort_by(compare);
        assert_eq!(
            kinds.map(|id| id.kind),
            [
                "CustomResourceDefinition",
                "Namespace",
                "ServiceAccount",
                "Secret",
                "Deployment",
                "Certificate",
                "Ingress",
                "MutatingWebhookConfiguration",
                "ValidatingWebhookConfiguration",
            ]
        );
    }

    #[test]
    fn stages() {
        let custom = CustomKinds::parse("rbac.authorization.k8s.io/Role, Secret,x.io/MyClass");
        for (api_version, kind, stage) in [
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", Stage::Definitions),
            ("v1", "Namespace", Stage::Definitions),
            ("rbac.authorization.k8s.io/v1", "ClusterRole", Stage::Definitions),
            ("x.io/v1", "Namespace", Stage::Rest),
            ("storage.k8s.io/v1", "StorageClass", Stage::Classes),
            ("x.io/v1", "MyClass", Stage::Classes),
            ("rbac.authorization.k8s.io/v1", "Role", Stage::Custom),
            ("v1", "Secret", Stage::Custom),
            ("x.io/v1", "Secret", Stage::Rest),
        ] {
            assert_eq!(custom.stage(&object(api_version, kind, "a")), stage, "{api_version} {kind}");
        }
    }
}

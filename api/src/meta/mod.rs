//! What kinds share: references, conditions, artifacts, durations, names of annotations, labels and reasons.

mod artifact;
mod common_metadata;
mod condition;
mod duration;
mod history;
mod inventory;
mod kube_config;
mod names;
mod object;
pub(crate) mod omit;
mod reference;
pub(crate) mod schema;
mod string_enum;

pub use artifact::Artifact;
pub use common_metadata::CommonMetadata;
pub use condition::{Condition, ConditionStatus};
pub use duration::Duration;
pub use history::Snapshot;
pub use inventory::{ResourceInventory, ResourceRef};
pub use kube_config::KubeConfigReference;
pub use names::*;
pub use object::{Reconcilable, Status};
pub(crate) use object::{impl_reconcilable, impl_status};
pub use reference::{
    AccessFrom, DependencyReference, LocalObjectReference, NamespaceSelector, NamespacedObjectKindReference,
    NamespacedObjectReference, SecretKeyReference,
};
pub(crate) use string_enum::string_enum;

/// A moment as Kubernetes writes it: UTC, whole seconds.
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

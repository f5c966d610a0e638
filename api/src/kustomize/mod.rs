//! Group `kustomize.toolkit.fluxcd.io`: overlays that are built and applied.

mod kustomization;
mod patch;
mod post_build;
mod spec;
mod status;

pub use kustomization::{Kustomization, KustomizationSpec};
pub use patch::{Image, Json6902Operation, Json6902Patch, Patch, Selector};
pub use post_build::{PostBuild, SubstituteReference, SubstituteStrategy};
pub use spec::{
    BuildMetadata, CrossNamespaceSourceReference, CustomHealthCheck, Decryption, DeletionPolicy, IgnoreRule,
};
pub use status::KustomizationStatus;

pub use crate::meta::CommonMetadata;

/// The API group.
pub const GROUP: &str = "kustomize.toolkit.fluxcd.io";

//! Group `image.toolkit.fluxcd.io`: new images, and commits that use them.

mod image_policy;
mod image_repository;
mod image_update_automation;

pub use image_policy::{
    AlphabeticalPolicy, DigestReflectionPolicy, ImagePolicy, ImagePolicyChoice, ImagePolicySpec,
    ImagePolicyStatus, ImageRef, NumericalPolicy, Order, SemVerPolicy, TagFilter,
};
pub use image_repository::{ImageRepository, ImageRepositorySpec, ImageRepositoryStatus, ScanResult};
pub use image_update_automation::{
    CommitSpec, CommitUser, GitCheckoutSpec, GitSpec, ImageUpdateAutomation, ImageUpdateAutomationSpec,
    ImageUpdateAutomationStatus, PushSpec, SigningKey, SigningKeyType, SourceReference, UpdateStrategy,
};

/// The API group.
pub const GROUP: &str = "image.toolkit.fluxcd.io";

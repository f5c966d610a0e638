//! Groups `source.toolkit.fluxcd.io` and `source.extensions.fluxcd.io`: where content comes from.

mod artifact_generator;
mod bucket;
mod external_artifact;
mod git_repository;
mod helm_chart;
mod helm_repository;
mod oci_repository;
#[expect(clippy::module_inception, reason = "the trait of all sources is named so")]
mod source;
mod verification;

pub use artifact_generator::{
    ArtifactGenerator, ArtifactGeneratorSpec, ArtifactGeneratorStatus, CopyOperation, CopyStrategy,
    ExternalArtifactReference, OutputArtifact, SourceReference,
};
pub use bucket::{Bucket, BucketSpec, BucketStatus, BucketStsSpec, StsProvider};
pub use external_artifact::{ExternalArtifact, ExternalArtifactSpec, ExternalArtifactStatus};
pub use git_repository::{
    GitProvider, GitRepository, GitRepositoryInclude, GitRepositoryReference, GitRepositorySpec,
    GitRepositoryStatus, GitRepositoryVerification, GitVerificationMode,
};
pub use helm_chart::{
    HelmChart, HelmChartSpec, HelmChartStatus, HelmChartVerification, LocalHelmChartSourceReference,
    ReconcileStrategy,
};
pub use helm_repository::{HelmRepository, HelmRepositorySpec, HelmRepositoryStatus, HelmRepositoryType};
pub use oci_repository::{
    OCILayerOperation, OCILayerSelector, OCIRepository, OCIRepositoryRef, OCIRepositorySpec,
    OCIRepositoryStatus,
};
pub use source::Source;
pub use verification::{CloudProvider, OciVerification, OidcIdentityMatch, VerificationProvider};

/// The API group.
pub const GROUP: &str = "source.toolkit.fluxcd.io";
/// The API group of [`ArtifactGenerator`].
pub const EXTENSIONS_GROUP: &str = "source.extensions.fluxcd.io";
/// The finalizer of an [`ArtifactGenerator`].
pub const GENERATOR_FINALIZER: &str = "source.extensions.fluxcd.io/finalizer";
/// Annotation of an [`ArtifactGenerator`]: `disabled` suspends it.
pub const GENERATOR_RECONCILE_ANNOTATION: &str = "source.extensions.fluxcd.io/reconcile";
/// Label of what an [`ArtifactGenerator`] makes: the generator's uid.
pub const GENERATOR_LABEL: &str = "source.extensions.fluxcd.io/generator";

//! Group `helm.toolkit.fluxcd.io`: Helm releases.

mod actions;
mod chart;
mod helm_release;
mod post_renderer;
mod status;
mod values;

pub use actions::{
    ChartNameChangeStrategy, CrdsPolicy, DeletionPropagation, Filter, Install, InstallRemediation,
    Remediation, RemediationStrategy, Rollback, ServerSideApplyMode, Strategy, StrategyName, Test, Uninstall,
    Upgrade, UpgradeRemediation, UpgradeStrategy,
};
pub use chart::{
    CrossNamespaceObjectReference, CrossNamespaceSourceReference, HelmChartTemplate,
    HelmChartTemplateMetadata, HelmChartTemplateSpec, HelmChartTemplateVerification,
};
pub use helm_release::{
    DriftDetection, DriftDetectionMode, HelmRelease, HelmReleaseSpec, WaitStrategy, WaitStrategyName,
};
pub use post_renderer::{KustomizePostRenderer, PostRenderStrategy, PostRenderer};
pub use status::{HelmReleaseStatus, Snapshot, TestHookStatus};
pub use values::ValuesReference;

/// The API group.
pub const GROUP: &str = "helm.toolkit.fluxcd.io";

//! Reasons of conditions that only this controller gives.

pub(crate) const ARTIFACT_FAILED: &str = "ArtifactFailed";
pub(crate) const BUILD_FAILED: &str = "BuildFailed";
pub(crate) const DEPENDENCY_NOT_READY: &str = "DependencyNotReady";
pub(crate) const RECONCILIATION_FAILED: &str = "ReconciliationFailed";
pub(crate) const RECONCILIATION_SUCCEEDED: &str = "ReconciliationSucceeded";
pub(crate) const PRUNE_FAILED: &str = "PruneFailed";
pub(crate) const HEALTH_CHECK_FAILED: &str = "HealthCheckFailed";
pub(crate) const HEALTH_CHECK_CANCELED: &str = "HealthCheckCanceled";
pub(crate) const ACCESS_DENIED: &str = "AccessDenied";
pub(crate) const INVALID_CEL_EXPRESSION: &str = "InvalidCELExpression";
pub(crate) const FEATURE_GATE_DISABLED: &str = "FeatureGateDisabled";

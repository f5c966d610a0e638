//! Conditions, reasons and annotations that only this controller knows.

pub(crate) const RELEASED: &str = "Released";
pub(crate) const REMEDIATED: &str = "Remediated";
pub(crate) const TEST_SUCCESS: &str = "TestSuccess";
pub(crate) const DRIFTED: &str = "Drifted";

pub(crate) const ARTIFACT_FAILED: &str = "ArtifactFailed";
pub(crate) const CHART_MUTATE_ERROR: &str = "ChartMutateError";
pub(crate) const DEPENDENCY_NOT_READY: &str = "DependencyNotReady";
pub(crate) const ACCESS_DENIED: &str = "AccessDenied";
pub(crate) const SOURCE_NOT_READY: &str = "SourceNotReady";
pub(crate) const VALUES_ERROR: &str = "ValuesError";
pub(crate) const REST_CLIENT_ERROR: &str = "RESTClientError";
pub(crate) const FACTORY_ERROR: &str = "FactoryError";
pub(crate) const STATE_ERROR: &str = "StateError";
pub(crate) const RECONCILE_ERROR: &str = "ReconcileError";
pub(crate) const INVALID_CEL_EXPRESSION: &str = "InvalidCELExpression";
pub(crate) const HEALTH_CHECK_CANCELED: &str = "HealthCheckCanceled";
pub(crate) const RETRIES_EXCEEDED: &str = "RetriesExceeded";
pub(crate) const MISSING_ROLLBACK_TARGET: &str = "MissingRollbackTarget";

pub(crate) const INSTALL_SUCCEEDED: &str = "InstallSucceeded";
pub(crate) const INSTALL_FAILED: &str = "InstallFailed";
pub(crate) const UPGRADE_SUCCEEDED: &str = "UpgradeSucceeded";
pub(crate) const UPGRADE_FAILED: &str = "UpgradeFailed";
pub(crate) const TEST_SUCCEEDED: &str = "TestSucceeded";
pub(crate) const TEST_FAILED: &str = "TestFailed";
pub(crate) const AWAITING_TESTS: &str = "AwaitingTests";
pub(crate) const ROLLBACK_SUCCEEDED: &str = "RollbackSucceeded";
pub(crate) const ROLLBACK_FAILED: &str = "RollbackFailed";
pub(crate) const UNINSTALL_SUCCEEDED: &str = "UninstallSucceeded";
pub(crate) const UNINSTALL_FAILED: &str = "UninstallFailed";
pub(crate) const PENDING_RELEASE: &str = "PendingRelease";
pub(crate) const DRIFT_DETECTED: &str = "DriftDetected";
pub(crate) const NO_DRIFT_DETECTED: &str = "NoDriftDetected";
pub(crate) const DRIFT_CORRECTED: &str = "DriftCorrected";
pub(crate) const DRIFT_CORRECTION_FAILED: &str = "DriftCorrectionFailed";

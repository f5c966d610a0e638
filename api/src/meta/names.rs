//! Texts that are part of the API without being a field: annotations, labels, finalizers, conditions, reasons.

/// The finalizer of every reconciled object.
pub const FINALIZER: &str = "finalizers.fluxcd.io";

/// The namespace that Flux is installed in unless told otherwise.
pub const DEFAULT_NAMESPACE: &str = "flux-system";

/// A change of this annotation asks for a reconciliation now.
pub const RECONCILE_REQUEST_ANNOTATION: &str = "reconcile.fluxcd.io/requestedAt";
/// With the value of the request annotation: a Helm action is to be forced.
pub const FORCE_REQUEST_ANNOTATION: &str = "reconcile.fluxcd.io/forceAt";
/// With the value of the request annotation: counted failures are to be forgotten.
pub const RESET_REQUEST_ANNOTATION: &str = "reconcile.fluxcd.io/resetAt";
/// Annotations of this prefix on an object become metadata of its events.
pub const EVENT_ANNOTATION_PREFIX: &str = "event.toolkit.fluxcd.io/";
/// Label or annotation on a managed object: `disabled` leaves it out of reconciliation.
pub const RECONCILE_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/reconcile";
/// Label or annotation on a managed object: `disabled` keeps it from being pruned.
pub const PRUNE_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/prune";
/// Label or annotation on a managed object: how it is applied.
pub const SSA_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/ssa";
/// Label or annotation on a managed object: `enabled` recreates it where a field cannot change.
pub const FORCE_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/force";
/// Label or annotation on a managed object: `disabled` leaves its variables alone.
pub const SUBSTITUTE_ANNOTATION: &str = "kustomize.toolkit.fluxcd.io/substitute";
/// Label of the objects of a Kustomization: its name.
pub const KUSTOMIZATION_NAME_LABEL: &str = "kustomize.toolkit.fluxcd.io/name";
/// Label of the objects of a Kustomization: its namespace.
pub const KUSTOMIZATION_NAMESPACE_LABEL: &str = "kustomize.toolkit.fluxcd.io/namespace";
/// Label of ConfigMaps and Secrets whose changes wake those that refer to them.
pub const WATCH_LABEL: &str = "reconcile.fluxcd.io/watch";
/// The value of switches such as [`PRUNE_ANNOTATION`] that turn something off.
pub const DISABLED_VALUE: &str = "disabled";
/// The value of switches such as [`FORCE_ANNOTATION`] that turn something on.
pub const ENABLED_VALUE: &str = "enabled";

/// Condition: the object is as its spec wants it. Sums up the others.
pub const READY_CONDITION: &str = "Ready";
/// Condition: work on the object is under way.
pub const RECONCILING_CONDITION: &str = "Reconciling";
/// Condition: the object cannot become ready without a change of its spec.
pub const STALLED_CONDITION: &str = "Stalled";
/// Condition: the applied objects are healthy.
pub const HEALTHY_CONDITION: &str = "Healthy";
/// Condition: the stored artifact is out of date.
pub const ARTIFACT_OUTDATED_CONDITION: &str = "ArtifactOutdated";
/// Condition: the artifact is in the storage.
pub const ARTIFACT_IN_STORAGE_CONDITION: &str = "ArtifactInStorage";
/// Condition: the signature of the source was verified.
pub const SOURCE_VERIFIED_CONDITION: &str = "SourceVerified";
/// Condition: the source could not be fetched.
pub const FETCH_FAILED_CONDITION: &str = "FetchFailed";
/// Condition: the artifact could not be built.
pub const BUILD_FAILED_CONDITION: &str = "BuildFailed";
/// Condition: the storage failed.
pub const STORAGE_OPERATION_FAILED_CONDITION: &str = "StorageOperationFailed";
/// Condition: an included repository has no artifact.
pub const INCLUDE_UNAVAILABLE_CONDITION: &str = "IncludeUnavailable";

/// Reason: done.
pub const SUCCEEDED_REASON: &str = "Succeeded";
/// Reason: not done.
pub const FAILED_REASON: &str = "Failed";
/// Reason: at work.
pub const PROGRESSING_REASON: &str = "Progressing";
/// Reason: at work again after a failure.
pub const PROGRESSING_WITH_RETRY_REASON: &str = "ProgressingWithRetry";
/// Reason: the object is suspended.
pub const SUSPENDED_REASON: &str = "Suspended";
/// Reason: a dependency is not ready.
pub const DEPENDENCY_NOT_READY_REASON: &str = "DependencyNotReady";
/// Reason: a reference to another namespace is not allowed.
pub const ACCESS_DENIED_REASON: &str = "AccessDenied";
/// Reason: a CEL expression does not compile or run.
pub const INVALID_CEL_EXPRESSION_REASON: &str = "InvalidCELExpression";
/// Reason: the feature is switched off.
pub const FEATURE_GATE_DISABLED_REASON: &str = "FeatureGateDisabled";

/// Metadata of artifact events: the revision.
pub const EVENT_REVISION_KEY: &str = "revision";
/// Metadata of artifact events: the digest.
pub const EVENT_DIGEST_KEY: &str = "digest";
/// Key of an artifact's metadata: the revision in the source that an OCI image was made from.
pub const OCI_REVISION_ANNOTATION: &str = "org.opencontainers.image.revision";

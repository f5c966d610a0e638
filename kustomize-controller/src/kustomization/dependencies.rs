//! What has to be ready first: `spec.dependsOn`, and objects of other kinds by annotation.

use sluice_api::kustomize::Kustomization;
use sluice_api::meta::Artifact;
use sluice_runtime::{Dependencies, Failure, ObjectKey, Obstacle, Retry, Severity, dependencies};

use super::{Context, failure, reason};

/// Checks all dependencies. The first that is not met is the failure.
pub(crate) async fn check(
    context: &Context,
    object: &Kustomization,
    artifact: &Artifact,
) -> Result<(), Failure> {
    let dependencies = Dependencies {
        cluster: context.identities.own(),
        cache: &context.cache,
        waiting: &context.waiting,
        additive_ready_check: context.settings.additive_ready_check,
        own_namespace_only: context.settings.no_cross_namespace_refs,
        not_found: |key, error| format!("dependency '{key}' not found: {error}"),
        invalid_expression: |name, error| {
            format!("terminal error: failed to evaluate dependency {name}: {error}")
        },
    };
    let up_to_date = |found: &Kustomization, key: &ObjectKey| {
        if is_behind(object, found, artifact) {
            return Err(format!("dependency '{key}' revision is not up to date"));
        }
        Ok(())
    };
    dependencies.check(object, &object.spec.depends_on, up_to_date).await.map_err(|obstacle| match obstacle {
        Obstacle::NotReady(message) => {
            let delay = context.settings.requeue_dependency;
            let waits = sluice_duration::format_std(delay);
            let event = format!("Dependencies do not meet ready condition, retrying in {waits}");
            Failure::quiet(reason::DEPENDENCY_NOT_READY, message, Retry::AfterExactly(delay))
                .with_event(Severity::Info, event)
        }
        Obstacle::InvalidExpression(message) => failure::invalid_expression(&message),
    })
}

/// Whether there is anything to check.
pub(crate) fn has_any(object: &Kustomization) -> bool {
    dependencies::has_any(&object.spec.depends_on, object.metadata.annotations.as_ref())
}

/// Whether a dependency builds from the same source, and has not applied this artifact yet.
fn is_behind(object: &Kustomization, dependency: &Kustomization, artifact: &Artifact) -> bool {
    let source = |object: &Kustomization| {
        let reference = &object.spec.source_ref;
        let own = object.metadata.namespace.as_deref().unwrap_or_default();
        (reference.kind.clone(), reference.namespace_or(own).to_owned(), reference.name.clone())
    };
    let applied = dependency.status.as_ref().map(|status| status.last_applied_revision.as_str());
    source(object) == source(dependency) && applied != Some(artifact.revision.as_str())
}

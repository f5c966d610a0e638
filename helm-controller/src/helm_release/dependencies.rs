//! What has to be ready first: `spec.dependsOn`, and objects of other kinds by annotation.

use sluice_api::helm::HelmRelease;
use sluice_runtime::{Dependencies, Failure, Obstacle, Retry, Severity};

use super::{Context, failure, reason};

/// Checks all dependencies. The first that is not met is the failure.
pub(crate) async fn check(context: &Context, object: &HelmRelease) -> Result<(), Failure> {
    let dependencies = Dependencies {
        cluster: context.identities.own(),
        cache: &context.cache,
        waiting: &context.waiting,
        additive_ready_check: context.settings.additive_ready_check,
        own_namespace_only: context.settings.no_cross_namespace_refs,
        not_found: |key, error| format!("unable to get '{key}' dependency: {error}"),
        invalid_expression: |name, error| format!("failed to evaluate dependency {name}: {error}"),
    };
    dependencies.check(object, &object.spec.depends_on, |_, _| Ok(())).await.map_err(
        |obstacle| match obstacle {
            Obstacle::NotReady(message) => {
                let delay = context.settings.requeue_dependency;
                let waits = sluice_duration::format_std(delay);
                let event =
                    format!("dependencies do not meet ready condition ({message}): retrying in {waits}");
                Failure::quiet(reason::DEPENDENCY_NOT_READY, message, Retry::AfterExactly(delay))
                    .with_event(Severity::Info, event)
            }
            Obstacle::InvalidExpression(message) => failure::invalid_expression(&message),
        },
    )
}

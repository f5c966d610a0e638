//! What has to be ready first: `spec.dependsOn`, and objects of other kinds by annotation.

use std::sync::Arc;

use kube::api::Api;
use serde_json::json;
use sluice_api::helm::HelmRelease;
use sluice_api::meta::{DependencyReference, READY_CONDITION};
use sluice_runtime::expressions::{ReadyError, is_ready};
use sluice_runtime::{ObjectKey, Severity, conditions, depends_on, errors};

use super::failure::{Failure, Retry};
use super::{Context, reason};

/// Why a dependency holds the object up.
enum Obstacle {
    NotReady(String),
    InvalidExpression(String),
}

/// Checks all dependencies. The first that is not met is the failure.
pub(crate) async fn check(context: &Context, object: &HelmRelease) -> Result<(), Failure> {
    let key = ObjectKey::of(object);
    for reference in &object.spec.depends_on {
        let dependency = ObjectKey::new(reference.namespace_or(&key.namespace), reference.name.clone());
        // Noted before the look, so that a change in between is not lost.
        context.waiting.add(dependency.clone(), &key);
        match check_one(context, object, reference, &dependency).await {
            Ok(()) => context.waiting.remove(&dependency, &key),
            Err(Obstacle::NotReady(message)) => return Err(not_ready(context, message)),
            Err(Obstacle::InvalidExpression(message)) => return Err(Failure::invalid_expression(&message)),
        }
    }
    depends_on::check(
        context.identities.own(),
        &key.namespace,
        object.metadata.annotations.as_ref(),
        context.settings.no_cross_namespace_refs,
    )
    .await
    .map_err(|message| not_ready(context, message))
}

fn not_ready(context: &Context, message: String) -> Failure {
    let delay = context.settings.requeue_dependency;
    let waits = sluice_duration::format_std(delay);
    let event = format!("dependencies do not meet ready condition ({message}): retrying in {waits}");
    let mut failure = Failure::quiet(reason::DEPENDENCY_NOT_READY, message, Retry::AfterExactly(delay));
    failure.event = Some((Severity::Info, event));
    failure
}

async fn check_one(
    context: &Context,
    object: &HelmRelease,
    reference: &DependencyReference,
    key: &ObjectKey,
) -> Result<(), Obstacle> {
    let found = match context.cache.get(key) {
        Some(found) => found,
        // Another shard may look after it.
        None => {
            let api = Api::<HelmRelease>::namespaced(context.manager.client.clone(), &key.namespace);
            let found = api.get(&key.name).await.map(Arc::new);
            found.map_err(|error| {
                Obstacle::NotReady(format!("unable to get '{key}' dependency: {}", errors::describe(&error)))
            })?
        }
    };
    if !reference.ready_expr.is_empty() {
        let (own, other) = (json!(object), json!(*found));
        match is_ready(&reference.ready_expr, &own, &other) {
            Ok(true) if !context.settings.additive_ready_check => return Ok(()),
            Ok(true) => {}
            Ok(false) => {
                let message = format!("dependency '{key}' is not ready according to readyExpr eval");
                return Err(Obstacle::NotReady(message));
            }
            Err(ReadyError::Transient(error)) => return Err(Obstacle::NotReady(error.to_string())),
            Err(ReadyError::Terminal(error)) => {
                let message = format!("failed to evaluate dependency {}: {error}", key.name);
                return Err(Obstacle::InvalidExpression(message));
            }
        }
    }
    let status = found.status.clone().unwrap_or_default();
    let observed = found.metadata.generation == Some(status.observed_generation);
    if !observed || !conditions::is_true(&status.conditions, READY_CONDITION) {
        return Err(Obstacle::NotReady(format!("dependency '{key}' is not ready")));
    }
    Ok(())
}

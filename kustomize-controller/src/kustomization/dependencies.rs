//! What has to be ready first: `spec.dependsOn`, and objects of other kinds by annotation.

use std::sync::Arc;

use kube::api::Api;
use serde_json::json;
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{Artifact, DependencyReference, READY_CONDITION};
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
pub(crate) async fn check(
    context: &Context,
    object: &Kustomization,
    artifact: &Artifact,
) -> Result<(), Failure> {
    let key = ObjectKey::of(object);
    for reference in &object.spec.depends_on {
        let dependency = ObjectKey::new(reference.namespace_or(&key.namespace), reference.name.clone());
        // Noted before the look, so that a change in between is not lost.
        context.waiting.add(dependency.clone(), &key);
        match check_one(context, object, reference, &dependency, artifact).await {
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

/// Whether there is anything to check.
pub(crate) fn has_any(object: &Kustomization) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    !object.spec.depends_on.is_empty()
        || annotations.is_some_and(|annotations| annotations.contains_key(depends_on::ANNOTATION))
}

fn not_ready(context: &Context, message: String) -> Failure {
    let delay = context.settings.requeue_dependency;
    let waits = sluice_duration::format_std(delay);
    let event = format!("Dependencies do not meet ready condition, retrying in {waits}");
    let mut failure = Failure::quiet(reason::DEPENDENCY_NOT_READY, message, Retry::After(delay));
    failure.event = Some((Severity::Info, event));
    failure
}

async fn check_one(
    context: &Context,
    object: &Kustomization,
    reference: &DependencyReference,
    key: &ObjectKey,
    artifact: &Artifact,
) -> Result<(), Obstacle> {
    let checked = sluice_runtime::check_name("Kustomization", &key.name)
        .and_then(|()| sluice_runtime::check_name("Namespace", &key.namespace));
    checked.map_err(Obstacle::NotReady)?;
    let found = match context.cache.get(key) {
        Some(found) => found,
        // Another shard may look after it.
        None => {
            let api = Api::<Kustomization>::namespaced(context.manager.client.clone(), &key.namespace);
            let found = api.get(&key.name).await.map(Arc::new);
            found.map_err(|error| {
                Obstacle::NotReady(format!("dependency '{key}' not found: {}", errors::describe(&error)))
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
                let message = format!("terminal error: failed to evaluate dependency {}: {error}", key.name);
                return Err(Obstacle::InvalidExpression(message));
            }
        }
    }
    let status = found.status.clone().unwrap_or_default();
    let observed = found.metadata.generation == Some(status.observed_generation);
    if !observed || !conditions::is_true(&status.conditions, READY_CONDITION) {
        return Err(Obstacle::NotReady(format!("dependency '{key}' is not ready")));
    }
    let (own, other) = (&object.spec.source_ref, &found.spec.source_ref);
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let same_source = own.kind == other.kind
        && own.name == other.name
        && own.namespace_or(namespace) == other.namespace_or(&key.namespace);
    if same_source && status.last_applied_revision != artifact.revision {
        return Err(Obstacle::NotReady(format!("dependency '{key}' revision is not up to date")));
    }
    Ok(())
}

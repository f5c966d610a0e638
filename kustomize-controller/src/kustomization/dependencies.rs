//! `spec.dependsOn`: which other Kustomizations have to be ready first.

use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{Artifact, READY_CONDITION};
use sluice_runtime::{ObjectKey, conditions, errors};

use super::Context;
use super::failure::{Failure, Retry};
use super::reason;

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
        if let Err(message) = check_one(context, object, &dependency, artifact).await {
            let delay = context.settings.requeue_dependency;
            let waits = sluice_duration::format_std(delay);
            let event = format!("Dependencies do not meet ready condition, retrying in {waits}");
            let mut failure = Failure::quiet(reason::DEPENDENCY_NOT_READY, message, Retry::After(delay));
            failure.event = Some((sluice_runtime::Severity::Info, event));
            return Err(failure);
        }
    }
    Ok(())
}

async fn check_one(
    context: &Context,
    object: &Kustomization,
    key: &ObjectKey,
    artifact: &Artifact,
) -> Result<(), String> {
    let found = match context.cache.get(key) {
        Some(found) => found,
        // Another shard may look after it.
        None => {
            let api = kube::Api::<Kustomization>::namespaced(context.manager.client.clone(), &key.namespace);
            let found = api.get(&key.name).await;
            found
                .map(std::sync::Arc::new)
                .map_err(|error| format!("dependency '{key}' not found: {}", errors::describe(&error)))?
        }
    };
    let status = found.status.clone().unwrap_or_default();
    let observed = found.metadata.generation == Some(status.observed_generation);
    if !observed || !conditions::is_true(&status.conditions, READY_CONDITION) {
        return Err(format!("dependency '{key}' is not ready"));
    }
    let (own, other) = (&object.spec.source_ref, &found.spec.source_ref);
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let same_source = own.kind == other.kind
        && own.name == other.name
        && own.namespace_or(namespace) == other.namespace_or(&key.namespace);
    if same_source && status.last_applied_revision != artifact.revision {
        return Err(format!("dependency '{key}' revision is not up to date"));
    }
    Ok(())
}

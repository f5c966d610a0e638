//! What has to be ready first: `spec.dependsOn`, and objects of other kinds by annotation.

use std::sync::Arc;

use kube::api::{Api, DynamicObject};
use serde_json::json;
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{Artifact, DependencyReference, READY_CONDITION};
use sluice_kstatus::Status;
use sluice_runtime::{ObjectKey, Severity, conditions, errors};

use super::expressions::{ReadyError, is_ready};
use super::failure::{Failure, Retry};
use super::{Context, reason};

/// Annotation with dependencies of other kinds, as `Kind/namespace/name` separated by commas.
const ANNOTATION: &str = "sluice.dev/depends-on";

/// Kinds that the annotation may name, with their API versions.
const KINDS: [(&str, &str); 8] = [
    ("HelmRelease", "helm.toolkit.fluxcd.io/v2"),
    ("Kustomization", "kustomize.toolkit.fluxcd.io/v1"),
    ("GitRepository", "source.toolkit.fluxcd.io/v1"),
    ("OCIRepository", "source.toolkit.fluxcd.io/v1"),
    ("HelmRepository", "source.toolkit.fluxcd.io/v1"),
    ("HelmChart", "source.toolkit.fluxcd.io/v1"),
    ("Bucket", "source.toolkit.fluxcd.io/v1"),
    ("ExternalArtifact", "source.toolkit.fluxcd.io/v1"),
];

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
    let annotation = object.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ANNOTATION));
    for item in
        annotation.into_iter().flat_map(|list| list.split(',')).map(str::trim).filter(|item| !item.is_empty())
    {
        check_other(context, &key, item).await.map_err(|message| not_ready(context, message))?;
    }
    Ok(())
}

/// Whether there is anything to check.
pub(crate) fn has_any(object: &Kustomization) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    !object.spec.depends_on.is_empty()
        || annotations.is_some_and(|annotations| annotations.contains_key(ANNOTATION))
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

/// Checks a dependency of another kind: it must be there and healthy.
async fn check_other(context: &Context, key: &ObjectKey, item: &str) -> Result<(), String> {
    let parts: Vec<_> = item.split('/').collect();
    let (kind, namespace, name) = match parts.as_slice() {
        [kind, name] => (*kind, key.namespace.as_str(), *name),
        [kind, namespace, name] => (*kind, *namespace, *name),
        _ => {
            return Err(format!(
                "dependency '{item}' in {ANNOTATION} is not of the form Kind/namespace/name"
            ));
        }
    };
    let Some((_, api_version)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        return Err(format!("dependency '{item}' in {ANNOTATION} is of an unknown kind"));
    };
    if context.settings.no_cross_namespace_refs && namespace != key.namespace {
        return Err(format!(
            "can't access '{kind}/{namespace}/{name}', cross-namespace references have been blocked"
        ));
    }
    let subject = format!("{kind}/{namespace}/{name}");
    let resource = context.identities.own().resolve(api_version, kind).await;
    let resource = resource.map_err(|error| format!("dependency '{subject}' not found: {error}"))?;
    let api = Api::<DynamicObject>::namespaced_with(context.manager.client.clone(), namespace, &resource.api);
    let found = api.get(name).await;
    let found =
        found.map_err(|error| format!("dependency '{subject}' not found: {}", errors::describe(&error)))?;
    // A Flux object is ready when it says so; one that has not spoken yet is not.
    let ready =
        found.data.pointer("/status/conditions").and_then(serde_json::Value::as_array).is_some_and(|list| {
            list.iter().any(|condition| condition["type"] == READY_CONDITION && condition["status"] == "True")
        });
    let healthy = sluice_runtime::apply::health::judge(&json!(found)).0 == Status::Current;
    if ready && healthy { Ok(()) } else { Err(format!("dependency '{subject}' is not ready")) }
}

//! The source of a Kustomization: whether it may be used, and its artifact.

use sluice_api::kustomize::Kustomization;
use sluice_api::meta::Artifact;
use sluice_runtime::{Failure, ObjectKey, Retry, errors};

use super::Context;
use super::reason;

/// The artifact of the source, if it has one.
pub(crate) async fn find(context: &Context, object: &Kustomization) -> Result<Option<Artifact>, Failure> {
    let reference = &object.spec.source_ref;
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    let key = ObjectKey::new(reference.namespace_or(own), reference.name.clone());
    let denied = |why: &str| {
        let message = format!("can't access '{}/{key}', {why}", reference.kind);
        Err(Failure::terminal(reason::ACCESS_DENIED, message))
    };
    if context.settings.no_cross_namespace_refs && key.namespace != own {
        return denied("cross-namespace references have been blocked");
    }
    if reference.kind == "ExternalArtifact" && !context.settings.external_artifacts {
        return denied("ExternalArtifact feature gate is disabled");
    }
    let checked = sluice_runtime::check_name(&reference.kind, &key.name)
        .and_then(|()| sluice_runtime::check_name("Namespace", &key.namespace));
    checked.map_err(|error| Failure::terminal(reason::ACCESS_DENIED, error))?;
    match context.sources.artifact(&reference.kind, &key).await {
        Some(Ok(artifact)) => match artifact.as_ref().and_then(|found| foreign_host(context, &found.url)) {
            Some(host) => {
                let message =
                    format!("the artifact is not fetched: its host '{host}' is not one of --artifact-hosts");
                Err(Failure::new(reason::ARTIFACT_FAILED, message))
            }
            None => Ok(artifact),
        },
        Some(Err(error)) if errors::is_not_found(&error) => {
            let message = errors::describe(&error);
            Err(Failure::quiet(reason::ARTIFACT_FAILED, message, Retry::Usual))
        }
        Some(Err(error)) => {
            let message = format!("unable to get source '{key}': {}", errors::describe(&error));
            Err(Failure::quiet(reason::ARTIFACT_FAILED, message, Retry::Backoff))
        }
        None => {
            let message = format!("source `{}` kind '{}' not supported", reference.name, reference.kind);
            Err(Failure::quiet(reason::ARTIFACT_FAILED, message, Retry::Backoff))
        }
    }
}

/// The host of an artifact's URL, if artifacts may not come from there.
fn foreign_host(context: &Context, url: &str) -> Option<String> {
    let allowed = &context.settings.artifact_hosts;
    if allowed.is_empty() {
        return None;
    }
    let host = url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase));
    // What has no host is nowhere.
    let host = host.unwrap_or_default();
    (!allowed.iter().any(|known| known.eq_ignore_ascii_case(&host))).then_some(host)
}

/// The artifact of the source; without one, the run ends here.
pub(crate) async fn require(context: &Context, object: &Kustomization) -> Result<Artifact, Failure> {
    find(context, object).await?.ok_or_else(|| {
        let delay = context.settings.requeue_dependency;
        let message =
            format!("Source artifact not found, retrying in {}", sluice_duration::format_std(delay));
        Failure::quiet(reason::ARTIFACT_FAILED, message, Retry::AfterExactly(delay))
    })
}

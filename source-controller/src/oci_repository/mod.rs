//! OCIRepository: a layer of an image or artifact in a registry becomes an artifact.

mod login;
mod pull;
mod resolve;

use std::sync::Arc;

use sluice_api::meta::{
    Artifact, FEATURE_GATE_DISABLED_REASON, OCI_REVISION_ANNOTATION, SOURCE_VERIFIED_CONDITION,
    SUCCEEDED_REASON,
};
use sluice_api::source::{CloudProvider, OCIRepository, OCIRepositoryStatus};
use sluice_oci::Reference;
use sluice_runtime::errors::chain;
use sluice_runtime::{Controller, conditions};
use tokio::time::Instant;

use crate::Shared;
use crate::flags::OBJECT_LEVEL_WORKLOAD_IDENTITY;
use crate::source::{Context, Draft, Failure, Fetch, Sources, Success, impl_source};
use resolve::Resolved;

impl_source!(OCIRepository, OCIRepositoryStatus, url);

/// Key of an artifact's metadata: where the source of an image is.
const OCI_SOURCE_ANNOTATION: &str = "org.opencontainers.image.source";

/// Runs the controller until the manager stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let controller = Controller::<OCIRepository>::new(&shared.manager, shared.flags.concurrent);
    let sources = Sources::new(shared, &controller, OciRepositories);
    controller.run(sources).await;
}

/// What the kind works with: nothing of its own.
struct OciRepositories;

/// What a run came to.
struct Outcome {
    /// A new artifact, and its link.
    stored: Option<(Artifact, String)>,
    /// What was verified, if it was.
    verified: Option<String>,
    /// Whether a policy did not ask for a signature.
    ignored: bool,
}

impl Fetch for OciRepositories {
    type Object = OCIRepository;
    type Outcome = Outcome;

    async fn attempt(
        &self,
        context: &Context<OCIRepository>,
        object: &Arc<OCIRepository>,
        draft: &mut Draft<OCIRepository>,
    ) -> kube::Result<Result<Outcome, Failure>> {
        let deadline = Instant::now() + object.spec.timeout().to_std();
        let url = &object.spec.url;
        let (client, resolved) = match look(context, object, deadline).await {
            Ok(found) => found,
            Err(failure) => return Ok(Err(failure)),
        };
        let Resolved { reference, revision } = resolved;
        let needed = needs_verification(object, draft, &revision);
        let verified = if needed {
            match crate::verification::oci(&context.shared, object, &client, &reference, &revision, deadline)
                .await
            {
                Ok(message) => message,
                Err(failure) => {
                    draft.reached();
                    return Ok(Err(failure));
                }
            }
        } else {
            None
        };
        let ignored = needed && verified.is_none();
        let (spec, status) = (&object.spec, &draft.status);
        let same = status.artifact.as_ref().is_some_and(|artifact| artifact.revision == revision)
            && status.observed_ignore == spec.ignore
            && status.observed_layer_selector == spec.layer_selector;
        if same {
            draft.reached();
            return Ok(Ok(Outcome { stored: None, verified, ignored }));
        }
        if draft.fetched(&revision) {
            context.write(object, &draft.status).await?;
        }
        let work = pull::pull(context, object, &client, &reference, revision);
        let pulled = tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| {
            let message = format!("failed to pull artifact from '{url}': timed out");
            Err(Failure::fetch("OCIArtifactPullFailed", message))
        });
        Ok(pulled.map(|stored| Outcome { stored: Some(stored), verified, ignored }))
    }

    fn succeed(object: &OCIRepository, success: &mut Success<'_, OCIRepository>, outcome: Outcome) {
        success.verified(object.spec.verify.is_some() && !outcome.ignored, outcome.verified);
        match outcome.stored {
            None => {
                let message = success.status.artifact.as_ref().map(|artifact| told(object, artifact));
                success.keep(&message.unwrap_or_default());
            }
            Some((artifact, url)) => {
                success.status.observed_ignore.clone_from(&object.spec.ignore);
                success.status.observed_layer_selector.clone_from(&object.spec.layer_selector);
                let message = told(object, &artifact);
                success.store(artifact, url, "NewArtifact", message);
            }
        }
        success.in_storage(SUCCEEDED_REASON, |artifact| {
            format!("stored artifact for digest '{}'", artifact.revision)
        });
    }
}

/// What is told of an artifact.
fn told(object: &OCIRepository, artifact: &Artifact) -> String {
    let mut text =
        format!("stored artifact with revision '{}' from '{}'", artifact.revision, object.spec.url);
    let of = |key: &str| artifact.metadata.get(key).filter(|value| !value.is_empty());
    if let (Some(source), Some(revision)) = (of(OCI_SOURCE_ANNOTATION), of(OCI_REVISION_ANNOTATION)) {
        text.push_str(&format!(", origin source '{source}', origin revision '{revision}'"));
    }
    text
}

/// Opens the registry and finds what the spec asks for.
async fn look(
    context: &Context<OCIRepository>,
    object: &OCIRepository,
    deadline: Instant,
) -> Result<(Arc<sluice_oci::Client>, Resolved), Failure> {
    let (shared, spec) = (&context.shared, &object.spec);
    let cloud = spec.provider() != CloudProvider::Generic;
    if cloud && !spec.service_account_name.is_empty() && !shared.gates.enabled(OBJECT_LEVEL_WORKLOAD_IDENTITY)
    {
        return Err(Failure { reason: FEATURE_GATE_DISABLED_REASON, ..Failure::gate() });
    }
    let url = &spec.url;
    let invalid = |problem: &str| {
        Failure::stalled("URLInvalid", format!("URL validation failed for '{url}': {problem}"))
    };
    let repository = Reference::parse(url).map_err(|error| invalid(&chain(&error)))?;
    if let Some(tag) = &repository.tag {
        return Err(invalid(&format!("URL must not contain a tag; remove ':{tag}'")));
    }
    if let Some(digest) = &repository.digest {
        return Err(invalid(&format!("URL must not contain a digest; remove '@{digest}'")));
    }
    let client = login::client(shared, object, &repository).await?;
    let work = resolve::resolve(&client, spec, &repository);
    let resolved = tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| {
        let message = "failed to determine artifact digest: timed out";
        Err(Failure::fetch("OCIArtifactPullFailed", message))
    })?;
    Ok((client, resolved))
}

/// Whether the signature is to be looked at: for another revision or spec, or when it was not good the last time.
fn needs_verification(object: &OCIRepository, draft: &Draft<OCIRepository>, revision: &str) -> bool {
    if object.spec.verify.is_none() {
        return false;
    }
    let known = conditions::find(&draft.before.conditions, SOURCE_VERIFIED_CONDITION);
    let good = known.is_some_and(|known| {
        known.status == sluice_api::meta::ConditionStatus::True
            && known.observed_generation == Some(draft.generation)
    });
    let stored = draft.status.artifact.as_ref().is_some_and(|artifact| artifact.revision == revision);
    !(good && stored)
}

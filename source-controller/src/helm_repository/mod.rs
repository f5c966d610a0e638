//! HelmRepository: the index of a repository becomes an artifact. One in a registry has none: it is only looked up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt as _;
use sluice_api::meta::{Artifact, SUCCEEDED_REASON};
use sluice_api::source::{HelmRepository, HelmRepositoryStatus, HelmRepositoryType};
use sluice_artifact::Digest;
use sluice_helm::index::stored;
use sluice_runtime::controller::Next;
use sluice_runtime::errors::chain;
use sluice_runtime::{Controller, ObjectKey, finalizer};

use crate::Shared;
use crate::chart_repository::{Access, AccessError, Fetched, Repository, RepositoryError, Validators, open};
use crate::source::{Context, Draft, Failure, Fetch, Sources, Success, artifact, impl_source, publish};

impl_source!(HelmRepository, HelmRepositoryStatus, url);

/// Runs the controller until the manager stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let controller = Controller::<HelmRepository>::new(&shared.manager, shared.flags.concurrent);
    let sources = Sources::new(shared, &controller, HelmRepositories::default());
    controller.run(sources).await;
}

/// What the kind works with.
#[derive(Default)]
struct HelmRepositories {
    /// What servers said of the indexes that are stored, with the generation and the revision that they belong to.
    known: Mutex<HashMap<ObjectKey, (i64, String, Validators)>>,
}

/// What a run came to.
enum Outcome {
    /// The index is what it was.
    Kept,
    /// Another index.
    Stored { artifact: Box<Artifact>, url: String, size: u64 },
}

impl Fetch for HelmRepositories {
    type Object = HelmRepository;
    type Outcome = Outcome;

    async fn intercept(
        &self,
        context: &Context<HelmRepository>,
        object: &Arc<HelmRepository>,
    ) -> kube::Result<Option<Next>> {
        if object.spec.type_() != HelmRepositoryType::Oci {
            return Ok(None);
        }
        let deleted = object.metadata.deletion_timestamp.is_some();
        if object.spec.suspend && !deleted {
            return Ok(Some(Next::AwaitChange));
        }
        if finalizer::is_present(&**object) || has_artifact(object) {
            if let Err(error) = context.remove_artifacts(object).await {
                tracing::error!(error = chain(&error), "cannot remove artifacts");
                return Ok(Some(Next::Backoff));
            }
            finalizer::remove(&context.shared.manager.client, &context.cache, object).await?;
        }
        if !deleted {
            clear_status(context, object).await?;
        }
        Ok(Some(Next::AwaitChange))
    }

    async fn attempt(
        &self,
        context: &Context<HelmRepository>,
        object: &Arc<HelmRepository>,
        draft: &mut Draft<HelmRepository>,
    ) -> kube::Result<Result<Outcome, Failure>> {
        let fetched = match self.fetch(context, object, draft).await {
            Ok(fetched) => fetched,
            Err(failure) => return Ok(Err(failure)),
        };
        let Fetched::New { mut file, size, digest, validators } = fetched else {
            draft.reached();
            return Ok(Ok(Outcome::Kept));
        };
        let revision = digest.to_string();
        self.remember(object, draft.generation, &revision, validators);
        if draft.status.artifact.as_ref().is_some_and(|artifact| artifact.revision == revision) {
            draft.reached();
            return Ok(Ok(Outcome::Kept));
        }
        if draft.fetched(&revision) {
            context.write(object, &draft.status).await?;
        }
        let name = format!("index-{}.yaml", digest.hex());
        let stored = publish(&context.shared.storage, &**object, &name, Some("index.yaml"), move |out| {
            let converted = tempfile::tempfile()
                .map_err(stored::ConvertError::Io)
                .and_then(|mut scratch| stored::convert(&mut file, &mut scratch, out));
            match converted {
                Ok(_) => Ok(()),
                Err(stored::ConvertError::Io(error)) => Err(Failure::archive(&error)),
                Err(error) => Err(Failure::fetch(
                    "IndexationFailed",
                    format!("failed to load Helm repository from index YAML: {}", chain(&error)),
                )),
            }
        });
        let stored = stored.await;
        if stored.is_err() {
            self.forget_index(&ObjectKey::of(&**object));
        }
        Ok(stored.map(|(published, url)| {
            let artifact = Box::new(artifact(published, revision));
            Outcome::Stored { artifact, url, size }
        }))
    }

    fn forget(&self, key: &ObjectKey) {
        self.forget_index(key);
    }

    fn succeed(object: &HelmRepository, success: &mut Success<'_, HelmRepository>, outcome: Outcome) {
        match outcome {
            Outcome::Kept => {
                let message = match &success.status.artifact {
                    Some(artifact) => format!("stored artifact: revision '{}'", artifact.revision),
                    None => String::new(),
                };
                success.keep(&message);
            }
            Outcome::Stored { artifact, url, size } => {
                let message = format!(
                    "stored fetched index of size {} from '{}'",
                    human_size(size),
                    without_password(&object.spec.url)
                );
                success.store(*artifact, url, "NewArtifact", message);
            }
        }
        success.in_storage(SUCCEEDED_REASON, |artifact| {
            format!("stored artifact: revision '{}'", artifact.revision)
        });
    }
}

impl HelmRepositories {
    async fn fetch(
        &self,
        context: &Context<HelmRepository>,
        object: &HelmRepository,
        draft: &Draft<HelmRepository>,
    ) -> Result<Fetched, Failure> {
        let (shared, spec) = (&context.shared, &object.spec);
        if spec.url.starts_with("oci://") {
            let message = "invalid Helm repository URL: for the scheme oci the field type must be oci";
            return Err(Failure::stalled("URLInvalid", message));
        }
        let namespace = object.namespace().unwrap_or_default();
        let access = Access::read(shared, &namespace, spec).await.map_err(unusable)?;
        let Repository::Http(repository) = open(shared, &spec.url, access).map_err(unusable)? else {
            return Err(Failure::stalled("URLInvalid", "invalid Helm repository URL"));
        };
        // What is stored is compared in the algorithm that it was named by.
        let current = draft.status.artifact.as_ref();
        let algorithm = current.and_then(|artifact| artifact.revision.parse::<Digest>().ok());
        let algorithm = algorithm.map_or(shared.flags.artifact_digest_algo, |digest| digest.algorithm());
        let known =
            current.and_then(|artifact| self.validators(object, draft.generation, &artifact.revision));
        let limit = shared.flags.helm_index_max_size;
        let work = repository.index(algorithm, limit, known.as_ref());
        let fetched = within(spec.timeout().to_std(), work).await;
        fetched.map_err(|error| {
            let message = format!("failed to fetch Helm repository index: {}", chain(&error));
            Failure::fetch("Failed", message)
        })
    }

    /// What the server said of the stored index, if the spec is still what it was then.
    fn validators(&self, object: &HelmRepository, generation: i64, revision: &str) -> Option<Validators> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, of, validators) = known.get(&ObjectKey::of(object))?;
        (*then == generation && of == revision).then(|| validators.clone())
    }

    fn remember(&self, object: &HelmRepository, generation: i64, revision: &str, validators: Validators) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if validators.is_empty() {
            known.remove(&ObjectKey::of(object));
        } else {
            known.insert(ObjectKey::of(object), (generation, revision.to_owned(), validators));
        }
    }

    fn forget_index(&self, key: &ObjectKey) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// What an unusable repository means.
fn unusable(error: AccessError) -> Failure {
    match error {
        AccessError::Url(problem) => {
            Failure::stalled("URLInvalid", format!("invalid Helm repository URL: {problem}"))
        }
        AccessError::Authentication(problem) => Failure::fetch("AuthenticationFailed", problem),
    }
}

/// Ends work that takes too long.
pub(crate) async fn within<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, RepositoryError>>,
) -> Result<T, RepositoryError> {
    tokio::time::timeout(timeout, work).await.unwrap_or(Err(RepositoryError::Timeout))
}

fn has_artifact(object: &HelmRepository) -> bool {
    object.status.as_ref().is_some_and(|status| status.artifact.is_some())
}

/// A repository in a registry has no status at all: that is how others know that it is ready.
async fn clear_status(context: &Context<HelmRepository>, object: &Arc<HelmRepository>) -> kube::Result<()> {
    if object.status.as_ref().is_none_or(|status| *status == HelmRepositoryStatus::default()) {
        return Ok(());
    }
    context.write(object, &HelmRepositoryStatus::default()).await
}

/// Bytes as people read them: `2.2kB`.
fn human_size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = 0;
    let units = ["B", "kB", "MB", "GB"];
    while size >= 1000.0 && unit + 1 < units.len() {
        size /= 1000.0;
        unit += 1;
    }
    // Four significant digits, as units.HumanSize of docker has them.
    let text = match unit {
        0 => format!("{size}"),
        _ if size >= 100.0 => format!("{size:.1}"),
        _ if size >= 10.0 => format!("{size:.2}"),
        _ => format!("{size:.3}"),
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units[unit])
}

/// A URL without what may be secret.
fn without_password(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            let _ = parsed.set_password(Some("xxxxx"));
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_like_docker_s() {
        for (bytes, expected) in
            [(0, "0B"), (999, "999B"), (2_200, "2.2kB"), (12_345, "12.35kB"), (50_000_000, "50MB")]
        {
            assert_eq!(human_size(bytes), expected);
        }
    }

    #[test]
    fn passwords_in_urls_are_not_told() {
        assert_eq!(without_password("https://u:s3cret@h/c"), "https://u:xxxxx@h/c");
        assert_eq!(without_password("https://h/c"), "https://h/c");
    }
}

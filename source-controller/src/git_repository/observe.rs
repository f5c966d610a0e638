//! Looking at the storage, at included sources and at the remote.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::ResourceExt as _;
use sluice_api::meta::Artifact;
use sluice_api::source::{GitRepository, GitRepositoryReference, GitRepositorySpec};
use sluice_artifact::storage::{Integrity, Location};
use sluice_artifact::{Digest, Storage};
use sluice_git::{Listing, RefFilter, Reference, Remote, Resolved, Session};
use tokio::time::Instant;

use super::failure::Failure;
use super::include::{self, Included};
use super::{GitRepositories, KIND, blocking, remote};

/// The artifact of the status, as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ArtifactState {
    /// The status has none.
    None,
    Intact,
    Missing,
    Corrupt {
        expected: String,
        actual: String,
    },
}

/// What the storage holds of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StorageState {
    pub(super) artifact: ArtifactState,
    /// How many superseded artifacts were removed.
    pub(super) garbage: usize,
}

impl StorageState {
    /// What is wrong with the artifact, if anything is.
    pub(super) fn problem(&self) -> Option<String> {
        match &self.artifact {
            ArtifactState::Corrupt { expected, actual } => Some(format!(
                "failed to verify integrity of artifact: computed digest '{actual}' does not match '{expected}'"
            )),
            _ => None,
        }
    }
}

/// Removes garbage and checks the present artifact; a corrupt one is removed.
pub(super) async fn storage(storage: &Arc<Storage>, object: &GitRepository) -> Result<StorageState, Failure> {
    let artifact = object.status.as_ref().and_then(|status| status.artifact.clone());
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let storage = storage.clone();
    blocking(move || check_storage(&storage, &namespace, &name, artifact.as_ref())).await
}

fn check_storage(
    storage: &Storage,
    namespace: &str,
    name: &str,
    artifact: Option<&Artifact>,
) -> Result<StorageState, Failure> {
    let Some(artifact) = artifact else {
        return Ok(StorageState { artifact: ArtifactState::None, garbage: 0 });
    };
    // A path that is no path of ours is as good as a file that is not there.
    let location = Location::parse(&artifact.path).ok();
    let own = |location: &Location| {
        let file = Location::new(KIND, namespace, name, location.file());
        file.is_ok_and(|own| own.directory() == location.directory())
    };
    let Some(location) = location.filter(own) else {
        return Ok(StorageState { artifact: ArtifactState::Missing, garbage: 0 });
    };
    // Failing to tidy up is no reason not to go on.
    let garbage = storage.collect_garbage(&location, SystemTime::now()).unwrap_or_default();
    let Ok(digest) = artifact.digest.parse::<Digest>() else {
        return Ok(StorageState { artifact: ArtifactState::Missing, garbage });
    };
    let integrity = storage
        .verify(&location, &digest)
        .map_err(|error| Failure::storage("StatOperationFailed", &error))?;
    let artifact = match integrity {
        Integrity::Intact => ArtifactState::Intact,
        Integrity::Missing => ArtifactState::Missing,
        Integrity::Corrupt(actual) => {
            storage.remove(&location).map_err(|error| Failure::storage("StatOperationFailed", &error))?;
            ArtifactState::Corrupt { expected: artifact.digest.clone(), actual: actual.to_string() }
        }
    };
    Ok(StorageState { artifact, garbage })
}

/// What upstream looks like.
pub(super) struct Inputs {
    pub(super) remote: Remote,
    /// The commits that the reference may stand for, best first.
    pub(super) candidates: Vec<Resolved>,
    /// The connection on which references were listed, if they were.
    pub(super) session: Option<Session>,
    pub(super) includes: Vec<Included>,
    /// When Git work must have ended.
    pub(super) deadline: Instant,
}

/// Reads Secrets, includes and the remote's references. `fresh`: what others have just listed will not do.
pub(super) async fn upstream(
    context: &GitRepositories,
    object: &GitRepository,
    fresh: bool,
) -> Result<Inputs, Failure> {
    let remote = remote::remote(&context.shared, object).await?;
    let deadline = Instant::now() + object.spec.timeout().to_std();
    let reference = reference(&object.spec);
    let filter = reference.filter().map_err(|error| Failure::reference(&error))?;
    let includes = include::collect(&context.cache, object);
    let (candidates, session) = match filter {
        // A commit is what it is: nothing needs to be listed.
        None => {
            let resolved = reference.resolve(&Listing { refs: Vec::new() });
            (resolved.map_err(|error| Failure::reference(&error))?, None)
        }
        Some(filter) => {
            let age = if fresh { Duration::ZERO } else { object.spec.interval.to_std() / 2 };
            let work = list(context, &remote, &reference, &filter, age);
            let listed =
                tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(sluice_git::Error::Deadline));
            listed.map_err(|error| Failure::git("unable to list remote for", &remote.url, &error))?
        }
    };
    Ok(Inputs { remote, candidates, session, includes: includes?, deadline })
}

async fn list(
    context: &GitRepositories,
    remote: &Remote,
    reference: &Reference,
    filter: &RefFilter,
    age: Duration,
) -> Result<(Vec<Resolved>, Option<Session>), sluice_git::Error> {
    let (listing, session) = context.git.list(remote, filter, age).await?;
    let unresolved = match reference.resolve(&listing) {
        Ok(candidates) => return Ok((candidates, session)),
        Err(error) => error,
    };
    let Some(mut session) = session else {
        // It may have come since the others looked.
        return Box::pin(list(context, remote, reference, filter, Duration::ZERO)).await;
    };
    // An empty repository is told from one that only lacks the branch.
    if matches!(reference, Reference::Branch(_)) && session.is_empty().await? {
        return Err(sluice_git::Error::Empty);
    }
    Err(unresolved)
}

/// What the spec asks for. The commit goes before the name, the name before the tag, the tag before the range.
pub(super) fn reference(spec: &GitRepositorySpec) -> Reference {
    let none = GitRepositoryReference::default();
    let reference = spec.reference.as_ref().unwrap_or(&none);
    let set = |text: &String| (!text.is_empty()).then(|| text.clone());
    if let Some(id) = set(&reference.commit) {
        Reference::Commit { id, branch: set(&reference.branch) }
    } else if let Some(name) = set(&reference.name) {
        Reference::Name(name)
    } else if let Some(tag) = set(&reference.tag) {
        Reference::Tag(tag)
    } else if let Some(range) = set(&reference.semver) {
        Reference::Semver(range)
    } else {
        Reference::Branch(set(&reference.branch).unwrap_or_else(|| "master".to_owned()))
    }
}

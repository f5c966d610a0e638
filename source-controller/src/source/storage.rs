//! Looking at what the storage holds of an object.

use std::sync::Arc;
use std::time::SystemTime;

use sluice_api::meta::Artifact;
use sluice_artifact::storage::{Integrity, Location};
use sluice_artifact::{Digest, Storage};
use sluice_runtime::ObjectKey;

use super::{Failure, Source, blocking};

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
pub(super) async fn observe<K: Source>(storage: &Arc<Storage>, object: &K) -> Result<StorageState, Failure> {
    let Some(artifact) = object.status().and_then(K::artifact).cloned() else {
        return Ok(StorageState { artifact: ArtifactState::None, garbage: 0 });
    };
    let (key, storage) = (ObjectKey::of(object), storage.clone());
    blocking(move || check(&storage, &K::kind(&()), &key, &artifact)).await
}

fn check(
    storage: &Storage,
    kind: &str,
    key: &ObjectKey,
    artifact: &Artifact,
) -> Result<StorageState, Failure> {
    // A path that is no path of ours is as good as a file that is not there.
    let location = Location::parse(&artifact.path).ok();
    let own = |location: &Location| {
        let file = Location::new(kind, &key.namespace, &key.name, location.file());
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

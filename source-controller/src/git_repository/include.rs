//! Other GitRepositories whose artifacts are copied in.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use kube::ResourceExt as _;
use sluice_api::meta::Artifact;
use sluice_api::source::{GitRepository, GitRepositoryInclude};
use sluice_artifact::extract::{Options, extract};
use sluice_artifact::storage::Location;
use sluice_artifact::{Digest, Storage};
use sluice_runtime::errors::chain;
use sluice_runtime::{Cache, ObjectKey};

use super::failure;
use crate::source::{Failure, inside};

/// An included source and its artifact.
#[derive(Debug, Clone)]
pub(super) struct Included {
    pub(super) include: GitRepositoryInclude,
    pub(super) artifact: Artifact,
}

/// The artifacts of all included sources.
pub(super) fn collect(
    cache: &Cache<GitRepository>,
    object: &GitRepository,
) -> Result<Vec<Included>, Failure> {
    let namespace = object.namespace().unwrap_or_default();
    let find = |include: &GitRepositoryInclude| {
        let name = &include.repository.name;
        let Some(source) = cache.get(&ObjectKey::new(&namespace, name)) else {
            let message = format!("could not get resource for include '{name}': it does not exist");
            return Err(failure::include("NotFound", message));
        };
        let artifact = source.status.as_ref().and_then(|status| status.artifact.clone());
        let artifact = artifact.ok_or_else(|| {
            failure::include("NoArtifact", format!("no artifact available for include '{name}'"))
        })?;
        Ok(Included { include: include.clone(), artifact })
    };
    object.spec.include.iter().map(find).collect()
}

/// Copies the artifact's directory `fromPath` to `toPath` below `root`.
pub(super) fn copy(
    storage: &Storage,
    included: &Included,
    root: &Path,
    scratch: &Path,
) -> Result<(), Failure> {
    let Included { include, artifact } = included;
    let failed = |action: &str, error: &dyn std::fmt::Display| {
        let name = &include.repository.name;
        Failure::disk("CopyFailure", format!("failed to copy '{name}' include: {action}: {error}"))
    };
    let location = Location::parse(&artifact.path).map_err(|error| Failure::path(&error))?;
    let digest = artifact.digest.parse::<Digest>().map_err(|error| failed("digest", &error))?;
    match storage.verify(&location, &digest) {
        Ok(sluice_artifact::storage::Integrity::Intact) => {}
        Ok(_) => return Err(failed("artifact", &"it is not in the storage")),
        Err(error) => return Err(failed("artifact", &chain(&error))),
    }
    let file = File::open(storage.path(&location)).map_err(|error| failed("open", &error))?;
    let unpacked = tempfile::tempdir_in(scratch).map_err(|error| failed("temporary directory", &error))?;
    extract(BufReader::new(file), unpacked.path(), &Options::artifact())
        .map_err(|error| failed("unpack", &chain(&error)))?;
    let from = inside(unpacked.path(), &include.from_path);
    let to = inside(root, include.to_path());
    if to == root {
        return Err(Failure::disk(
            "IllegalPath",
            format!(
                "path calculation for include '{}' failed: the target is the root",
                include.repository.name
            ),
        ));
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(|error| failed("make directories", &error))?;
    }
    fs::rename(&from, &to).map_err(|error| {
        let (from, to) = (&include.from_path, include.to_path());
        failed(&format!("move '{from}' to '{to}'"), &error)
    })
}

//! Making one artifact.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sluice_api::meta::Artifact;
use sluice_api::source::ExternalArtifact;
use sluice_artifact::ignore::Patterns;
use sluice_artifact::storage::{Integrity, Location};
use sluice_artifact::{Algorithm, Hasher, Rules, Storage};
use sluice_compose::compose;
use sluice_runtime::errors::chain;

use super::failure::Failure;
use super::request::Request;
use crate::source::{Failure as SourceFailure, artifact};

/// Composes and stores an artifact; `scratch` is a directory to be made for it. `known`, the artifact as it was last
/// stored, is given back if that is what comes of it. The revision is still to be set.
pub(super) fn build(
    storage: &Storage,
    namespace: &str,
    request: &Request,
    roots: &BTreeMap<String, PathBuf>,
    scratch: &Path,
    known: Option<Artifact>,
) -> Result<Artifact, Failure> {
    let failed = |problem: String| Failure::build(format!("{} build failed: {problem}", request.name));
    let io = |error: io::Error| failed(error.to_string());
    fs::create_dir(scratch).map_err(io)?;
    let composed = compose(&request.operations, roots, scratch);
    composed.map_err(|error| failed(chain(&error)))?;
    let file = format!("{}.tar.gz", name_of(scratch).map_err(io)?);
    let kind = <ExternalArtifact as kube::Resource>::kind(&());
    let location = Location::new(&kind, namespace, &request.name, &file);
    let location = location.map_err(|error| failed(chain(&error)))?;
    let made = match known.filter(|known| is_stored(storage, &location, known)) {
        Some(known) => Artifact { url: storage.url(&known.path), ..known },
        None => {
            let published = storage.publish(&location, |out| {
                let rules = Rules::with_defaults(Patterns::new());
                let written = sluice_artifact::archive::write_directory(scratch, &rules, out);
                written.map(|_| ()).map_err(|error| SourceFailure::archive(&error))
            });
            let published = published.map_err(|error| failed(SourceFailure::publish(error).message))?;
            artifact(published, String::new())
        }
    };
    fs::remove_dir_all(scratch).map_err(io)?;
    Ok(made)
}

fn is_stored(storage: &Storage, location: &Location, known: &Artifact) -> bool {
    let digest = known.digest.parse().ok().filter(|_| known.path == location.relative());
    digest.is_some_and(|digest| matches!(storage.verify(location, &digest), Ok(Integrity::Intact)))
}

/// A name that follows from what is in a directory.
fn name_of(directory: &Path) -> io::Result<String> {
    let mut hasher = Algorithm::Sha256.hasher();
    add(&mut hasher, directory)?;
    Ok(hasher.finish().hex()[..32].to_owned())
}

fn add(hasher: &mut Hasher, directory: &Path) -> io::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, metadata) = (entry.file_name(), entry.metadata()?);
        let executable = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        let kind = [u8::from(metadata.is_dir()), u8::from(executable)];
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&kind);
        if metadata.is_dir() {
            add(hasher, &entry.path())?;
        } else {
            hasher.update(&metadata.len().to_le_bytes());
            let mut file = File::open(entry.path())?;
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    length => hasher.update(&buffer[..length]),
                }
            }
        }
    }
    // The end of a directory.
    hasher.update(&u64::MAX.to_le_bytes());
    Ok(())
}

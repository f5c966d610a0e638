//! Checking that a stored artifact is still what its status says.

use std::fs::{self, File, Metadata};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _};
use std::num::NonZeroU64;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Location, Storage, StorageError, failed};
use crate::digest::Digest;

/// A file whose inode, size and times did not change is hashed again only after this long.
const TRUST: Duration = Duration::from_hours(1);

/// What a file was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// There, and its digest matches.
    Intact,
    /// Not there, or not a regular file.
    Missing,
    /// There with another digest.
    Corrupt(Digest),
}

/// A digest that was computed, and the state of the file at that time. There are as many as there are artifacts.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    /// None where no state of the file stands for the digest.
    state: Option<State>,
    digest: Digest,
    at: Instant,
}

impl Checked {
    pub(super) fn new(metadata: &Metadata, digest: Digest) -> Self {
        Checked { state: Some(State::of(metadata)), digest, at: Instant::now() }
    }
}

/// A digest of what tells whether a file is still the same, by a key that nobody outside of this process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State(NonZeroU64);

impl State {
    fn of(file: &Metadata) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let written = (file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec());
        let digest = KEY.hash_one((file.dev(), file.ino(), file.size(), written));
        State(NonZeroU64::new(digest).unwrap_or(NonZeroU64::MAX))
    }
}

impl Storage {
    /// Compares the file at `location` with `digest`, in the digest's own algorithm.
    ///
    /// Reading every artifact at every reconcile would cost more than all else, so an unchanged file (by inode,
    /// size and times) is taken for intact within an hour of the last reading.
    pub fn verify(&self, location: &Location, digest: &Digest) -> Result<Integrity, StorageError> {
        let path = self.path(location);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                self.forget(&path);
                return Ok(Integrity::Missing);
            }
            Err(error) => return Err(failed("cannot read", &path)(error)),
        };
        if !metadata.is_file() {
            return Ok(Integrity::Missing);
        }
        let known = self.checked().get(&path).cloned();
        let known = known.filter(|c| {
            c.state == Some(State::of(&metadata))
                && c.at.elapsed() < TRUST
                && c.digest.algorithm() == digest.algorithm()
        });
        let actual = match known {
            Some(checked) => checked.digest,
            None => {
                let actual = hash(&path, digest).map_err(failed("cannot read", &path))?;
                let mut checked = Checked::new(&metadata, digest.clone());
                if actual != *digest {
                    // What it must be is known from now on, and no state of the file stands for that.
                    checked.state = None;
                }
                self.remember(&path, checked);
                actual
            }
        };
        Ok(if actual == *digest { Integrity::Intact } else { Integrity::Corrupt(actual) })
    }

    /// Whether the file at `path`, below the root and not by a link, may be handed out: it is what was published, as far
    /// as this is known. One that has changed since is read again each time. It blocks.
    pub fn may_serve(&self, path: &Path, metadata: &Metadata) -> io::Result<bool> {
        let known = self.checked().get(path).cloned();
        let wanted = match known {
            Some(known) if known.state == Some(State::of(metadata)) => return Ok(true),
            Some(known) => known.digest,
            // Another process has written it, such as the one before this.
            None => match labelled(path) {
                Some(digest) => digest,
                None => return Ok(true),
            },
        };
        let intact = hash(path, &wanted)? == wanted;
        if intact {
            self.remember(path, Checked::new(metadata, wanted));
        }
        Ok(intact)
    }

    /// Removes the file at `location` if it is there.
    pub fn remove(&self, location: &Location) -> Result<(), StorageError> {
        let path = self.path(location);
        self.forget(&path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("cannot remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    fn checked(&self) -> MutexGuard<'_, std::collections::HashMap<PathBuf, Checked>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember(&self, path: &Path, checked: Checked) {
        self.checked().insert(path.to_owned(), checked);
    }

    pub(super) fn forget(&self, path: &Path) {
        self.checked().remove(path);
    }
}

/// The attribute of a file that says what was stored in it, for the next process.
const LABEL: &str = "user.sluice.digest";

/// Writes the digest of its content on a file, where the file system has a place for that.
pub(super) fn label(file: &File, digest: &Digest) {
    let flags = rustix::fs::XattrFlags::empty();
    // Without it, damage is found by the reconcile that reads the file.
    let _ = rustix::fs::fsetxattr(file, LABEL, digest.to_string().as_bytes(), flags);
}

fn labelled(path: &Path) -> Option<Digest> {
    let mut text = [0_u8; 256];
    let length = rustix::fs::getxattr(path, LABEL, &mut text[..]).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()?.parse().ok()
}

fn hash(path: &Path, like: &Digest) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = like.algorithm().hasher();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

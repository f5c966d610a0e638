//! Retention: which old artifacts go, and when.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Location, Storage, StorageError, failed};

/// At most so many files of one object are looked at in one run.
const MAX_FILES: usize = 1000;

/// How long superseded artifacts stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Older files go.
    pub ttl: Duration,
    /// Of the others, so many stay, the current one among them.
    pub records: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Retention { ttl: Duration::from_mins(1), records: 2 }
    }
}

impl Storage {
    /// Removes superseded artifacts beside `current`, which always stays. Returns how many went.
    pub fn collect_garbage(&self, current: &Location, now: SystemTime) -> Result<usize, StorageError> {
        let directory = self.root.join(current.directory());
        let mut files = artifacts(&directory)?;
        files.retain(|(path, _)| path.file_name() != Some(current.file().as_ref()));
        files.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        let old = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age > self.retention.ttl);
        let expired = files.iter().filter(|(_, time)| old(*time)).count();
        // Sorted by age, the expired ones are the first; then the oldest until the current one and
        // `records - 1` others remain.
        let surplus = (files.len() + 1).saturating_sub(self.retention.records.max(1));
        let doomed = expired.max(surplus.min(files.len()));
        for (path, _) in &files[..doomed] {
            remove_if_present(path)?;
            self.forget(path);
            let mut lock = path.as_os_str().to_owned();
            lock.push(".lock");
            remove_if_present(Path::new(&lock))?;
        }
        Ok(doomed)
    }

    /// Removes everything of one object. Returns whether there was anything.
    pub fn remove_object(&self, kind: &str, namespace: &str, name: &str) -> Result<bool, StorageError> {
        let location = Location::new(kind, namespace, name, "any").map_err(|error| StorageError {
            action: "cannot remove",
            path: self.root.clone(),
            source: io::Error::new(io::ErrorKind::InvalidInput, error),
        })?;
        let directory = self.root.join(location.directory());
        self.checked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .retain(|path, _| !path.starts_with(&directory));
        match fs::remove_dir_all(&directory) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("cannot remove", &directory)(error)),
        }
    }
}

/// The regular files of a directory that are no locks, with their times. Leftovers of a writer that was killed
/// count too: they are never current and go when they are old.
fn artifacts(directory: &Path) -> Result<Vec<(PathBuf, SystemTime)>, StorageError> {
    let read = match fs::read_dir(directory) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("cannot list", directory)(error)),
    };
    let mut files = Vec::new();
    for entry in read.take(MAX_FILES) {
        let entry = entry.map_err(failed("cannot list", directory))?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "lock") {
            continue;
        }
        // A file may vanish between the listing and the look.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_file() {
            files.push((path, metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)));
        }
    }
    Ok(files)
}

fn remove_if_present(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("cannot remove", path)(error)),
        _ => Ok(()),
    }
}

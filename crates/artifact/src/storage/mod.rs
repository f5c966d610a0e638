//! The directory from which artifacts are served.
//!
//! Layout, file modes and retention are those of Flux's source-controller, so that either program can take over
//! the other's directory: `<root>/<kind>/<namespace>/<name>/<file>`. A file appears under its name complete or not
//! at all, and a failed write leaves the file that was there.

mod garbage;
mod layout;
mod lock;
mod publish;
mod verify;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use crate::digest::Algorithm;

pub use garbage::Retention;
pub use layout::{Location, LocationError};
pub use publish::{PublishError, Published, Sink};
pub use verify::Integrity;

/// A storage directory.
#[derive(Debug)]
pub struct Storage {
    root: PathBuf,
    address: String,
    algorithm: Algorithm,
    retention: Retention,
    lock_timeout: Duration,
    checked: Mutex<HashMap<PathBuf, verify::Checked>>,
}

/// A failure of the disk, with what it was about.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}", path.display())]
pub struct StorageError {
    /// What was tried.
    pub action: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl Storage {
    /// Opens the storage at `root`, an existing directory, whose files are reached at `address`: `host[:port]`, or
    /// a URL with its scheme.
    pub fn open(
        root: &Path,
        address: &str,
        algorithm: Algorithm,
        retention: Retention,
    ) -> Result<Self, StorageError> {
        let failed = |source| StorageError { action: "cannot open storage", path: root.to_owned(), source };
        let root = root.canonicalize().map_err(failed)?;
        if !root.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Storage {
            root,
            address: address.to_owned(),
            algorithm,
            retention,
            lock_timeout: Duration::from_secs(10),
            checked: Mutex::default(),
        })
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the file at `location` is on disk.
    pub fn path(&self, location: &Location) -> PathBuf {
        self.root.join(location.relative())
    }

    /// Where clients find the file with the relative path `relative`.
    pub fn url(&self, relative: &str) -> String {
        let scheme = if self.address.starts_with("http://") || self.address.starts_with("https://") {
            ""
        } else {
            "http://"
        };
        format!("{scheme}{}/{}", self.address.trim_end_matches('/'), relative.trim_start_matches('/'))
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StorageError + use<> {
    let path = path.to_owned();
    move |source| StorageError { action, path, source }
}

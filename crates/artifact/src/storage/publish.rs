//! Writing an artifact so that readers see the old one or the new one and nothing between.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use super::{Location, Storage, StorageError, failed, lock::lock, verify, verify::Checked};
use crate::digest::{Digest, Hasher};

/// An artifact as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its path below the storage root.
    pub path: String,
    /// Where clients find it.
    pub url: String,
    /// The digest of the file.
    pub digest: Digest,
    /// The size of the file in bytes.
    pub size: u64,
    /// When it was written.
    pub time: SystemTime,
}

/// Why an artifact was not written: the old one, if any, is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError<E: std::error::Error + 'static> {
    /// The object's directory cannot be made.
    #[error(transparent)]
    Directory(StorageError),
    /// The lock was not free in time.
    #[error(transparent)]
    Lock(StorageError),
    /// The disk failed.
    #[error(transparent)]
    Storage(StorageError),
    /// The content could not be produced.
    #[error(transparent)]
    Content(E),
}

/// Where content is written to; counts and hashes on the way.
pub struct Sink {
    file: File,
    hasher: Hasher,
    size: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Storage {
    /// Has `content` write the artifact at `location`, then puts it there in one step.
    ///
    /// If `content` fails because the disk did, the error comes back as `Content` with whatever it made of it.
    pub fn publish<E, F>(&self, location: &Location, content: F) -> Result<Published, PublishError<E>>
    where
        E: std::error::Error + 'static,
        F: FnOnce(&mut BufWriter<Sink>) -> Result<(), E>,
    {
        let path = self.path(location);
        let directory = self.root.join(location.directory());
        let mut maker = fs::DirBuilder::new();
        maker.recursive(true).mode(0o700);
        maker
            .create(&directory)
            .map_err(|source| PublishError::Directory(failed("cannot make directory", &directory)(source)))?;
        let _lock = lock(&path, self.lock_timeout)
            .map_err(|source| PublishError::Lock(failed("cannot lock", &path)(source)))?;

        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{}.", location.file()))
            .suffix(".tmp")
            .tempfile_in(&directory)
            .map_err(disk_failed("cannot write to", &directory))?;
        let file = temporary.as_file().try_clone().map_err(disk_failed("cannot write", temporary.path()))?;
        let sink = Sink { file, hasher: self.algorithm.hasher(), size: 0 };
        let mut writer = BufWriter::with_capacity(64 * 1024, sink);
        content(&mut writer).map_err(PublishError::Content)?;
        let sink = writer
            .into_inner()
            .map_err(|error| disk_failed("cannot write", temporary.path())(error.into_error()))?;
        temporary
            .as_file()
            .set_permissions(fs::Permissions::from_mode(0o600))
            .map_err(disk_failed("cannot set the mode of", temporary.path()))?;
        let metadata =
            temporary.as_file().metadata().map_err(disk_failed("cannot read", temporary.path()))?;
        let digest = sink.hasher.finish();
        verify::label(temporary.as_file(), &digest);
        temporary.persist(&path).map_err(|error| disk_failed("cannot publish", &path)(error.error))?;
        // Renaming changes the time of the inode, which is part of what is remembered.
        match fs::symlink_metadata(&path) {
            Ok(now) if now.ino() == metadata.ino() => {
                self.remember(&path, Checked::new(&now, digest.clone()));
            }
            _ => self.forget(&path),
        }
        let relative = location.relative();
        let time = metadata.modified().unwrap_or_else(|_| SystemTime::now());
        Ok(Published { url: self.url(&relative), path: relative, digest, size: sink.size, time })
    }

    /// Points the link `name` beside the artifact at it, in one step, and gives the link's URL.
    pub fn link(&self, location: &Location, name: &str) -> Result<String, StorageError> {
        let target = self.path(location);
        let link = target.with_file_name(name);
        let temporary = target.with_file_name(format!("{name}.tmp"));
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("cannot remove", &temporary)(error));
            }
            _ => {}
        }
        std::os::unix::fs::symlink(&target, &temporary).map_err(failed("cannot link", &temporary))?;
        fs::rename(&temporary, &link).map_err(failed("cannot replace", &link))?;
        Ok(self.url(&format!("{}/{name}", location.directory())))
    }
}

fn disk_failed<E: std::error::Error + 'static>(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> PublishError<E> + use<E> {
    let failed = failed(action, path);
    move |source| PublishError::Storage(failed(source))
}

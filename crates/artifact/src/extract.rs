//! Unpacking archives that nobody vouches for.
//!
//! Nothing is ever written through a symlink or outside of the target; sizes, counts and names are bounded.
//! The target should be a directory of the caller's own that nobody else writes to.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::entries::{Target, copy, read_tar};

/// What to do with a symlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symlinks {
    /// The archive is refused.
    #[default]
    Refuse,
    /// The entry is left out.
    Skip,
}

/// Limits of an extraction.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Largest sum of all file sizes, in bytes.
    pub max_bytes: Option<u64>,
    /// Largest number of entries.
    pub max_entries: u64,
    /// What to do with symlinks.
    pub symlinks: Symlinks,
}

impl Default for Options {
    fn default() -> Self {
        Options { max_bytes: Some(100 << 20), max_entries: 1_000_000, symlinks: Symlinks::Refuse }
    }
}

impl Options {
    /// For artifacts of a source controller: any size, symlinks left out.
    pub fn artifact() -> Self {
        Options { max_bytes: None, symlinks: Symlinks::Skip, ..Options::default() }
    }
}

/// Why an archive was not unpacked, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The archive cannot be read.
    #[error("invalid archive")]
    Archive(#[source] io::Error),
    /// A name that would leave the target or that is malformed.
    #[error("archive entry {0:?} has an invalid name")]
    Name(String),
    /// A symlink, where they are refused.
    #[error("archive entry {0:?} is a symlink")]
    Symlink(String),
    /// Neither file nor directory.
    #[error("archive entry {0:?} is neither a file nor a directory")]
    Kind(String),
    /// More bytes than allowed.
    #[error("archive holds more than {0} bytes")]
    TooLarge(u64),
    /// More entries than allowed.
    #[error("archive holds more than {0} entries")]
    TooMany(u64),
    /// The target cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// What was being written.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Unpacks a gzipped tar into `target`, which must exist. Returns the sum of the file sizes.
pub fn extract(archive: impl Read, target: &Path, options: &Options) -> Result<u64, ExtractError> {
    let unzipped = flate2::read::MultiGzDecoder::new(archive);
    extract_tar(unzipped, target, options)
}

/// Unpacks a plain tar into `target`, which must exist. Returns the sum of the file sizes.
pub fn extract_tar(archive: impl Read, target: &Path, options: &Options) -> Result<u64, ExtractError> {
    read_tar(archive, &mut Disk { target, parent: None }, options)
}

struct Disk<'a> {
    target: &'a Path,
    /// The directory that the last file went to: most files share it with their predecessor.
    parent: Option<PathBuf>,
}

impl Target for Disk<'_> {
    fn directory(&mut self, path: &Path, mode: u32) -> Result<(), ExtractError> {
        let path = self.target.join(path);
        let failed = |source| ExtractError::Write { path: path.clone(), source };
        make_directories(self.target, &path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode((mode & 0o777) | 0o700)).map_err(failed)
    }

    fn file(
        &mut self,
        path: &Path,
        mode: u32,
        _size: u64,
        content: &mut impl Read,
    ) -> Result<(), ExtractError> {
        let path = self.target.join(path);
        let failed = |source| ExtractError::Write { path: path.clone(), source };
        let parent = path.parent().unwrap_or(self.target);
        if self.parent.as_deref() != Some(parent) {
            make_directories(self.target, parent).map_err(failed)?;
            self.parent = Some(parent.to_owned());
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode & 0o777)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(failed)?;
        copy(content, &mut file, failed).map(drop)
    }
}

/// Makes the directories between `target` and `path`, each checked to be one and not a link to one.
fn make_directories(target: &Path, path: &Path) -> io::Result<()> {
    let Ok(relative) = path.strip_prefix(target) else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut current = target.to_owned();
    for component in relative.components() {
        current.push(component);
        match fs::DirBuilder::new().mode(0o750).create(&current) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !fs::symlink_metadata(&current)?.is_dir() {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

//! Unpacking archives that nobody vouches for.
//!
//! Nothing is ever written through a symlink or outside of the target; sizes, counts and names are bounded.
//! The target should be a directory of the caller's own that nobody else writes to.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

/// Longest name of an entry, and longest extended header.
const MAX_NAME: u64 = 4096;
const MAX_EXTENSION: u64 = 1 << 20;

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
    let mut archive = tar::Archive::new(archive);
    let mut extraction = Extraction { target, options, total: 0, count: 0, parent: None };
    // Raw entries: the tar crate would read extended names of any size into memory.
    let mut name: Option<Vec<u8>> = None;
    for entry in archive.entries().map_err(ExtractError::Archive)?.raw(true) {
        let mut entry = entry.map_err(ExtractError::Archive)?;
        match entry.header().entry_type() {
            EntryType::XHeader => {
                let extension = read_extension(&mut entry)?;
                if let Some(path) = pax_path(&extension)? {
                    name = Some(path);
                }
            }
            EntryType::GNULongName => {
                let mut extension = read_extension(&mut entry)?;
                while extension.last() == Some(&0) {
                    extension.pop();
                }
                name = Some(extension);
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            kind => {
                let path = name.take().unwrap_or_else(|| entry.header().path_bytes().into_owned());
                let mode = entry.header().mode().map_err(ExtractError::Archive)?;
                let size = entry.header().entry_size().map_err(ExtractError::Archive)?;
                extraction.entry(&path, kind, mode, size, &mut entry)?;
            }
        }
    }
    Ok(extraction.total)
}

fn read_extension(entry: &mut impl Read) -> Result<Vec<u8>, ExtractError> {
    let mut extension = Vec::new();
    entry.take(MAX_EXTENSION + 1).read_to_end(&mut extension).map_err(ExtractError::Archive)?;
    if extension.len() as u64 > MAX_EXTENSION {
        return Err(invalid("an extended header is too long"));
    }
    Ok(extension)
}

fn invalid(message: &str) -> ExtractError {
    ExtractError::Archive(io::Error::new(io::ErrorKind::InvalidData, message.to_owned()))
}

/// The `path` of a PAX header. A `size` there means an entry beyond 8 GiB, which is refused.
fn pax_path(mut records: &[u8]) -> Result<Option<Vec<u8>>, ExtractError> {
    let mut path = None;
    while !records.is_empty() {
        let malformed = || invalid("a PAX header is malformed");
        let blank = records.iter().take(10).position(|b| *b == b' ').ok_or_else(malformed)?;
        let length = std::str::from_utf8(&records[..blank]).ok().and_then(|n| n.parse::<usize>().ok());
        let length = length.filter(|n| *n > blank + 1 && *n <= records.len()).ok_or_else(malformed)?;
        let record = records[blank + 1..length].strip_suffix(b"\n").ok_or_else(malformed)?;
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(malformed)?;
        match &record[..equals] {
            b"path" => path = Some(record[equals + 1..].to_vec()),
            b"size" => return Err(invalid("an entry is larger than 8 GiB")),
            _ => {}
        }
        records = &records[length..];
    }
    Ok(path)
}

struct Extraction<'a> {
    target: &'a Path,
    options: &'a Options,
    total: u64,
    count: u64,
    /// The directory that the last file went to: most files share it with their predecessor.
    parent: Option<PathBuf>,
}

impl Extraction<'_> {
    fn entry(
        &mut self,
        name: &[u8],
        kind: EntryType,
        mode: u32,
        size: u64,
        content: &mut impl Read,
    ) -> Result<(), ExtractError> {
        self.count += 1;
        if self.count > self.options.max_entries {
            return Err(ExtractError::TooMany(self.options.max_entries));
        }
        let relative = relative_path(name)?;
        let shown = || String::from_utf8_lossy(name).into_owned();
        let path = self.target.join(&relative);
        match kind {
            EntryType::Directory => self.directory(&path, mode),
            EntryType::Regular | EntryType::Continuous => {
                self.total = self.total.saturating_add(size);
                if let Some(max) = self.options.max_bytes.filter(|max| self.total > *max) {
                    return Err(ExtractError::TooLarge(max));
                }
                if relative.as_os_str().is_empty() {
                    return Err(ExtractError::Name(shown()));
                }
                self.file(path, mode, content)
            }
            EntryType::Symlink if self.options.symlinks == Symlinks::Skip => Ok(()),
            EntryType::Symlink => Err(ExtractError::Symlink(shown())),
            _ => Err(ExtractError::Kind(shown())),
        }
    }

    fn directory(&mut self, path: &Path, mode: u32) -> Result<(), ExtractError> {
        let failed = |source| ExtractError::Write { path: path.to_owned(), source };
        make_directories(self.target, path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode((mode & 0o777) | 0o700)).map_err(failed)
    }

    fn file(&mut self, path: PathBuf, mode: u32, content: &mut impl Read) -> Result<(), ExtractError> {
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
        copy(content, &mut file, failed)
    }
}

/// Tells failures of the archive from those of the disk.
fn copy(
    content: &mut impl Read,
    file: &mut fs::File,
    failed: impl Fn(io::Error) -> ExtractError,
) -> Result<(), ExtractError> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = match content.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ExtractError::Archive(error)),
        };
        io::Write::write_all(file, &buffer[..length]).map_err(&failed)?;
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

fn relative_path(name: &[u8]) -> Result<PathBuf, ExtractError> {
    let refused = || ExtractError::Name(String::from_utf8_lossy(&name[..name.len().min(200)]).into_owned());
    if name.is_empty() || name.len() as u64 > MAX_NAME || name.contains(&b'\\') || name.contains(&0) {
        return Err(refused());
    }
    let mut relative = PathBuf::new();
    for component in Path::new(std::ffi::OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(part) => relative.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(refused()),
        }
    }
    Ok(relative)
}

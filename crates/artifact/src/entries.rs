//! The entries of archives that nobody vouches for: names, sizes and counts are checked before anybody sees them.

use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use crate::extract::{ExtractError, Options, Symlinks};

/// Longest name of an entry, and longest extended header.
const MAX_NAME: u64 = 4096;
const MAX_EXTENSION: u64 = 1 << 20;

/// Where the entries go. Paths are relative and do not leave the folder in which they begin; that folder itself has an
/// empty one, and no file has it.
pub(crate) trait Target {
    /// Takes a directory.
    fn directory(&mut self, path: &Path, mode: u32) -> Result<(), ExtractError>;

    /// Takes a file of `size` bytes. Content that is not read is skipped.
    fn file(
        &mut self,
        path: &Path,
        mode: u32,
        size: u64,
        content: &mut impl Read,
    ) -> Result<(), ExtractError>;
}

/// Gives each entry of a plain tar to `target`, in the order of the archive. Returns the sum of the file sizes.
pub(crate) fn read_tar(
    archive: impl Read,
    target: &mut impl Target,
    options: &Options,
) -> Result<u64, ExtractError> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = Entries { target, options, total: 0, count: 0 };
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
                entries.entry(&path, kind, mode, size, &mut entry)?;
            }
        }
    }
    Ok(entries.total)
}

struct Entries<'a, T> {
    target: &'a mut T,
    options: &'a Options,
    total: u64,
    count: u64,
}

impl<T: Target> Entries<'_, T> {
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
        let path = relative_path(name)?;
        let shown = || String::from_utf8_lossy(name).into_owned();
        match kind {
            EntryType::Directory => self.target.directory(&path, mode),
            EntryType::Regular | EntryType::Continuous => {
                self.total = self.total.saturating_add(size);
                if let Some(max) = self.options.max_bytes.filter(|max| self.total > *max) {
                    return Err(ExtractError::TooLarge(max));
                }
                if path.as_os_str().is_empty() {
                    return Err(ExtractError::Name(shown()));
                }
                self.target.file(&path, mode, size, content)
            }
            EntryType::Symlink if self.options.symlinks == Symlinks::Skip => Ok(()),
            EntryType::Symlink => Err(ExtractError::Symlink(shown())),
            _ => Err(ExtractError::Kind(shown())),
        }
    }
}

fn read_extension(entry: &mut impl Read) -> Result<Vec<u8>, ExtractError> {
    let mut extension = Vec::new();
    entry.take(MAX_EXTENSION + 1).read_to_end(&mut extension).map_err(ExtractError::Archive)?;
    if extension.len() as u64 > MAX_EXTENSION {
        return Err(invalid("an extended header is too long"));
    }
    Ok(extension)
}

pub(crate) fn invalid(message: &str) -> ExtractError {
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

/// Copies what is left of `content` and tells failures of the archive from those of the disk. Returns the bytes.
pub(crate) fn copy(
    content: &mut impl Read,
    out: &mut impl io::Write,
    failed: impl Fn(io::Error) -> ExtractError,
) -> Result<u64, ExtractError> {
    let mut buffer = [0; 16 * 1024];
    let mut copied = 0;
    loop {
        let length = match content.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ExtractError::Archive(error)),
        };
        out.write_all(&buffer[..length]).map_err(&failed)?;
        copied += length as u64;
    }
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

//! Files of an archive for those who read a few of them, without a folder for each: one temporary file that has no name
//! and so leaves nothing behind, whatever ends the process.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::entries::{Target, copy, invalid, read_tar};
use crate::extract::{ExtractError, Options};

/// So many bytes of names are held.
const MAX_NAMES: usize = 64 << 20;

/// Which parts of an archive are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Whole,
    /// Files with these paths, and all that is in folders with these paths.
    Parts(BTreeSet<PathBuf>),
}

impl Scope {
    /// Files and folders by their paths, which are relative and have no `..`. An empty path is the whole.
    pub fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: BTreeSet<PathBuf> = paths.into_iter().collect();
        if paths.contains(Path::new("")) { Scope::Whole } else { Scope::Parts(paths) }
    }

    /// Whether the file or folder at `path` is wanted, with all that is in it.
    pub fn covers(&self, path: &Path) -> bool {
        match self {
            Scope::Whole => true,
            Scope::Parts(paths) => path.ancestors().any(|part| paths.contains(part)),
        }
    }
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Directory,
    /// A file of so many bytes.
    File(u64),
}

/// The files of an archive. Of files with the same path the last one counts.
#[derive(Debug)]
pub struct Spool {
    content: File,
    scope: Scope,
    names: Vec<u8>,
    /// By path: what is in a folder follows the folder.
    records: Vec<Record>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    /// Where the path begins in `names`.
    name: u32,
    length: u16,
    /// Where the content begins and how long it is; `None` for folders.
    place: Option<(u64, u64)>,
}

impl Spool {
    /// Reads a gzipped tar and keeps what is in `scope`. It blocks.
    pub fn read(archive: impl Read, scope: Scope, options: &Options) -> Result<Self, ExtractError> {
        let temporary = |source| ExtractError::Write { path: std::env::temp_dir(), source };
        let content = tempfile::tempfile().map_err(temporary)?;
        let mut filling = Filling {
            out: BufWriter::with_capacity(64 * 1024, content),
            written: 0,
            scope: &scope,
            names: Vec::new(),
            records: Vec::new(),
        };
        read_tar(flate2::read::MultiGzDecoder::new(archive), &mut filling, options)?;
        let Filling { out, mut names, mut records, .. } = filling;
        let content = out.into_inner().map_err(|error| temporary(error.into_error()))?;
        records.sort_by(|one, other| compare(one.path(&names), other.path(&names)));
        records.dedup_by(|later, earlier| {
            let same = later.path(&names) == earlier.path(&names);
            if same {
                *earlier = *later;
            }
            same
        });
        names.shrink_to_fit();
        records.shrink_to_fit();
        Ok(Spool { content, scope, names, records })
    }

    /// Whether what is at `path` in the archive would be here.
    pub fn covers(&self, path: &Path) -> bool {
        self.scope.covers(path)
    }

    /// What `path` leads to.
    pub fn find(&self, path: &Path) -> Option<Entry> {
        if path.as_os_str().is_empty() {
            return Some(Entry::Directory);
        }
        let wanted = path.as_os_str().as_bytes();
        // The folder has no record of its own where the archive has none.
        let record = self.records.get(self.position(wanted)).filter(|record| self.is_at(record, wanted))?;
        Some(match record.place {
            Some((_, size)) if record.path(&self.names) == wanted => Entry::File(size),
            _ => Entry::Directory,
        })
    }

    /// The files in a folder and in all folders below it: their paths, from that folder on, and sizes. Folder by folder,
    /// each by name. Paths that are not UTF-8 are left out.
    pub fn files(&self, directory: &Path) -> impl Iterator<Item = (&str, u64)> {
        let wanted = directory.as_os_str().as_bytes().to_owned();
        let records = &self.records[self.position(&wanted)..];
        let prefix = wanted.len() + usize::from(!wanted.is_empty());
        let below = records.iter().take_while(move |record| self.is_at(record, &wanted));
        below.filter_map(move |record| {
            let name = std::str::from_utf8(record.path(&self.names).get(prefix..)?).ok()?;
            Some((name, record.place?.1))
        })
    }

    /// The content of a file. It blocks. The errors are those of a file system.
    pub fn content(&self, path: &Path) -> io::Result<Vec<u8>> {
        let failed = |code| Err(io::Error::from_raw_os_error(code));
        match self.find(path) {
            None => failed(libc::ENOENT),
            Some(Entry::Directory) => failed(libc::EISDIR),
            Some(Entry::File(_)) => {
                let record = &self.records[self.position(path.as_os_str().as_bytes())];
                let (start, size) = record.place.unwrap_or_default();
                let mut bytes = vec![0; usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?];
                self.content.read_exact_at(&mut bytes, start)?;
                Ok(bytes)
            }
        }
    }

    /// Where `path` is among the records, or would be.
    fn position(&self, path: &[u8]) -> usize {
        self.records.partition_point(|record| compare(record.path(&self.names), path) == Ordering::Less)
    }

    /// Whether a record is `path` or something in it.
    fn is_at(&self, record: &Record, path: &[u8]) -> bool {
        let rest = record.path(&self.names).strip_prefix(path);
        rest.is_some_and(|rest| path.is_empty() || matches!(rest.first(), None | Some(b'/')))
    }
}

impl Record {
    fn path<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        &names[self.name as usize..][..usize::from(self.length)]
    }
}

/// The order of paths in which what is in a folder comes right after the folder.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    one.iter().map(key).cmp(other.iter().map(key))
}

struct Filling<'a> {
    out: BufWriter<File>,
    written: u64,
    scope: &'a Scope,
    names: Vec<u8>,
    records: Vec<Record>,
}

impl Filling<'_> {
    fn record(&mut self, path: &Path, place: Option<(u64, u64)>) -> Result<(), ExtractError> {
        let path = path.as_os_str().as_bytes();
        let name = u32::try_from(self.names.len()).ok().filter(|start| *start as usize <= MAX_NAMES);
        let (Some(name), Ok(length)) = (name, u16::try_from(path.len())) else {
            return Err(invalid(&format!(
                "the names of its files are longer than {MAX_NAMES} bytes together"
            )));
        };
        self.names.extend_from_slice(path);
        self.records.push(Record { name, length, place });
        Ok(())
    }
}

impl Target for Filling<'_> {
    fn directory(&mut self, path: &Path, _mode: u32) -> Result<(), ExtractError> {
        if !self.scope.covers(path) || path.as_os_str().is_empty() {
            return Ok(());
        }
        self.record(path, None)
    }

    fn file(
        &mut self,
        path: &Path,
        _mode: u32,
        size: u64,
        content: &mut impl Read,
    ) -> Result<(), ExtractError> {
        if !self.scope.covers(path) {
            return Ok(());
        }
        self.record(path, Some((self.written, size)))?;
        let failed = |source| ExtractError::Write { path: std::env::temp_dir(), source };
        let copied = copy(content, &mut self.out, failed)?;
        if copied != size {
            return Err(invalid("a file is cut off"));
        }
        self.written += copied;
        Ok(())
    }
}

//! A tree as an artifact.

use std::io::Write;

use sluice_artifact::{Archive, Rules};

use super::select::Selection;
use super::walk::{Visitor, walk};
use super::{TreeError, View, shown};
use crate::error::Error;
use crate::object::ObjectId;
use crate::pack::Interrupt;
use crate::repository::Repository;

/// What a tar header can say.
const MAX_FILE: u64 = 8 << 30;
/// All files together: the same large one may be there a thousand times.
const MAX_BYTES: u64 = 32 << 30;
/// Files up to this size are read before they are written.
const SMALL: u64 = 64 * 1024;
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What was archived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Number of files.
    pub files: u64,
    /// How many of them are pointers of Git LFS.
    pub lfs_pointers: u64,
}

/// Writes what `rules` and `selection` leave of a tree.
pub fn archive<W: Write>(
    view: &View,
    selection: &Selection,
    rules: &Rules,
    out: W,
    interrupt: &Interrupt,
) -> Result<Report, Error> {
    let mut archiver =
        Archiver { archive: Archive::new(out), rules, interrupt, report: Report::default(), bytes: 0 };
    walk(view, selection, interrupt, &mut archiver)?;
    archiver.archive.finish().map_err(TreeError::Write)?;
    Ok(archiver.report)
}

struct Archiver<'a, W: Write> {
    archive: Archive<W>,
    rules: &'a Rules,
    interrupt: &'a Interrupt,
    report: Report,
    bytes: u64,
}

impl<W: Write> Visitor for Archiver<'_, W> {
    fn directory(&mut self, path: &[u8]) -> Result<(), Error> {
        if path.is_empty() {
            self.archive.directory(b".").map_err(TreeError::Write)?;
        } else if !self.rules.ignores(path, true) {
            check(path)?;
            self.archive.directory(path).map_err(TreeError::Write)?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &[u8],
        executable: bool,
        id: ObjectId,
        repository: &Repository,
    ) -> Result<(), Error> {
        if self.rules.ignores(path, false) {
            return Ok(());
        }
        check(path)?;
        let size = repository.blob_size(id)?;
        if size >= MAX_FILE {
            return Err(TreeError::TooLarge { path: shown(path), size }.into());
        }
        self.report.files += 1;
        self.bytes += size;
        if self.bytes > MAX_BYTES {
            return Err(TreeError::Bytes(MAX_BYTES).into());
        }
        if size <= SMALL {
            let content = repository.small_blob(id, SMALL)?.unwrap_or_default();
            self.report.lfs_pointers += u64::from(content.starts_with(LFS_POINTER));
            return Ok(self.archive.file(path, executable, size, &content[..]).map_err(TreeError::Write)?);
        }
        self.archive.file_with(path, executable, size, |out| repository.copy_blob(id, out, self.interrupt))
    }
}

/// Names that consumers of artifacts refuse: better to say so here, where the repository is known.
fn check(path: &[u8]) -> Result<(), TreeError> {
    if path.contains(&b'\\') { Err(TreeError::Name(shown(path))) } else { Ok(()) }
}

//! A tree as files, where something is to be put beside them.

use std::fs::{DirBuilder, OpenOptions};
use std::io::BufWriter;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::select::Selection;
use super::walk::{Visitor, walk};
use super::{TreeError, View};
use crate::error::Error;
use crate::object::ObjectId;
use crate::pack::Interrupt;
use crate::repository::Repository;

/// Writes a tree into `directory`, which must be empty and the caller's own. Symlinks are left out.
pub fn checkout(
    view: &View,
    selection: &Selection,
    directory: &Path,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    walk(view, selection, interrupt, &mut Writer { directory, interrupt })
}

struct Writer<'a> {
    directory: &'a Path,
    interrupt: &'a Interrupt,
}

impl Writer<'_> {
    /// The walk has checked every component.
    fn path(&self, path: &[u8]) -> PathBuf {
        self.directory.join(std::ffi::OsStr::from_bytes(path))
    }
}

impl Visitor for Writer<'_> {
    fn directory(&mut self, path: &[u8]) -> Result<(), Error> {
        if !path.is_empty() {
            DirBuilder::new().mode(0o700).create(self.path(path)).map_err(TreeError::Write)?;
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
        let mode = if executable { 0o700 } else { 0o600 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(self.path(path));
        let mut out = BufWriter::new(file.map_err(TreeError::Write)?);
        repository.copy_blob(id, &mut out, self.interrupt)?;
        out.into_inner().map_err(|error| TreeError::Write(error.into_error()))?;
        Ok(())
    }
}

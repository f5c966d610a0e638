//! The `.sourceignore` files of a tree.

use sluice_artifact::ignore::{FILE_NAME, Patterns};

use super::View;
use super::select::Selection;
use super::walk::{Visitor, walk};
use crate::error::Error;
use crate::object::{Mode, ObjectId, TreeEntry};
use crate::pack::Interrupt;
use crate::repository::Repository;

/// Larger files of patterns are cut off there.
const MAX_FILE: u64 = 1 << 20;

/// All patterns in a tree: a directory's own before those of its subdirectories, each in its scope.
pub fn patterns(view: &View, selection: &Selection, interrupt: &Interrupt) -> Result<Patterns, Error> {
    let mut collector = Collector(Patterns::new());
    walk(view, selection, interrupt, &mut collector)?;
    Ok(collector.0)
}

struct Collector(Patterns);

impl Visitor for Collector {
    fn enter(&mut self, path: &[u8], entries: &[TreeEntry], repository: &Repository) -> Result<(), Error> {
        let file = entries.iter().find(|entry| entry.name == FILE_NAME.as_bytes());
        if let Some(TreeEntry { mode: Mode::File { .. }, id, .. }) = file
            && let Some(text) = repository.small_blob(*id, MAX_FILE)?
        {
            self.0.read(path, &text);
        }
        Ok(())
    }

    fn directory(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn file(&mut self, _: &[u8], _: bool, _: ObjectId, _: &Repository) -> Result<(), Error> {
        Ok(())
    }
}

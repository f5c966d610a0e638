//! The walk itself: depth first, names in byte order, one directory listing per level in memory.

use super::select::{Relation, Selection};
use super::{TreeError, View, shown};
use crate::error::Error;
use crate::object::{Mode, ObjectId, TreeEntry};
use crate::pack::Interrupt;
use crate::repository::Repository;

const MAX_DEPTH: usize = 500;
/// A few small objects can make a tree of any size: each of its directories is the same one.
const MAX_ENTRIES: u64 = 1_000_000;

/// What a walk does with what it finds. Paths have no leading slash; the root's is empty.
pub(super) trait Visitor {
    /// A directory is about to be read; its entries are known.
    fn enter(&mut self, _path: &[u8], _entries: &[TreeEntry], _repository: &Repository) -> Result<(), Error> {
        Ok(())
    }

    fn directory(&mut self, path: &[u8]) -> Result<(), Error>;

    fn file(
        &mut self,
        path: &[u8],
        executable: bool,
        id: ObjectId,
        repository: &Repository,
    ) -> Result<(), Error>;
}

pub(super) fn walk(
    view: &View,
    selection: &Selection,
    interrupt: &Interrupt,
    visitor: &mut dyn Visitor,
) -> Result<(), Error> {
    let mut walk = Walk { selection, interrupt, visitor, path: Vec::new(), depth: 0, entries: 0 };
    walk.view(view)
}

struct Walk<'a> {
    selection: &'a Selection,
    interrupt: &'a Interrupt,
    visitor: &'a mut dyn Visitor,
    path: Vec<u8>,
    depth: usize,
    entries: u64,
}

impl Walk<'_> {
    fn view(&mut self, view: &View) -> Result<(), Error> {
        let prefix = self.path.len();
        self.visitor.directory(&self.path)?;
        self.directory(view, view.tree, prefix)
    }

    /// Reads the directory at `self.path`. `prefix` is where the path within `view` begins.
    fn directory(&mut self, view: &View, tree: ObjectId, prefix: usize) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(TreeError::Depth(MAX_DEPTH).into());
        }
        let entries = view.repository.tree(tree)?;
        check(&self.path, &entries)?;
        self.entries += entries.len() as u64;
        if self.entries > MAX_ENTRIES {
            return Err(TreeError::Entries(MAX_ENTRIES).into());
        }
        if self.selection.relation(&self.path) == Relation::Inside {
            self.visitor.enter(&self.path, &entries, &view.repository)?;
        }
        let parent = self.path.len();
        for entry in &entries {
            self.interrupt.check()?;
            if parent > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(&entry.name);
            self.entry(view, entry, prefix)?;
            self.path.truncate(parent);
        }
        self.depth -= 1;
        Ok(())
    }

    fn entry(&mut self, view: &View, entry: &TreeEntry, prefix: usize) -> Result<(), Error> {
        let relation = self.selection.relation(&self.path);
        match entry.mode {
            _ if relation == Relation::Outside => Ok(()),
            Mode::Directory => {
                self.visitor.directory(&self.path)?;
                self.directory(view, entry.id, prefix)
            }
            Mode::File { executable } if relation == Relation::Inside => {
                self.visitor.file(&self.path, executable, entry.id, &view.repository)
            }
            Mode::Submodule => {
                let within = &self.path[prefix..];
                let within = within.strip_prefix(b"/").unwrap_or(within);
                match view.submodules.get(within) {
                    Some(submodule) => self.view(submodule),
                    None => self.visitor.directory(&self.path),
                }
            }
            Mode::File { .. } | Mode::Symlink => Ok(()),
        }
    }
}

/// Refuses what no Git program of good faith writes.
fn check(directory: &[u8], entries: &[TreeEntry]) -> Result<(), TreeError> {
    let full = |name: &[u8]| {
        let mut path = directory.to_vec();
        path.push(b'/');
        path.extend_from_slice(name);
        shown(path.strip_prefix(b"/").unwrap_or(&path))
    };
    for entry in entries {
        let name = entry.name.as_slice();
        let forbidden = name.is_empty()
            || name == b"."
            || name == b".."
            || name.contains(&b'/')
            || name.eq_ignore_ascii_case(b".git")
            || name.eq_ignore_ascii_case(b"git~1");
        if forbidden {
            return Err(TreeError::Name(full(name)));
        }
    }
    for pair in entries.windows(2) {
        if pair[0].name == pair[1].name {
            return Err(TreeError::Duplicate(full(&pair[0].name)));
        }
    }
    Ok(())
}

//! Walking the tree of a commit, from the pack straight into an artifact.
//!
//! Names come from whoever may push, so each is checked: nothing that leads out of the tree, nothing that a Git
//! program would take for a repository. Symlinks are left out, as artifacts have none.

mod archive;
mod checkout;
mod files;
mod ignore;
mod select;
mod walk;

use std::collections::BTreeMap;
use std::io;

pub use archive::{Report, archive};
pub use checkout::checkout;
pub use files::{FileEntry, files};
pub use ignore::patterns;
pub use select::Selection;

use crate::object::{Mode, ObjectId};
use crate::repository::Repository;

/// A tree to read, with the trees of its submodules.
#[derive(Debug, Clone)]
pub struct View {
    /// Where its objects are.
    pub repository: Repository,
    /// The tree.
    pub tree: ObjectId,
    /// Trees of submodules by their paths. A submodule without one is an empty directory.
    pub submodules: BTreeMap<Vec<u8>, View>,
}

/// Why a tree is not archived.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A name that no tree of good faith has.
    #[error("refused the tree: the entry {0:?} has a forbidden name")]
    Name(String),
    /// The same name twice in one directory.
    #[error("refused the tree: the entry {0:?} is there twice")]
    Duplicate(String),
    /// Directories in directories without end.
    #[error("refused the tree: directories are nested more than {0} deep")]
    Depth(usize),
    /// Directories that are there again and again, without end.
    #[error("refused the tree: it has more than {0} entries")]
    Entries(u64),
    /// Content that is there again and again, without end.
    #[error("refused the tree: its files have more than {0} bytes")]
    Bytes(u64),
    /// A directory that was asked for does not exist.
    #[error("sparse checkout dir '{0}' does not exist in repository")]
    Missing(String),
    /// A file that the artifact's format cannot hold.
    #[error("the file {path:?} has {size} bytes: an artifact holds files of less than 8 GiB")]
    TooLarge {
        /// Its path.
        path: String,
        /// Its size.
        size: u64,
    },
    /// The artifact cannot be written.
    #[error("cannot write the content of the repository")]
    Write(#[from] io::Error),
}

impl View {
    /// A tree without submodules.
    pub fn new(repository: Repository, tree: ObjectId) -> Self {
        View { repository, tree, submodules: BTreeMap::new() }
    }

    /// What stands at a path: kind and object.
    pub fn find(&self, path: &str) -> Result<Option<(Mode, ObjectId)>, crate::Error> {
        let mut found = (Mode::Directory, self.tree);
        for component in path.split('/').filter(|c| !c.is_empty() && *c != ".") {
            if found.0 != Mode::Directory {
                return Ok(None);
            }
            let entries = self.repository.tree(found.1)?;
            match entries.into_iter().find(|entry| entry.name == component.as_bytes()) {
                Some(entry) => found = (entry.mode, entry.id),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// The content of a file of at most `limit` bytes.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, crate::Error> {
        match self.find(path)? {
            Some((Mode::File { .. }, id)) => self.repository.small_blob(id, limit),
            _ => Ok(None),
        }
    }
}

pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(&path[path.len().saturating_sub(200)..]).into_owned()
}

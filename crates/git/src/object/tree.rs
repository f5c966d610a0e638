//! Trees.

use gix::hash::Kind::Sha1;
use gix::objs::TreeRefIter;
use gix::objs::tree::EntryKind;

use super::ObjectId;

/// What a tree entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A file.
    File {
        /// Whether it is executable.
        executable: bool,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its name: one path component, not checked.
    pub name: Vec<u8>,
    /// What it is.
    pub mode: Mode,
    /// Its object.
    pub id: ObjectId,
}

/// Reads a tree. Names are as they are in the object: the caller decides what to accept.
pub(crate) fn parse_tree(content: &[u8]) -> Result<Vec<TreeEntry>, String> {
    let entry = |entry: Result<gix::objs::tree::EntryRef<'_>, _>| {
        let entry = entry.map_err(|_| "an entry is malformed".to_owned())?;
        let mode = match entry.mode.kind() {
            EntryKind::Tree => Mode::Directory,
            EntryKind::Blob => Mode::File { executable: false },
            EntryKind::BlobExecutable => Mode::File { executable: true },
            EntryKind::Link => Mode::Symlink,
            EntryKind::Commit if entry.mode.is_commit() => Mode::Submodule,
            EntryKind::Commit => {
                let name = entry.filename;
                return Err(format!(
                    "the entry {name:?} has the mode {:o}, which no file of Git has",
                    entry.mode
                ));
            }
        };
        Ok(TreeEntry { name: entry.filename.to_vec(), mode, id: entry.oid.into() })
    };
    TreeRefIter::from_bytes(content, Sha1).map(entry).collect()
}

//! Finding files of a tree by their names.

use super::{TreeError, View};
use crate::error::Error;
use crate::object::{Mode, ObjectId};
use crate::repository::Repository;

/// Directories nest at most so deep.
const MAX_DEPTH: usize = 500;
/// So many entries are looked at.
const MAX_ENTRIES: u64 = 1_000_000;

/// A file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its path from the root.
    pub path: String,
    /// Its object.
    pub id: ObjectId,
}

/// The files below a directory (the root if it is empty) whose names are wanted, in the order of their paths; `None` if
/// there is no such directory. Links are not followed, submodules not entered.
pub fn files(
    view: &View,
    directory: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Option<Vec<FileEntry>>, Error> {
    let Some((Mode::Directory, tree)) = view.find(directory)? else { return Ok(None) };
    let parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let mut search = Search { repository: &view.repository, wanted, files: Vec::new(), entries: 0 };
    search.collect(tree, &parts.join("/"), 0)?;
    let mut files = search.files;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Some(files))
}

struct Search<'a> {
    repository: &'a Repository,
    wanted: &'a dyn Fn(&str) -> bool,
    files: Vec<FileEntry>,
    entries: u64,
}

impl Search<'_> {
    fn collect(&mut self, tree: ObjectId, path: &str, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(TreeError::Depth(MAX_DEPTH).into());
        }
        for entry in self.repository.tree(tree)? {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(TreeError::Entries(MAX_ENTRIES).into());
            }
            // A name that is no text, or that leads elsewhere, is not one that anybody looks for.
            let Ok(name) = std::str::from_utf8(&entry.name) else { continue };
            if matches!(name, "" | "." | "..") || name.contains('/') || name.eq_ignore_ascii_case(".git") {
                continue;
            }
            let inner = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            match entry.mode {
                Mode::Directory => self.collect(entry.id, &inner, depth + 1)?,
                Mode::File { .. } if (self.wanted)(name) => {
                    self.files.push(FileEntry { path: inner, id: entry.id });
                }
                Mode::File { .. } | Mode::Symlink | Mode::Submodule => {}
            }
        }
        Ok(())
    }
}

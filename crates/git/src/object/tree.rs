//! Trees.

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
pub(crate) fn parse_tree(mut content: &[u8]) -> Result<Vec<TreeEntry>, String> {
    let mut entries = Vec::new();
    while !content.is_empty() {
        let blank = content.iter().take(7).position(|b| *b == b' ').ok_or("an entry has no mode")?;
        let mode = std::str::from_utf8(&content[..blank]).ok().and_then(|m| u32::from_str_radix(m, 8).ok());
        let mode = match mode.map(|mode| (mode & 0o170_000, mode & 0o111)) {
            Some((0o040_000, _)) => Mode::Directory,
            Some((0o100_000, executable)) => Mode::File { executable: executable != 0 },
            Some((0o120_000, _)) => Mode::Symlink,
            Some((0o160_000, _)) => Mode::Submodule,
            _ => return Err("an entry has an unknown mode".to_owned()),
        };
        content = &content[blank + 1..];
        let end = content.iter().position(|b| *b == 0).ok_or("an entry has no end")?;
        let id =
            content.get(end + 1..end + 21).and_then(ObjectId::from_slice).ok_or("an entry is cut off")?;
        entries.push(TreeEntry { name: content[..end].to_vec(), mode, id });
        content = &content[end + 21..];
    }
    Ok(entries)
}

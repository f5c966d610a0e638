//! Git's objects: names and content.

mod commit;
mod id;
mod tag;
mod tree;

pub use commit::{Commit, Signature};
pub(crate) use id::IdHasher;
pub use id::ObjectId;
pub use tag::Tag;
pub(crate) use tree::parse_tree;
pub use tree::{Mode, TreeEntry};

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A commit.
    Commit,
    /// A directory.
    Tree,
    /// A file.
    Blob,
    /// An annotated tag.
    Tag,
}

impl Kind {
    /// Its name in Git.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
            Kind::Tag => "tag",
        }
    }
}

/// Splits the headers of a commit or tag from its message: `(name, value)`, continuation lines joined by newlines.
pub(crate) type Headers<'a> = Vec<(&'a [u8], Vec<u8>)>;

pub(crate) fn split_headers(content: &[u8]) -> Option<(Headers<'_>, &[u8])> {
    let mut headers: Headers<'_> = Vec::new();
    let mut rest = content;
    loop {
        let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            return Some((headers, rest));
        }
        if let Some(continuation) = line.strip_prefix(b" ") {
            let (_, value) = headers.last_mut()?;
            value.push(b'\n');
            value.extend_from_slice(continuation);
        } else {
            let blank = line.iter().position(|b| *b == b' ')?;
            headers.push((&line[..blank], line[blank + 1..].to_vec()));
        }
    }
}

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

impl From<Kind> for gix::objs::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Commit => Self::Commit,
            Kind::Tree => Self::Tree,
            Kind::Blob => Self::Blob,
            Kind::Tag => Self::Tag,
        }
    }
}

/// Seconds since 1970 of an author, committer or tagger; 0 where the date makes no sense.
fn seconds(signature: &gix::actor::SignatureRef<'_>) -> i64 {
    signature.time().map(|time| time.seconds).unwrap_or_default()
}

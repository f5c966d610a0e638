//! Reading what was fetched.

use std::io::Write;
use std::sync::Arc;

use crate::error::Error;
use crate::object::{Commit, Kind, ObjectId, Tag, TreeEntry, parse_tree};
use crate::pack::{Interrupt, Pack};

/// Larger commits, tags and trees are refused.
const MAX_STRUCTURE: u64 = 64 << 20;
/// Tags that point at tags, at most so deep.
const MAX_TAGS: usize = 16;

/// The objects of a fetch, and of those before it that it builds upon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    packs: Arc<[Arc<Pack>]>,
}

impl Repository {
    /// The objects of `pack`, which are looked for first, and of others.
    pub(crate) fn new(pack: Arc<Pack>, others: &[Arc<Pack>]) -> Self {
        Repository { packs: std::iter::once(pack).chain(others.iter().cloned()).collect() }
    }

    /// The packs; the one that was fetched is the first.
    pub(crate) fn packs(&self) -> &[Arc<Pack>] {
        &self.packs
    }

    fn header(&self, id: ObjectId) -> Option<(Kind, u64)> {
        self.packs.iter().find_map(|pack| pack.header(id))
    }

    fn copy(&self, id: ObjectId, out: &mut dyn Write, interrupt: &Interrupt) -> Result<(), Error> {
        for pack in self.packs.iter() {
            if pack.copy(id, out, interrupt)?.is_some() {
                return Ok(());
            }
        }
        Err(Error::ObjectNotFound(id))
    }

    /// Whether an object is there.
    pub fn contains(&self, id: ObjectId) -> bool {
        self.header(id).is_some()
    }

    /// A commit.
    pub fn commit(&self, id: ObjectId) -> Result<Commit, Error> {
        let raw = self.structure(id, Kind::Commit)?;
        Commit::parse(id, raw).map_err(|reason| Error::Object { kind: "commit", id, reason })
    }

    /// An annotated tag.
    pub fn tag(&self, id: ObjectId) -> Result<Tag, Error> {
        let raw = self.structure(id, Kind::Tag)?;
        Tag::parse(id, raw).map_err(|reason| Error::Object { kind: "tag", id, reason })
    }

    /// The commit that `id` names: itself, or what a tag leads to.
    pub fn peel(&self, mut id: ObjectId) -> Result<ObjectId, Error> {
        for _ in 0..MAX_TAGS {
            match self.header(id) {
                Some((Kind::Commit, _)) => return Ok(id),
                Some((Kind::Tag, _)) => id = self.tag(id)?.target,
                Some((kind, _)) => {
                    let reason = format!("a {} where a commit is needed", kind.name());
                    return Err(Error::Object { kind: "reference", id, reason });
                }
                None => return Err(Error::ObjectNotFound(id)),
            }
        }
        Err(Error::Object { kind: "tag", id, reason: "tags point at tags without end".to_owned() })
    }

    /// The entries of a tree, sorted by the bytes of their names.
    pub(crate) fn tree(&self, id: ObjectId) -> Result<Vec<TreeEntry>, Error> {
        let raw = self.structure(id, Kind::Tree)?;
        let mut entries = parse_tree(&raw).map_err(|reason| Error::Object { kind: "tree", id, reason })?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The size of a file.
    pub(crate) fn blob_size(&self, id: ObjectId) -> Result<u64, Error> {
        match self.header(id) {
            Some((Kind::Blob, size)) => Ok(size),
            Some((kind, _)) => {
                let reason = format!("a {} where a file is needed", kind.name());
                Err(Error::Object { kind: "tree entry", id, reason })
            }
            None => Err(Error::ObjectNotFound(id)),
        }
    }

    /// Writes the content of a file.
    pub(crate) fn copy_blob(
        &self,
        id: ObjectId,
        out: &mut dyn Write,
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        self.copy(id, out, interrupt)
    }

    /// The content of a file of at most `limit` bytes; `None` if it is larger.
    pub(crate) fn small_blob(&self, id: ObjectId, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        if self.blob_size(id)? > limit {
            return Ok(None);
        }
        let mut content = Vec::new();
        self.copy_blob(id, &mut content, &Interrupt::default())?;
        Ok(Some(content))
    }

    fn structure(&self, id: ObjectId, wanted: Kind) -> Result<Vec<u8>, Error> {
        let (kind, size) = self.header(id).ok_or(Error::ObjectNotFound(id))?;
        let invalid = |reason: String| Error::Object { kind: wanted.name(), id, reason };
        if kind != wanted {
            return Err(invalid(format!("it is a {}", kind.name())));
        }
        if size > MAX_STRUCTURE {
            return Err(invalid(format!("it has {size} bytes")));
        }
        let mut raw = Vec::new();
        self.copy(id, &mut raw, &Interrupt::default())?;
        Ok(raw)
    }
}

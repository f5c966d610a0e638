//! A pack: received, checked, indexed, read where it lies.
//!
//! The pack goes to an unnamed temporary file while it arrives. Every object is inflated once to check it and to learn
//! its name; nothing of it is kept but some fifty bytes. Deltas are resolved along their chains with a bounded part of
//! the content in memory and the rest in a scratch file. So a pack of any size, with files of any size, costs the
//! same memory; what a hostile one can cost in disk and objects is limited.

mod delta;
mod entry;
mod inflate;
mod interrupt;
mod kept;
mod read;
mod receive;
mod resolve;
mod scratch;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};

pub use interrupt::{Interrupt, InterruptGuard};
pub(crate) use kept::KeptPack;

use crate::object::{Kind, ObjectId};

/// What a pack may cost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the pack.
    pub pack_bytes: u64,
    /// Number of objects.
    pub objects: u32,
    /// Bytes of one object.
    pub object_bytes: u64,
    /// Bytes on disk while deltas are resolved.
    pub scratch_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { pack_bytes: 8 << 30, objects: 20_000_000, object_bytes: 8 << 30, scratch_bytes: 8 << 30 }
    }
}

/// Why a pack cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// It violates the format.
    #[error("invalid pack: {0}")]
    Malformed(&'static str),
    /// It ends too early.
    #[error("the pack is cut off")]
    Truncated,
    /// Its checksum does not match.
    #[error("the pack's checksum does not match")]
    Checksum,
    /// An object was made to have the name of another one.
    #[error("an object in the pack is part of a SHA-1 collision attack")]
    Collision,
    /// It costs more than allowed.
    #[error("the pack has more than {limit} {what}")]
    Limit {
        /// The limit.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
    /// The caller gave up.
    #[error("interrupted")]
    Interrupted,
    /// The temporary file cannot be written or read.
    #[error("cannot store the pack")]
    Store(#[source] io::Error),
    /// Where content was to be written to failed.
    #[error("cannot write content")]
    Write(#[source] io::Error),
}

/// One object of a pack.
#[derive(Debug, Clone)]
struct Entry {
    /// Where its compressed bytes begin.
    offset: u64,
    /// How many bytes those inflate to.
    stored: u64,
    /// The size of the object: the same, except for deltas.
    size: u64,
    id: ObjectId,
    /// The entry that a delta applies to.
    base: Option<u32>,
    kind: Kind,
}

/// A complete, checked pack.
#[derive(Debug)]
pub(crate) struct Pack {
    file: Arc<File>,
    entries: Vec<Entry>,
    /// Indices of `entries`, sorted by name.
    by_id: Vec<u32>,
    limits: Limits,
    cache: Mutex<Cache>,
}

/// Objects that others are deltas of, while they are small.
#[derive(Debug, Default)]
struct Cache {
    objects: HashMap<u32, Arc<Vec<u8>>>,
    order: std::collections::VecDeque<u32>,
    bytes: usize,
}

impl Pack {
    fn find(&self, id: ObjectId) -> Option<u32> {
        let at = self.by_id.binary_search_by(|index| self.entry(*index).id.cmp(&id)).ok()?;
        Some(self.by_id[at])
    }

    fn entry(&self, index: u32) -> &Entry {
        &self.entries[index as usize]
    }

    /// Kind and size of an object.
    pub(crate) fn header(&self, id: ObjectId) -> Option<(Kind, u64)> {
        self.find(id).map(|index| (self.entry(index).kind, self.entry(index).size))
    }
}

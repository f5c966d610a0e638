//! Which identifiers a growing list of resources has.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use crate::resource::Resource;

/// Hashes of the identifiers of the first resources of a list to which more are appended, so that what comes need not be
/// compared with all that is there.
#[derive(Default)]
pub(crate) struct SeenIds {
    hasher: RandomState,
    hashes: HashSet<u64>,
    /// How many resources have been looked at.
    count: usize,
}

impl SeenIds {
    /// Whether the resources from a position on may have an identifier that one before them has.
    pub(crate) fn may_repeat(&mut self, all: &[Resource], start: usize) -> bool {
        if self.count != start {
            self.hashes.clear();
            self.note(&all[..start]);
        }
        let repeats = self.note(&all[start..]);
        self.count = all.len();
        repeats
    }

    fn note(&mut self, resources: &[Resource]) -> bool {
        resources.iter().fold(false, |repeats, resource| {
            let is_new = self.hashes.insert(self.hasher.hash_one(resource.id().key()));
            repeats || !is_new
        })
    }
}

//! Where things stand in a list, found by what they are called, at eight bytes for each.

use std::hash::{BuildHasher as _, Hash, RandomState};

/// Positions by the hashes of keys. The keys themselves stay where they are: what is found must still be compared.
#[derive(Default)]
pub(crate) struct Positions {
    hasher: RandomState,
    /// Hash and position, sorted.
    entries: Vec<(u32, u32)>,
}

impl Positions {
    /// From keys and where they stand; there may be `count` of them or more.
    pub(crate) fn new<K: Hash>(count: usize, keys: impl Iterator<Item = (K, usize)>) -> Self {
        let hasher = RandomState::new();
        let mut entries = Vec::with_capacity(count);
        entries.extend(keys.map(|(key, at)| (hasher.hash_one(key) as u32, at as u32)));
        entries.sort_unstable();
        entries.dedup();
        Self { hasher, entries }
    }

    /// Where the key may stand, in order.
    pub(crate) fn find<K: Hash + ?Sized>(&self, key: &K) -> impl Iterator<Item = usize> {
        let hash = self.hasher.hash_one(key) as u32;
        let start = self.entries.partition_point(|(other, _)| *other < hash);
        let rest = self.entries.get(start..).unwrap_or_default();
        rest.iter().take_while(move |(other, _)| *other == hash).map(|(_, at)| *at as usize)
    }

    /// The positions that may have one key, in order, where there are several.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Vec<usize>> {
        let groups = self.entries.chunk_by(|(left, _), (right, _)| left == right);
        groups.filter(|group| group.len() > 1).map(|group| group.iter().map(|(_, at)| *at as usize).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Positions;

    #[test]
    fn keys_are_found_where_they_stand() {
        let keys = ["a", "b", "a", "c", "a"];
        let positions = Positions::new(keys.len(), keys.into_iter().zip(0..).chain([("b", 1)]));
        assert_eq!(positions.find("a").collect::<Vec<_>>(), [0, 2, 4]);
        assert_eq!(positions.find("b").collect::<Vec<_>>(), [1]);
        assert_eq!(positions.find("d").count(), 0);
        assert_eq!(positions.groups().collect::<Vec<_>>(), [[0, 2, 4]]);
    }
}

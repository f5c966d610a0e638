//! What is in a bucket, and the revision that stands for it.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest as _, Sha256};
use sluice_artifact::Algorithm;

use crate::Error;

/// More objects than this are no source of manifests.
const MAX_OBJECTS: usize = 1_000_000;

/// An object as the listing tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its generation, at stores that pin reads by it.
    pub generation: Option<String>,
}

/// Everything that a bucket has below a prefix.
#[derive(Clone, Debug, Default)]
pub struct Listing(BTreeMap<String, Object>);

impl Listing {
    pub(crate) fn insert(&mut self, key: String, object: Object) -> Result<(), Error> {
        self.0.insert(key, object);
        if self.0.len() > MAX_OBJECTS { Err(Error::TooMany(MAX_OBJECTS)) } else { Ok(()) }
    }

    /// The object with this name.
    pub fn get(&self, key: &str) -> Option<&Object> {
        self.0.get(key)
    }

    /// What is to become files: folders (names that end with a slash) never are, nor what `ignored` says.
    pub fn index(self, ignored: impl Fn(&str) -> bool) -> Index {
        let wanted = |key: &String| !key.ends_with('/') && !ignored(key);
        Index(self.0.into_iter().filter(|(key, _)| wanted(key)).collect())
    }
}

/// The objects that make up an artifact.
#[derive(Clone, Debug, Default)]
pub struct Index(pub(crate) BTreeMap<String, Object>);

impl Index {
    /// The digest of all names and entity tags.
    pub fn revision(&self, algorithm: Algorithm) -> String {
        let mut hasher = algorithm.hasher();
        for (key, object) in &self.0 {
            hasher.update(format!("{key} {}\n", object.etag).as_bytes());
        }
        hasher.finish().to_string()
    }

    /// Their names, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What to remember of it.
    pub fn known(&self) -> Known {
        Known(self.0.iter().map(|(key, object)| fingerprint(key, &object.etag)).collect())
    }
}

/// Which objects an artifact was made of: sixteen bytes for each.
#[derive(Clone, Debug, Default)]
pub struct Known(HashSet<[u8; 16]>);

impl Known {
    /// Whether the object is in it with this entity tag.
    pub(crate) fn contains(&self, key: &str, etag: &str) -> bool {
        self.0.contains(&fingerprint(key, etag))
    }
}

fn fingerprint(key: &str, etag: &str) -> [u8; 16] {
    let sum = Sha256::new().chain_update(key).chain_update([0]).chain_update(etag).finalize();
    let mut short = [0; 16];
    short.copy_from_slice(&sum[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_the_digest_of_sorted_names_and_tags() {
        let mut listing = Listing::default();
        for (key, etag) in [("b.yaml", "2"), ("a/", "0"), ("a/c.yaml", "1"), ("skip.txt", "3")] {
            let object = Object { etag: etag.to_owned(), ..Object::default() };
            listing.insert(key.to_owned(), object).unwrap();
        }
        let index = listing.index(|key| key == "skip.txt");
        let expected = Algorithm::Sha256.digest(b"a/c.yaml 1\nb.yaml 2\n").to_string();
        assert_eq!(index.revision(Algorithm::Sha256), expected);
        assert!(index.known().contains("b.yaml", "2") && !index.known().contains("b.yaml", "1"));
    }
}

//! Names of objects.

use std::fmt;
use std::str::FromStr;

use gix::hash;

/// The SHA-1 name of an object.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(hash::ObjectId);

impl ObjectId {
    /// A name from its bytes.
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        ObjectId(hash::ObjectId::Sha1(bytes))
    }

    /// The name that stands for "no object".
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    pub(crate) fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

impl From<&hash::oid> for ObjectId {
    fn from(id: &hash::oid) -> Self {
        ObjectId(id.to_owned())
    }
}

impl From<hash::ObjectId> for ObjectId {
    fn from(id: hash::ObjectId) -> Self {
        ObjectId(id)
    }
}

impl FromStr for ObjectId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // Other lengths would be other kinds of hashes.
        if text.len() != hash::Kind::Sha1.len_in_hex() {
            return Err(());
        }
        hash::ObjectId::from_hex(text.as_bytes()).map(ObjectId).map_err(|_| ())
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Computes a name. Content made to collide with other content is found out and refused.
pub(crate) struct IdHasher(hash::Hasher);

impl IdHasher {
    /// For plain bytes, such as a pack.
    pub(crate) fn raw() -> Self {
        IdHasher(hash::hasher(hash::Kind::Sha1))
    }

    /// For an object of a kind and size.
    pub(crate) fn object(kind: super::Kind, size: u64) -> Self {
        let mut hasher = Self::raw();
        hasher.update(&gix::objs::encode::loose_header(kind.into(), size));
        hasher
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The name, or `None` for an attempted collision.
    pub(crate) fn finish(self) -> Option<ObjectId> {
        self.0.try_finalize().ok().map(ObjectId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Kind;

    #[test]
    fn names_are_those_of_git() {
        let mut hasher = IdHasher::object(Kind::Blob, 6);
        hasher.update(b"hello\n");
        assert_eq!(hasher.finish().unwrap().to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
        for bad in [
            "",
            "ce01",
            "ce013625030ba8dba906f756967f9e9ca394464g",
            "+e013625030ba8dba906f756967f9e9ca394464a",
        ] {
            assert!(bad.parse::<ObjectId>().is_err(), "{bad}");
        }
    }
}

//! Names of objects.

use std::fmt;
use std::str::FromStr;

use sha1_checked::{Digest as _, Sha1};

/// The SHA-1 name of an object.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId([u8; 20]);

impl ObjectId {
    /// A name from its bytes.
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        ObjectId(bytes)
    }

    /// A name from exactly 20 bytes.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(ObjectId)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The name that stands for "no object".
    pub(crate) fn is_null(&self) -> bool {
        self.0 == [0; 20]
    }
}

impl FromStr for ObjectId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 40 || !text.is_ascii() {
            return Err(());
        }
        let mut bytes = [0; 20];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = &text[2 * index..2 * index + 2];
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(());
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| ())?;
        }
        Ok(ObjectId(bytes))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Computes a name. Content made to collide with other content is found out and refused.
pub(crate) struct IdHasher(Sha1);

impl IdHasher {
    /// For plain bytes, such as a pack.
    pub(crate) fn raw() -> Self {
        IdHasher(Sha1::new())
    }

    /// For an object of a kind and size.
    pub(crate) fn object(kind: super::Kind, size: u64) -> Self {
        let mut hasher = Self::raw();
        hasher.update(format!("{} {size}\0", kind.name()).as_bytes());
        hasher
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The name, or `None` for an attempted collision.
    pub(crate) fn finish(self) -> Option<ObjectId> {
        let result = self.0.try_finalize();
        if result.has_collision() {
            return None;
        }
        ObjectId::from_slice(result.hash())
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

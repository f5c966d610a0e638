//! Annotated tags.

use gix::hash::Kind::Sha1;
use gix::objs::TagRef;

use super::commit::Signature;
use super::{ObjectId, seconds};

/// An annotated tag.
#[derive(Debug, Clone)]
pub struct Tag {
    /// Its name as an object.
    pub id: ObjectId,
    /// What it points at.
    pub target: ObjectId,
    /// The kind of that, in Git's words.
    pub target_kind: String,
    /// The name of the tag.
    pub name: String,
    /// When it was made, in seconds since 1970.
    pub time: i64,
    raw: Vec<u8>,
}

impl Tag {
    pub(crate) fn parse(id: ObjectId, raw: Vec<u8>) -> Result<Self, String> {
        let tag = TagRef::from_bytes(&raw, Sha1).map_err(|_| "malformed headers")?;
        let time = tag.tagger().ok().flatten().map(|tagger| seconds(&tagger)).unwrap_or_default();
        let (target, target_kind) = (tag.target().into(), tag.target_kind.to_string());
        let name = tag.name.to_string();
        Ok(Tag { id, target, target_kind, name, time, raw })
    }

    /// The signature at the end of the message, if there is one: it covers everything before it.
    pub fn signature(&self) -> Option<Signature> {
        const MARKS: [&[u8]; 4] = [
            b"-----BEGIN PGP SIGNATURE-----",
            b"-----BEGIN PGP MESSAGE-----",
            b"-----BEGIN SSH SIGNATURE-----",
            b"-----BEGIN SIGNED MESSAGE-----",
        ];
        let mut start = None;
        let mut at = 0;
        for line in self.raw.split_inclusive(|b| *b == b'\n') {
            if MARKS.iter().any(|mark| line.starts_with(mark)) {
                start = Some(at);
            }
            at += line.len();
        }
        let (payload, signature) = self.raw.split_at(start?);
        Some(Signature {
            signature: String::from_utf8_lossy(signature).into_owned(),
            payload: payload.to_vec(),
        })
    }
}

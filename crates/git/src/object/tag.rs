//! Annotated tags.

use super::commit::{Signature, time_of};
use super::{ObjectId, split_headers};

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
        let (headers, _) = split_headers(&raw).ok_or("malformed headers")?;
        let find = |name: &[u8]| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_slice());
        let target = find(b"object").and_then(|hex| std::str::from_utf8(hex).ok()?.parse().ok());
        let text = |name: &[u8]| String::from_utf8_lossy(find(name).unwrap_or_default()).into_owned();
        Ok(Tag {
            id,
            target: target.ok_or("no object")?,
            target_kind: text(b"type"),
            name: text(b"tag"),
            time: find(b"tagger").and_then(time_of).unwrap_or_default(),
            raw,
        })
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

//! Commits.

use gix::actor::SignatureRef;
use gix::hash::Kind::Sha1;
use gix::objs::CommitRefIter;

use super::{ObjectId, seconds};

/// A commit, as far as a source needs it.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its name.
    pub id: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
    /// Name and address of the author.
    pub author: String,
    /// Name and address of the committer.
    pub committer: String,
    /// The message.
    pub message: String,
    raw: Vec<u8>,
}

/// A signature and what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The armored signature.
    pub signature: String,
    /// The bytes that it covers.
    pub payload: Vec<u8>,
}

impl Commit {
    pub(crate) fn parse(id: ObjectId, raw: Vec<u8>) -> Result<Self, String> {
        let fields = || CommitRefIter::from_bytes(&raw, Sha1);
        let tree = fields().tree_id().map_err(|_| "no tree")?;
        let committer = fields().committer().map_err(|_| "no committer")?;
        let name = |who: &SignatureRef<'_>| format!("{} <{}>", who.name, who.email);
        let author = fields().author().map(|author| name(&author)).unwrap_or_default();
        let message = fields().message().map_err(|_| "malformed headers")?.to_string();
        let (time, committer) = (seconds(&committer), name(&committer));
        Ok(Commit { id, tree: tree.into(), time, author, committer, message, raw })
    }

    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The signature in the header `gpgsig`, if there is one. What is left, byte for byte, is what was signed.
    pub fn signature(&self) -> Option<Signature> {
        let (signature, payload) = CommitRefIter::signature(&self.raw, Sha1).ok()??;
        let mut signature = signature.to_string();
        if !signature.ends_with('\n') {
            signature.push('\n');
        }
        Some(Signature { signature, payload: payload.to_bstring().into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_cut_out_and_the_rest_untouched() {
        let raw = b"tree ce013625030ba8dba906f756967f9e9ca394464a\nauthor A <a@b> 1 +0000\ncommitter C \xff<c@d> 1700000000 +0100\n\
            encoding latin1\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\nx-last y\n\nsubject\n\ngpgsig body\n";
        let commit = Commit::parse(ObjectId::from_bytes([1; 20]), raw.to_vec()).unwrap();
        assert_eq!(
            (commit.time, commit.subject(), commit.author.as_str()),
            (1_700_000_000, "subject", "A <a@b>")
        );
        let signed = commit.signature().unwrap();
        assert_eq!(signed.signature, "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n");
        assert!(signed.payload.ends_with(b"encoding latin1\nx-last y\n\nsubject\n\ngpgsig body\n"));
        assert!(signed.payload.windows(1).any(|b| b == b"\xff"));
        for bad in [&b""[..], b"tree x\n\n", b"\n", b" x\n", b"tree\n"] {
            assert!(Commit::parse(ObjectId::from_bytes([1; 20]), bad.to_vec()).is_err());
        }
    }
}

//! Commits.

use super::{ObjectId, split_headers};

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
        let (headers, message) = split_headers(&raw).ok_or("malformed headers")?;
        let find = |name: &[u8]| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_slice());
        let tree =
            find(b"tree").and_then(|hex| std::str::from_utf8(hex).ok()?.parse().ok()).ok_or("no tree")?;
        let committer = find(b"committer").ok_or("no committer")?;
        let time = time_of(committer).unwrap_or_default();
        let name = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            line.rfind('>').map_or_else(|| line.to_string(), |end| line[..=end].to_owned())
        };
        let (author, committer) = (name(find(b"author").unwrap_or_default()), name(committer));
        let message = String::from_utf8_lossy(message).into_owned();
        Ok(Commit { id, tree, time, author, committer, message, raw })
    }

    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The signature in the header `gpgsig`, if there is one.
    pub fn signature(&self) -> Option<Signature> {
        signed_part(&self.raw, b"gpgsig")
    }
}

/// Seconds since 1970 from `name <address> seconds zone`.
pub(super) fn time_of(line: &[u8]) -> Option<i64> {
    let line = std::str::from_utf8(&line[line.iter().rposition(|b| *b == b'>')? + 1..]).ok()?;
    line.split_whitespace().next()?.parse().ok()
}

/// Takes the header `name` out of `raw`: what is left, byte for byte, is what was signed.
fn signed_part(raw: &[u8], name: &[u8]) -> Option<Signature> {
    let mut payload = Vec::with_capacity(raw.len());
    let mut signature: Option<String> = None;
    let mut inside = false;
    let mut rest = raw;
    while !rest.is_empty() {
        let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        if line == b"\n" {
            payload.extend_from_slice(rest);
            break;
        }
        rest = after;
        if let Some(text) = line.strip_prefix(name).and_then(|l| l.strip_prefix(b" ")) {
            inside = true;
            signature.get_or_insert_default().push_str(&String::from_utf8_lossy(text));
        } else if let Some(text) = line.strip_prefix(b" ").filter(|_| inside) {
            signature.get_or_insert_default().push_str(&String::from_utf8_lossy(text));
        } else {
            inside = false;
            payload.extend_from_slice(line);
        }
    }
    signature.map(|signature| Signature { signature, payload })
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

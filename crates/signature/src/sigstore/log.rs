//! Entries of logs of signatures: that the log has one, since when, and what it is about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Evidence;
use super::root::{Log, LogId, TrustedRoot};
use super::wire::{Base64, Number};
use crate::pem;

/// So many entries are looked at.
const MAX_ENTRIES: usize = 32;

/// An entry as a bundle has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    #[serde(default)]
    log_index: Number,
    log_id: LogId,
    #[serde(default)]
    integrated_time: Number,
    inclusion_promise: Option<Promise>,
    inclusion_proof: Option<Proof>,
    canonicalized_body: Base64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Promise {
    signed_entry_timestamp: Base64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    #[serde(default)]
    log_index: Number,
    root_hash: Base64,
    tree_size: Number,
    #[serde(default)]
    hashes: Vec<Base64>,
    checkpoint: Checkpoint,
}

#[derive(Clone, Debug, Deserialize)]
struct Checkpoint {
    envelope: String,
}

/// What the log must have noted beside signature and certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claim<'a> {
    /// The message itself.
    Message(&'a [u8]),
    /// The content of an envelope.
    Envelope(&'a [u8]),
}

/// When the signature was made, by the word of a log that is trusted (seconds since 1970).
pub(super) fn time(evidence: &Evidence<'_>, root: &TrustedRoot) -> Result<u64, String> {
    let mut problem = "the signature has no entry of a transparency log".to_owned();
    for entry in evidence.entries.iter().take(MAX_ENTRIES) {
        match entry.time(evidence, root) {
            Ok(time) => return Ok(time),
            Err(other) => problem = other,
        }
    }
    Err(problem)
}

impl Entry {
    /// From the annotation of the older layout.
    pub(crate) fn from_annotation(json: &str) -> Result<Self, String> {
        let unread = |problem: &str| format!("its log entry cannot be read: {problem}");
        let entry: Annotation = serde_json::from_str(json).map_err(|error| unread(&error.to_string()))?;
        let id = hex(&entry.payload.log_id).ok_or_else(|| unread("its log's name is not hexadecimal"))?;
        Ok(Entry {
            log_index: entry.payload.log_index,
            log_id: LogId { key_id: Base64(id) },
            integrated_time: entry.payload.integrated_time,
            inclusion_promise: Some(Promise { signed_entry_timestamp: entry.signed_entry_timestamp }),
            inclusion_proof: None,
            canonicalized_body: entry.payload.body,
        })
    }

    fn time(&self, evidence: &Evidence<'_>, root: &TrustedRoot) -> Result<u64, String> {
        let time = self.integrated_time.0;
        let log = root.logs.iter().find(|log| log.id == self.log_id.key_id.0);
        let log = log.ok_or("the log entry is of no log that is trusted")?;
        if let Some(proof) = &self.inclusion_proof {
            proof.verify(&self.canonicalized_body.0, log)?;
        }
        // What the proof covers has no time.
        let promise =
            self.inclusion_promise.as_ref().ok_or("the log entry has no time that its log has signed")?;
        if !log.valid.has(time) {
            return Err("the log was not trusted when the entry was made".to_owned());
        }
        if !log.key.verifies(&self.promised(), &promise.signed_entry_timestamp.0) {
            return Err("the log entry's timestamp is not its log's".to_owned());
        }
        about(&self.canonicalized_body.0, evidence)?;
        Ok(time)
    }

    /// What the log has signed: JSON in canonical form, whose keys are in order.
    fn promised(&self) -> Vec<u8> {
        let id = self.log_id.key_id.0.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let body = STANDARD.encode(&self.canonicalized_body.0);
        let (time, index) = (self.integrated_time.0, self.log_index.0);
        let text = format!(
            "{{\"body\":{},\"integratedTime\":{time},\"logID\":{},\"logIndex\":{index}}}",
            json!(body),
            json!(id)
        );
        text.into_bytes()
    }
}

impl Proof {
    /// Proves that the log has the entry, by a tree whose root it has signed.
    fn verify(&self, body: &[u8], log: &Log) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("the log entry's proof is wrong: {what}"));
        let (text, signatures) = match self.checkpoint.envelope.split_once("\n\n") {
            Some((text, signatures)) => (format!("{text}\n"), signatures),
            None => return wrong("its checkpoint has no signature"),
        };
        let signed = |line: &str| {
            let signature = line.strip_prefix("— ")?.rsplit_once(' ')?.1;
            let signature = STANDARD.decode(signature).ok()?;
            // The first four bytes say which key it is.
            Some(log.key.verifies(text.as_bytes(), signature.get(4..)?))
        };
        if !signatures.lines().any(|line| signed(line) == Some(true)) {
            return wrong("its checkpoint is not signed by the log");
        }
        let mut lines = text.lines().skip(1);
        let size = lines.next().and_then(|size| size.parse::<u64>().ok());
        let root = lines.next().and_then(|root| STANDARD.decode(root).ok());
        if size != Some(self.tree_size.0) || root.as_deref() != Some(&self.root_hash.0) {
            return wrong("its checkpoint is of another tree");
        }
        let hashes: Vec<&[u8]> = self.hashes.iter().map(|hash| hash.0.as_slice()).collect();
        if tree_root(body, self.log_index.0, self.tree_size.0, &hashes).as_deref() != Some(&self.root_hash.0)
        {
            return wrong("the tree does not have the entry");
        }
        Ok(())
    }
}

/// The root of a tree that has this leaf at `index`, by RFC 9162, section 2.1.3.2.
fn tree_root(leaf: &[u8], index: u64, size: u64, path: &[&[u8]]) -> Option<Vec<u8>> {
    if index >= size {
        return None;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = Sha256::new().chain_update([0]).chain_update(leaf).finalize().to_vec();
    let join = |left: &[u8], right: &[u8]| {
        Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().to_vec()
    };
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = join(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = join(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// Checks that an entry is about this very signature.
fn about(body: &[u8], evidence: &Evidence<'_>) -> Result<(), String> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| format!("the log entry cannot be read: {error}"))?;
    let (kind, version) = (body["kind"].as_str().unwrap_or_default(), body["apiVersion"].as_str());
    let spec = &body["spec"];
    let text = |value: &Value| value.as_str().and_then(|text| STANDARD.decode(text).ok());
    let (content, hash, signature, certificate) = match (kind, version, evidence.claim) {
        ("hashedrekord", Some("0.0.1"), Claim::Message(message)) => {
            let signature = &spec["signature"];
            (
                message,
                &spec["data"]["hash"],
                text(&signature["content"]),
                text(&signature["publicKey"]["content"]),
            )
        }
        ("dsse", Some("0.0.1"), Claim::Envelope(payload)) => {
            let signature = &spec["signatures"][0];
            (payload, &spec["payloadHash"], text(&signature["signature"]), text(&signature["verifier"]))
        }
        ("intoto", Some("0.0.2"), Claim::Envelope(payload)) => {
            let signature = &spec["content"]["envelope"]["signatures"][0];
            // Encoded twice.
            let inner = text(&signature["sig"]).and_then(|text| STANDARD.decode(text).ok());
            (payload, &spec["content"]["payloadHash"], inner, text(&signature["publicKey"]))
        }
        (kind, version, _) => {
            let version = version.unwrap_or_default();
            return Err(format!(
                "the log entry is a '{kind}' of version '{version}', which proves nothing here"
            ));
        }
    };
    if signature.as_deref() != Some(evidence.signature) {
        return Err("the log entry is about another signature".to_owned());
    }
    let certificate = certificate.and_then(|pem| String::from_utf8(pem).ok());
    let certificate = certificate.map(|text| pem::blocks(&text, "CERTIFICATE"));
    if certificate.as_ref().and_then(|blocks| blocks.first()).map(Vec::as_slice) != Some(evidence.certificate)
    {
        return Err("the log entry is about another certificate".to_owned());
    }
    let value = hash["value"].as_str().and_then(hex);
    if hash["algorithm"] != "sha256" || value.as_deref() != Some(Sha256::digest(content).as_slice()) {
        return Err("the log entry is about other content".to_owned());
    }
    Ok(())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Annotation {
    signed_entry_timestamp: Base64,
    payload: AnnotationPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnnotationPayload {
    body: Base64,
    integrated_time: Number,
    log_index: Number,
    #[serde(rename = "logID")]
    log_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(text: &str) -> Vec<u8> {
        Sha256::new().chain_update([0]).chain_update(text).finalize().to_vec()
    }

    fn node(left: &[u8], right: &[u8]) -> Vec<u8> {
        Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().to_vec()
    }

    #[test]
    fn a_leaf_is_found_in_its_tree_and_nowhere_else() {
        let (a, b, c) = (leaf("a"), leaf("b"), leaf("c"));
        let ab = node(&a, &b);
        let root = Some(node(&ab, &c));
        assert_eq!(tree_root(b"a", 0, 3, &[&b, &c]), root);
        assert_eq!(tree_root(b"b", 1, 3, &[&a, &c]), root);
        assert_eq!(tree_root(b"c", 2, 3, &[&ab]), root);
        assert_eq!(tree_root(b"a", 0, 1, &[]), Some(a.clone()));
        assert_ne!(tree_root(b"b", 0, 3, &[&b, &c]), root);
        for (index, size, path) in
            [(3, 3, vec![&ab[..]]), (0, 3, vec![&b[..]]), (2, 3, vec![&ab[..], &ab[..]])]
        {
            assert_eq!(tree_root(b"c", index, size, &path), None, "{index} of {size}");
        }
    }
}

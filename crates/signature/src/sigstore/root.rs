//! What is trusted: authorities and logs, as `trusted_root.json` lists them.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, LazyLock};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::wire::{Base64, Span};
use crate::{Error, PublicKey};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot";
/// Largest that is read, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// Authorities that make certificates, and logs of certificates and of signatures.
#[derive(Clone, Debug)]
pub struct TrustedRoot {
    pub(super) authorities: Vec<Authority>,
    /// Of signatures.
    pub(super) logs: Vec<Log>,
    /// Of certificates.
    pub(super) certificate_logs: Vec<Log>,
}

#[derive(Clone, Debug)]
pub(super) struct Authority {
    /// The one that makes certificates first, then who made that of the one before.
    pub(super) certificates: Vec<Certificate>,
    pub(super) valid: Span,
}

#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) id: Vec<u8>,
    pub(super) key: PublicKey,
    pub(super) valid: Span,
}

impl TrustedRoot {
    /// Reads `trusted_root.json`.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Root(problem);
        if json.len() > MAX_SIZE {
            return Err(wrong(format!("it is larger than {MAX_SIZE} bytes")));
        }
        let file: File = serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
        if !file.media_type.starts_with(MEDIA_TYPE) {
            return Err(wrong(format!("its mediaType is '{}'", file.media_type)));
        }
        let authority = |entry: AuthorityEntry| {
            let certificates = entry.cert_chain.certificates.iter();
            let certificates = certificates.map(|entry| Certificate::from_der(&entry.raw_bytes.0));
            let certificates: Result<Vec<_>, _> = certificates.collect();
            let certificates = certificates
                .map_err(|error| wrong(format!("a certificate authority cannot be read: {error}")))?;
            Ok::<_, Error>(Authority { certificates, valid: entry.valid_for })
        };
        let authorities: Vec<_> =
            file.certificate_authorities.into_iter().map(authority).collect::<Result<_, _>>()?;
        if authorities.iter().all(|authority| authority.certificates.is_empty()) {
            return Err(wrong("it has no certificate authority".to_owned()));
        }
        let root = TrustedRoot { authorities, logs: logs(file.tlogs), certificate_logs: logs(file.ctlogs) };
        if root.logs.is_empty() {
            return Err(wrong("it has no transparency log with a key that can be used".to_owned()));
        }
        Ok(root)
    }

    /// That of the public instance of Sigstore, as it was when this was built.
    pub fn public() -> Arc<Self> {
        static PUBLIC: LazyLock<Arc<TrustedRoot>> = LazyLock::new(|| {
            let none =
                TrustedRoot { authorities: Vec::new(), logs: Vec::new(), certificate_logs: Vec::new() };
            // Without a root nothing is trusted; a case shows that this one is read.
            Arc::new(TrustedRoot::parse(include_bytes!("public-root.json")).unwrap_or(none))
        });
        PUBLIC.clone()
    }
}

/// Logs whose keys are of other kinds prove nothing, and do no harm.
fn logs(entries: Vec<LogEntry>) -> Vec<Log> {
    let log = |entry: LogEntry| {
        let der = entry.public_key.raw_bytes.0;
        let key = PublicKey::from_der(&der).ok()?;
        let id = entry.log_id.map(|id| id.key_id.0).filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| Sha256::digest(&der).to_vec());
        Some(Log { id, key, valid: entry.public_key.valid_for })
    };
    entries.into_iter().filter_map(log).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    media_type: String,
    #[serde(default)]
    tlogs: Vec<LogEntry>,
    #[serde(default)]
    certificate_authorities: Vec<AuthorityEntry>,
    #[serde(default)]
    ctlogs: Vec<LogEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    public_key: KeyEntry,
    log_id: Option<LogId>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogId {
    pub(super) key_id: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyEntry {
    raw_bytes: Base64,
    #[serde(default)]
    valid_for: Span,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityEntry {
    cert_chain: CertChain,
    #[serde(default)]
    valid_for: Span,
}

#[derive(Deserialize)]
struct CertChain {
    certificates: Vec<CertEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertEntry {
    raw_bytes: Base64,
}

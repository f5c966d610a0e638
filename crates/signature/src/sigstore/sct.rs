//! The promise of a log of certificates, inside of the certificate, that it has it.

use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, OctetString};
use x509_cert::der::{Decode as _, Encode as _};

use super::root::TrustedRoot;

const EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// Proves that one of the logs has seen the certificate.
pub(super) fn verify(
    certificate: &Certificate,
    issuer: &Certificate,
    root: &TrustedRoot,
) -> Result<(), String> {
    let mut tbs = certificate.tbs_certificate.clone();
    let extensions = tbs.extensions.as_mut();
    let place = extensions.as_ref().and_then(|all| all.iter().position(|entry| entry.extn_id == EXTENSION));
    let (Some(extensions), Some(place)) = (extensions, place) else {
        return Err("the certificate has no timestamp of a certificate log".to_owned());
    };
    // The log has seen it before its own words were added.
    let list = extensions.remove(place);
    let unread = || "the certificate's timestamps cannot be read".to_owned();
    let list = OctetString::from_der(list.extn_value.as_bytes()).map_err(|_| unread())?;
    let tbs = tbs.to_der().map_err(|_| unread())?;
    let issuer = issuer.tbs_certificate.subject_public_key_info.to_der().map_err(|_| unread())?;
    let mut list = Reader(list.as_bytes());
    let mut list = Reader(list.sized().ok_or_else(unread)?);
    while !list.0.is_empty() {
        let stamp = Stamp::read(list.sized().ok_or_else(unread)?).ok_or_else(unread)?;
        let log =
            root.certificate_logs.iter().find(|log| log.id == stamp.log && log.valid.has(stamp.time / 1000));
        if log.is_some_and(|log| log.key.verifies(&stamp.signed(&issuer, &tbs), stamp.signature)) {
            return Ok(());
        }
    }
    Err("the certificate has no timestamp of a certificate log that is trusted".to_owned())
}

/// What a log says: version 1 of RFC 6962.
struct Stamp<'a> {
    log: &'a [u8],
    /// Milliseconds since 1970.
    time: u64,
    extensions: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Stamp<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.take(1)? != [0] {
            return None;
        }
        let log = reader.take(32)?;
        let time = u64::from_be_bytes(reader.take(8)?.try_into().ok()?);
        let extensions = reader.sized()?;
        // The names of the algorithms: the key has but one.
        reader.take(2)?;
        let signature = reader.sized()?;
        reader.0.is_empty().then_some(Stamp { log, time, extensions, signature })
    }

    /// What the log has signed.
    fn signed(&self, issuer: &[u8], tbs: &[u8]) -> Vec<u8> {
        // Version, kind of signature.
        let mut message = vec![0, 0];
        message.extend(self.time.to_be_bytes());
        // A certificate that is not finished.
        message.extend([0, 1]);
        message.extend(Sha256::digest(issuer));
        message.extend(&(tbs.len() as u32).to_be_bytes()[1..]);
        message.extend(tbs);
        message.extend((self.extensions.len() as u16).to_be_bytes());
        message.extend(self.extensions);
        message
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// What follows its length in two bytes.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        self.take(length.into())
    }
}

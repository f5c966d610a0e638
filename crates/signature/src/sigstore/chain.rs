//! From a certificate to an authority that is trusted.

use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use super::root::TrustedRoot;
use crate::PublicKey;

/// Certificates between the signer's and a trusted one.
const MAX_DEPTH: usize = 4;

/// Finds the way to an authority that was trusted at `time` (seconds since 1970), with every certificate on it valid
/// then. Returns the one that issued the first.
pub(super) fn verify(
    certificate: &Certificate,
    supplied: &[Vec<u8>],
    root: &TrustedRoot,
    time: u64,
) -> Result<Certificate, String> {
    if !valid(certificate, time) {
        return Err("the certificate was not valid when the signature was made".to_owned());
    }
    let trusted: Vec<&Certificate> = root
        .authorities
        .iter()
        .filter(|authority| authority.valid.has(time))
        .flat_map(|authority| &authority.certificates)
        .filter(|certificate| valid(certificate, time))
        .collect();
    let supplied: Vec<Certificate> = supplied
        .iter()
        .take(MAX_DEPTH)
        .filter_map(|der| Certificate::from_der(der).ok())
        .filter(|certificate| valid(certificate, time) && is_authority(certificate))
        .collect();
    let found = issuer(certificate, &trusted, &supplied, MAX_DEPTH);
    found.cloned().ok_or_else(|| "the certificate is of no authority that is trusted".to_owned())
}

/// Who issued it, if there is a way from there to a trusted one.
fn issuer<'a>(
    certificate: &Certificate,
    trusted: &[&'a Certificate],
    supplied: &'a [Certificate],
    depth: usize,
) -> Option<&'a Certificate> {
    if let Some(found) = trusted.iter().find(|candidate| issued(candidate, certificate)) {
        return Some(found);
    }
    let depth = depth.checked_sub(1)?;
    supplied
        .iter()
        .filter(|candidate| issued(candidate, certificate))
        .find(|candidate| issuer(candidate, trusted, supplied, depth).is_some())
}

/// Whether the certificate is valid at a time.
pub(crate) fn valid(certificate: &Certificate, time: u64) -> bool {
    let validity = &certificate.tbs_certificate.validity;
    validity.not_before.to_unix_duration().as_secs() <= time
        && time <= validity.not_after.to_unix_duration().as_secs()
}

/// Whether `issuer` has signed `certificate`.
pub(crate) fn issued(issuer: &Certificate, certificate: &Certificate) -> bool {
    let (by, tbs) = (&issuer.tbs_certificate, &certificate.tbs_certificate);
    if by.subject != tbs.issuer || certificate.signature_algorithm != tbs.signature {
        return false;
    }
    let Ok(key) = PublicKey::from_info(&by.subject_public_key_info) else { return false };
    let Ok(message) = tbs.to_der() else { return false };
    key.verifies(&message, certificate.signature.raw_bytes())
}

/// Whether it may issue others.
pub(crate) fn is_authority(certificate: &Certificate) -> bool {
    let tbs = &certificate.tbs_certificate;
    let constraints = tbs.get::<BasicConstraints>();
    let usage = tbs.get::<KeyUsage>();
    let may_sign = match usage {
        Ok(Some((_, usage))) => usage.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    may_sign && matches!(constraints, Ok(Some((_, constraints))) if constraints.ca)
}

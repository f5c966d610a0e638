//! What both kinds of envelopes hold.

use serde::Deserialize;
use sluice_oci::Descriptor;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, ExtendedKeyUsage, KeyUsage};

use super::{cose, jws};
use crate::key::{Algorithm, PublicKey};
use crate::sigstore::{is_authority, issued};

pub(super) const PAYLOAD_TYPE: &str = "application/vnd.cncf.notary.payload.v1+json";
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const CRL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
/// Certificates in an envelope.
const MAX_CHAIN: usize = 10;

/// What an envelope says, before its signature is believed.
pub(super) struct Raw {
    pub(super) algorithm: Algorithm,
    pub(super) content_type: String,
    /// The names of what must be understood.
    pub(super) critical: Vec<String>,
    pub(super) scheme: String,
    /// Seconds since 1970.
    pub(super) expiry: Option<u64>,
    pub(super) authentic_time: Option<u64>,
    /// The signer's first.
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) payload: Vec<u8>,
    /// What is really signed.
    pub(super) message: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// An envelope whose signature is that of its own certificate. Whose that is remains to be seen.
pub(super) struct Envelope {
    /// The signer's certificate, then who issued it, up to one that issued itself.
    pub(super) chain: Vec<Certificate>,
    pub(super) target: Descriptor,
    /// When it was signed, in seconds since 1970, where an authority has signed.
    pub(super) authority: Option<u64>,
    expiry: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    target_artifact: Descriptor,
}

impl Envelope {
    pub(super) fn open(media_type: &str, bytes: &[u8]) -> Result<Self, String> {
        let raw = match media_type {
            "application/jose+json" => jws::read(bytes)?,
            "application/cose" => cose::read(bytes)?,
            other => return Err(format!("the envelope is a '{other}'")),
        };
        raw.check()?;
        let chain = raw.chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>();
        let chain =
            chain.map_err(|error| format!("a certificate of the envelope cannot be read: {error}"))?;
        check(&chain)?;
        let key = PublicKey::from_info(&chain[0].tbs_certificate.subject_public_key_info);
        let key = key.map_err(|error| error.to_string())?;
        if !key.verifies_as(raw.algorithm, &raw.message, &raw.signature) {
            return Err("the signature is not that of its certificate".to_owned());
        }
        let payload: Payload = serde_json::from_slice(&raw.payload)
            .map_err(|error| format!("what is signed cannot be read: {error}"))?;
        let authority = if raw.scheme == AUTHORITY { raw.authentic_time } else { None };
        Ok(Envelope { chain, target: payload.target_artifact, authority, expiry: raw.expiry })
    }

    pub(super) fn expired(&self, now: u64) -> Result<(), String> {
        match self.expiry {
            Some(expiry) if expiry <= now => Err("the signature has expired".to_owned()),
            _ => Ok(()),
        }
    }

    /// Nobody is asked whether a certificate was revoked, so that it must be of those that cannot be.
    pub(super) fn revocable(&self) -> Result<(), String> {
        let revocable = |certificate: &Certificate| {
            let tbs = &certificate.tbs_certificate;
            let access = tbs.get::<AuthorityInfoAccessSyntax>();
            let asks = matches!(&access, Ok(Some((_, access))) if access.0.iter().any(|way| way.access_method == OCSP));
            access.is_err() || asks || tbs.extensions.iter().flatten().any(|entry| entry.extn_id == CRL)
        };
        if self.chain.iter().any(revocable) {
            return Err(
                "a certificate may have been revoked, for which Sluice does not ask: override 'revocation' \
                        in the trust policy"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

const PLAIN: &str = "notary.x509";
const AUTHORITY: &str = "notary.x509.signingAuthority";
pub(super) const SCHEME: &str = "io.cncf.notary.signingScheme";
pub(super) const EXPIRY: &str = "io.cncf.notary.expiry";
pub(super) const AUTHENTIC_TIME: &str = "io.cncf.notary.authenticSigningTime";

impl Raw {
    fn check(&self) -> Result<(), String> {
        if self.content_type != PAYLOAD_TYPE {
            return Err(format!("the envelope signs a '{}'", self.content_type));
        }
        let authority = self.scheme == AUTHORITY;
        if !authority && self.scheme != PLAIN {
            return Err(format!("the signing scheme '{}' is not supported", self.scheme));
        }
        if authority != self.authentic_time.is_some() {
            return Err("the signing scheme and the signing time do not go together".to_owned());
        }
        // What matters must be marked so, and what is marked so must be understood.
        let present = [(SCHEME, true), (EXPIRY, self.expiry.is_some()), (AUTHENTIC_TIME, authority)];
        let marked = |name: &str| self.critical.iter().any(|own| own == name);
        if let Some((name, _)) = present.iter().find(|(name, there)| *there && !marked(name)) {
            return Err(format!("the envelope does not mark '{name}' as critical"));
        }
        let known = |name: &str| present.iter().any(|(own, _)| *own == name);
        if let Some(other) = self.critical.iter().find(|name| !known(name)) {
            return Err(format!("the envelope needs '{other}', which is not supported"));
        }
        Ok(())
    }
}

/// Checks that each certificate was issued by the next, and the last by itself.
fn check(chain: &[Certificate]) -> Result<(), String> {
    let Some(leaf) = chain.first() else { return Err("the envelope has no certificate".to_owned()) };
    if chain.len() > MAX_CHAIN {
        return Err(format!("the envelope has more than {MAX_CHAIN} certificates"));
    }
    let usage = leaf.tbs_certificate.get::<KeyUsage>().ok().flatten();
    if !usage.is_some_and(|(_, usage)| usage.digital_signature()) {
        return Err("the certificate is not for signatures".to_owned());
    }
    let extended = leaf.tbs_certificate.get::<ExtendedKeyUsage>();
    let extended = extended.map_err(|error| format!("the certificate cannot be read: {error}"))?;
    if extended.is_some_and(|(_, usage)| !usage.0.contains(&CODE_SIGNING)) {
        return Err("the certificate is not for signing code".to_owned());
    }
    let issuers = chain.iter().skip(1).chain(chain.last());
    for (certificate, issuer) in chain.iter().zip(issuers) {
        if !issued(issuer, certificate) {
            return Err("the certificates of the envelope are no chain".to_owned());
        }
    }
    if !chain.iter().skip(1).all(is_authority) {
        return Err("a certificate of the envelope may not issue others".to_owned());
    }
    Ok(())
}

//! Public keys and what they have signed.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::{Error, pem};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    Rsa,
    Ed25519,
}

/// A key that verifies signatures: ECDSA on P-256 or P-384, RSA of 2048 to 8192 bits, or Ed25519.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// In the form that the algorithm wants it.
    bytes: Vec<u8>,
}

impl PublicKey {
    /// Reads the first key of a text in PEM.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(text).map_err(|_| Error::Key("it is not in PEM format".to_owned()))?;
        if let Some(der) = pem::blocks(text, "PUBLIC KEY").first() {
            return Self::from_der(der);
        }
        if let Some(bytes) = pem::blocks(text, "RSA PUBLIC KEY").first() {
            return Ok(PublicKey { kind: Kind::Rsa, bytes: bytes.clone() });
        }
        Err(Error::Key("it is not in PEM format".to_owned()))
    }

    /// Reads a `SubjectPublicKeyInfo`.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let info = SubjectPublicKeyInfoOwned::from_der(der);
        Self::from_info(&info.map_err(|error| Error::Key(error.to_string()))?)
    }

    pub(crate) fn from_info(info: &SubjectPublicKeyInfoOwned) -> Result<Self, Error> {
        let curve = || {
            let parameters = info.algorithm.parameters.as_ref()?;
            ObjectIdentifier::from_der(&parameters.to_der().ok()?).ok()
        };
        let kind = match info.algorithm.oid {
            RSA => Kind::Rsa,
            ED25519 => Kind::Ed25519,
            EC => match curve() {
                Some(P256) => Kind::P256,
                Some(P384) => Kind::P384,
                _ => return Err(Error::Key("its curve is neither P-256 nor P-384".to_owned())),
            },
            other => return Err(Error::Key(format!("its algorithm {other} is not supported"))),
        };
        Ok(PublicKey { kind, bytes: info.subject_public_key.raw_bytes().to_vec() })
    }

    /// Whether `signature` is this key's for `message`. Which hash was used is not told anywhere, and does not matter:
    /// those that count are all sound.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithms: &[&dyn VerificationAlgorithm] = match self.kind {
            Kind::P256 => &[&signature::ECDSA_P256_SHA256_ASN1, &signature::ECDSA_P256_SHA384_ASN1],
            Kind::P384 => &[&signature::ECDSA_P384_SHA384_ASN1, &signature::ECDSA_P384_SHA256_ASN1],
            Kind::Rsa => &[
                &signature::RSA_PKCS1_2048_8192_SHA256,
                &signature::RSA_PKCS1_2048_8192_SHA384,
                &signature::RSA_PKCS1_2048_8192_SHA512,
            ],
            Kind::Ed25519 => &[&signature::ED25519],
        };
        let verify = |algorithm: &&'static dyn VerificationAlgorithm| {
            UnparsedPublicKey::new(*algorithm, &self.bytes).verify(message, signature).is_ok()
        };
        algorithms.iter().any(verify)
    }
}

impl PublicKey {
    /// Whether `signature` is this key's for `message`, by this algorithm and no other.
    pub(crate) fn verifies_as(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let verifier: &dyn VerificationAlgorithm = match (algorithm, self.kind) {
            (Algorithm::Ps256, Kind::Rsa) => &signature::RSA_PSS_2048_8192_SHA256,
            (Algorithm::Ps384, Kind::Rsa) => &signature::RSA_PSS_2048_8192_SHA384,
            (Algorithm::Ps512, Kind::Rsa) => &signature::RSA_PSS_2048_8192_SHA512,
            (Algorithm::Es256, Kind::P256) => &signature::ECDSA_P256_SHA256_FIXED,
            (Algorithm::Es384, Kind::P384) => &signature::ECDSA_P384_SHA384_FIXED,
            _ => return false,
        };
        UnparsedPublicKey::new(verifier, &self.bytes).verify(message, signature).is_ok()
    }
}

/// Algorithms as JOSE and COSE name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
}

impl Algorithm {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "PS256" => Algorithm::Ps256,
            "PS384" => Algorithm::Ps384,
            "PS512" => Algorithm::Ps512,
            "ES256" => Algorithm::Es256,
            "ES384" => Algorithm::Es384,
            _ => return None,
        })
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            -37 => Algorithm::Ps256,
            -38 => Algorithm::Ps384,
            -39 => Algorithm::Ps512,
            -7 => Algorithm::Es256,
            -35 => Algorithm::Es384,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_told_so() {
        let read = |text: &str| PublicKey::from_pem(text.as_bytes()).unwrap_err().to_string();
        assert!(read("s3cret").ends_with("it is not in PEM format"));
        let empty = read("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----");
        assert!(empty.starts_with("the public key cannot be read: "), "{empty}");
    }
}

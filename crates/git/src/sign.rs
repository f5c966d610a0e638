//! Signing commits.

use pgp::composed::{
    ArmorOptions, Deserializable as _, DetachedSignature, SignedSecretKey, SignedSecretSubKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::types::{KeyDetails as _, Password};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{HashAlg, PrivateKey};

use crate::error::Error;

/// What Git signs for.
const NAMESPACE: &str = "git";

/// A key that signs commits. Debug output shows nothing of it.
pub struct SigningKey(Inner);

enum Inner {
    Pgp(Box<SignedSecretKey>, Password),
    Ssh(PrivateKey),
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It is no key of that kind.
    #[error("the signing key cannot be read")]
    Unreadable,
    /// There are several keys.
    #[error("there is more than one key")]
    Several,
    /// No key has the id that was asked for.
    #[error("no key has that id")]
    Missing,
    /// It is encrypted, and no passphrase was given.
    #[error("the signing key is encrypted")]
    Encrypted,
    /// The passphrase is wrong.
    #[error("the passphrase of the signing key is wrong")]
    Passphrase,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Inner::Pgp(..) => "SigningKey(pgp)",
            Inner::Ssh(_) => "SigningKey(ssh)",
        })
    }
}

impl SigningKey {
    /// An armored OpenPGP key.
    pub fn pgp(armored: &[u8], passphrase: Option<&str>) -> Result<Self, SignError> {
        Self::pgp_of_ring(armored, None, passphrase)
    }

    /// A key of an OpenPGP key ring, armored or binary: the one with the id, of its primary key or of one of its
    /// subkeys, in hexadecimal; without an id there must be one only.
    pub fn pgp_of_ring(ring: &[u8], id: Option<&str>, passphrase: Option<&str>) -> Result<Self, SignError> {
        let (keys, _) = SignedSecretKey::from_reader_many(ring).map_err(|_| SignError::Unreadable)?;
        let mut keys = keys.collect::<Result<Vec<_>, _>>().map_err(|_| SignError::Unreadable)?;
        if let Some(id) = id {
            keys.retain(|key| has_id(key, id));
            if keys.is_empty() {
                return Err(SignError::Missing);
            }
        }
        if keys.len() > 1 {
            return Err(SignError::Several);
        }
        let key = keys.pop().ok_or(SignError::Unreadable)?;
        let encrypted = match signing_subkey(&key) {
            Some(subkey) => subkey.key.secret_params().is_encrypted(),
            None => key.primary_key.secret_params().is_encrypted(),
        };
        let password = match (encrypted, passphrase.filter(|text| !text.is_empty())) {
            (true, None) => return Err(SignError::Encrypted),
            (true, Some(passphrase)) => Password::from(passphrase),
            (false, _) => Password::empty(),
        };
        let unlocked = match signing_subkey(&key) {
            Some(subkey) => subkey.key.unlock(&password, |_, _| Ok(())),
            None => key.primary_key.unlock(&password, |_, _| Ok(())),
        };
        if !matches!(unlocked, Ok(Ok(()))) {
            return Err(SignError::Passphrase);
        }
        Ok(SigningKey(Inner::Pgp(Box::new(key), password)))
    }

    /// An SSH key, OpenSSH or PEM.
    pub fn ssh(identity: &str, passphrase: Option<&str>) -> Result<Self, SignError> {
        let passphrase = passphrase.filter(|text| !text.is_empty());
        match crate::transport::private_key(identity, passphrase) {
            Ok(key) => Ok(SigningKey(Inner::Ssh(key))),
            Err(Error::KeyEncrypted) => Err(SignError::Encrypted),
            Err(_) if passphrase.is_some() => Err(SignError::Passphrase),
            Err(_) => Err(SignError::Unreadable),
        }
    }

    /// The armored signature of a commit.
    pub fn sign(&self, payload: &[u8]) -> Result<String, Error> {
        let failed = |reason: String| Error::Signature(format!("cannot sign the commit: {reason}"));
        match &self.0 {
            Inner::Pgp(key, password) => {
                let hash = HashAlgorithm::Sha256;
                let rng = rand_pgp::rngs::OsRng;
                let signature = match signing_subkey(key) {
                    Some(subkey) => {
                        DetachedSignature::sign_binary_data(rng, &subkey.key, password, hash, payload)
                    }
                    None => {
                        DetachedSignature::sign_binary_data(rng, &key.primary_key, password, hash, payload)
                    }
                };
                signature
                    .map_err(|error| failed(error.to_string()))?
                    .to_armored_string(ArmorOptions::default())
                    .map_err(|error| failed(error.to_string()))
            }
            Inner::Ssh(key) => {
                let signature = key.sign(NAMESPACE, HashAlg::Sha512, payload);
                let signature = signature.map_err(|error| failed(error.to_string()))?;
                signature.to_pem(LineEnding::LF).map_err(|error| failed(error.to_string()))
            }
        }
    }
}

/// Whether a key, or one of its subkeys, has an id.
fn has_id(key: &SignedSecretKey, id: &str) -> bool {
    let id = id.trim_start_matches("0x");
    let mut ids = key.secret_subkeys.iter().map(|subkey| subkey.key.legacy_key_id().to_string());
    key.primary_key.legacy_key_id().to_string().eq_ignore_ascii_case(id)
        || ids.any(|known| known.eq_ignore_ascii_case(id))
}

/// The subkey that is there for signing, if there is one; else the primary key signs.
fn signing_subkey(key: &SignedSecretKey) -> Option<&SignedSecretSubKey> {
    let signs = |subkey: &&SignedSecretSubKey| {
        let newest = subkey.signatures.iter().max_by_key(|signature| signature.created());
        newest.is_some_and(|signature| signature.key_flags().sign())
    };
    key.secret_subkeys.iter().filter(signs).max_by_key(|subkey| subkey.key.created_at())
}

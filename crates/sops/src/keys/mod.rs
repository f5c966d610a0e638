//! From the keys that somebody holds to the key of the data.

mod age;
mod pgp;
mod post_quantum;
mod shamir;

use std::fmt;

use ::pgp::composed::SignedSecretKey;

use crate::error::{DataKeyError, Error, GroupResult, KeyFailure};
use crate::metadata::{MasterKey, Metadata};

/// Someone who may know keys.
pub trait KeyService {
    /// Decrypts what a key has encrypted. `None` if it is not a key for this service at all; an error tells why the
    /// service could not do it.
    fn decrypt(&self, key: &MasterKey) -> Option<Result<Vec<u8>, String>>;
}

/// Why a key cannot be imported. Tells nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(String);

/// Keys at hand: age identities and OpenPGP secret keys without passphrases.
#[derive(Default)]
pub struct Keyring {
    age: Vec<Box<dyn ::age::Identity + Send + Sync>>,
    pgp: Vec<SignedSecretKey>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("age", &self.age.len()).field("pgp", &self.pgp.len()).finish()
    }
}

impl Keyring {
    /// A keyring without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.age.is_empty() && self.pgp.is_empty()
    }

    /// Adds age identities: one a line, with blank lines and `#` comments, or a single SSH private key in PEM.
    pub fn add_age(&mut self, identities: &str) -> Result<(), ImportError> {
        let parsed = age::parse(identities)
            .map_err(|error| ImportError(format!("failed to parse and add to age identities: {error}")))?;
        self.age.extend(parsed);
        Ok(())
    }

    /// Adds OpenPGP secret keys, armoured or not.
    pub fn add_pgp(&mut self, keys: &[u8]) -> Result<(), ImportError> {
        let parsed = pgp::parse(keys).map_err(ImportError)?;
        self.pgp.extend(parsed);
        Ok(())
    }
}

impl KeyService for Keyring {
    fn decrypt(&self, key: &MasterKey) -> Option<Result<Vec<u8>, String>> {
        match key {
            MasterKey::Age { encrypted, .. } => Some(age::decrypt(encrypted, &self.age)),
            MasterKey::Pgp { encrypted, fingerprint } => {
                Some(pgp::decrypt(encrypted, fingerprint, &self.pgp))
            }
            _ => None,
        }
    }
}

/// The key of the data: from one key that works, or put together from a key of each of several groups.
pub(crate) fn data_key(metadata: &Metadata, services: &[&dyn KeyService]) -> Result<Vec<u8>, Error> {
    let mut parts = Vec::new();
    let mut groups = Vec::new();
    for group in &metadata.groups {
        match part(group, services) {
            Ok(part) => {
                parts.push(part);
                groups.push(GroupResult::Success);
            }
            Err(failures) => groups.push(GroupResult::Failed(failures)),
        }
    }
    let failed = DataKeyError { threshold: metadata.shamir_threshold, groups };
    if metadata.groups.len() > 1 {
        if parts.len() < metadata.shamir_threshold {
            return Err(failed.into());
        }
        return shamir::combine(&parts).map_err(Error::Shamir);
    }
    parts.pop().ok_or_else(|| failed.into())
}

/// What the keys of a group all encrypt, from the first that works. Those that are at hand come first.
fn part(group: &[MasterKey], services: &[&dyn KeyService]) -> Result<Vec<u8>, Vec<KeyFailure>> {
    let mut keys: Vec<&MasterKey> = group.iter().collect();
    keys.sort_by_key(|key| match key {
        MasterKey::Age { .. } => 0,
        MasterKey::Pgp { .. } => 1,
        _ => 2,
    });
    let mut failures = Vec::new();
    for key in keys {
        let mut reasons = Vec::new();
        for service in services {
            match service.decrypt(key) {
                Some(Ok(part)) => return Ok(part),
                Some(Err(reason)) => reasons.push(reason),
                None => {}
            }
        }
        if reasons.is_empty() {
            reasons.push("no key service for this kind of key".to_owned());
        }
        failures.push(KeyFailure { key: key.to_string(), reasons });
    }
    Err(failures)
}

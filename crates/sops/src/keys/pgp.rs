//! OpenPGP keys.

use std::io::Read as _;

use pgp::composed::{DecryptionOptions, Deserializable as _, Message, SignedSecretKey, TheRing};
use pgp::types::{KeyDetails as _, Password};

/// More than any key of data, or part of one.
const LONGEST_KEY: u64 = 4096;

pub(super) fn parse(data: &[u8]) -> Result<Vec<SignedSecretKey>, String> {
    let armoured = data.trim_ascii_start().starts_with(b"-----BEGIN");
    let keys: Result<Vec<SignedSecretKey>, _> = if armoured {
        SignedSecretKey::from_armor_many(data).and_then(|(keys, _)| keys.collect())
    } else {
        SignedSecretKey::from_bytes_many(data).and_then(|keys| keys.collect())
    };
    match keys {
        Ok(keys) if !keys.is_empty() => Ok(keys),
        Ok(_) => Err("failed to import armored key data into GnuPG keyring: no secret key".to_owned()),
        Err(error) => Err(format!("failed to import armored key data into GnuPG keyring: {error}")),
    }
}

pub(super) fn decrypt(message: &str, fingerprint: &str, keys: &[SignedSecretKey]) -> Result<Vec<u8>, String> {
    if keys.is_empty() {
        return Err("could not decrypt data key with PGP key: no secret key".to_owned());
    }
    // The key that the file names goes first; of the others one may be right all the same.
    let named = |key: &SignedSecretKey| key.fingerprint().to_string().eq_ignore_ascii_case(fingerprint);
    let mut keys: Vec<&SignedSecretKey> = keys.iter().collect();
    keys.sort_by_key(|key| !named(key));
    open(message, keys).map_err(|error| format!("could not decrypt data key with PGP key: {error}"))
}

fn open(message: &str, secret_keys: Vec<&SignedSecretKey>) -> Result<Vec<u8>, pgp::errors::Error> {
    let (message, _) = Message::from_armor(message.as_bytes())?;
    let no_password = Password::empty();
    let ring = TheRing {
        secret_keys,
        key_passwords: vec![&no_password],
        decrypt_options: DecryptionOptions::new().enable_gnupg_aead(),
        ..TheRing::default()
    };
    let (message, _) = message.decrypt_the_ring(ring, true)?;
    let message = if message.is_compressed() { message.decompress()? } else { message };
    let mut plain = Vec::new();
    message.take(LONGEST_KEY).read_to_end(&mut plain)?;
    Ok(plain)
}

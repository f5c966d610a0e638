//! age keys.

use std::io::Read as _;

use age::armor::ArmoredReader;
use age::{DecryptError, Decryptor, Identity};

use super::post_quantum::HybridIdentity;

/// More than any key of data, or part of one.
const LONGEST_KEY: u64 = 4096;

pub(super) fn parse(text: &str) -> Result<Vec<Box<dyn Identity + Send + Sync>>, String> {
    if text.trim_start().starts_with("-----BEGIN") {
        return parse_ssh(text);
    }
    let mut identities: Vec<Box<dyn Identity + Send + Sync>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let failed = |reason: &str| format!("error at line {}: {reason}", index + 1);
        if line.starts_with("AGE-SECRET-KEY-PQ-1") {
            let identity = HybridIdentity::parse(line).ok_or_else(|| failed("malformed secret key"))?;
            identities.push(Box::new(identity));
        } else if line.starts_with("AGE-SECRET-KEY-1") {
            let identity: age::x25519::Identity = line.parse().map_err(|_| failed("malformed secret key"))?;
            identities.push(Box::new(identity));
        } else if line.starts_with("AGE-PLUGIN-") {
            return Err(failed("plugins are not supported"));
        } else {
            return Err(failed("unknown identity type"));
        }
    }
    if identities.is_empty() {
        return Err("no secret keys found".to_owned());
    }
    Ok(identities)
}

fn parse_ssh(text: &str) -> Result<Vec<Box<dyn Identity + Send + Sync>>, String> {
    let identity =
        age::ssh::Identity::from_buffer(text.as_bytes(), None).map_err(|error| error.to_string())?;
    match &identity {
        age::ssh::Identity::Unencrypted(_) => Ok(vec![Box::new(identity)]),
        age::ssh::Identity::Encrypted(_) => Err("the SSH key has a passphrase".to_owned()),
        age::ssh::Identity::Unsupported(_) => Err("unsupported type of SSH key".to_owned()),
    }
}

/// Decrypts a message. Errors have the words of the reference.
pub(super) fn decrypt(
    message: &str,
    identities: &[Box<dyn Identity + Send + Sync>],
) -> Result<Vec<u8>, String> {
    if identities.is_empty() {
        return Err("failed to load age identities".to_owned());
    }
    let opening =
        |reason: &str| format!("failed to create reader for decrypting sops data key with age: {reason}");
    let reading = |reason: &str| format!("failed to copy age decrypted data into bytes.Buffer: {reason}");
    let decryptor =
        Decryptor::new(ArmoredReader::new(message.as_bytes())).map_err(|error| opening(&reason(&error)))?;
    let identities = identities.iter().map(|identity| identity.as_ref() as &dyn Identity);
    let reader = decryptor.decrypt(identities).map_err(|error| opening(&reason(&error)))?;
    let mut plain = Vec::new();
    let length =
        reader.take(LONGEST_KEY + 1).read_to_end(&mut plain).map_err(|error| reading(&error.to_string()))?;
    if length as u64 > LONGEST_KEY {
        return Err(reading("too long"));
    }
    Ok(plain)
}

fn reason(error: &DecryptError) -> String {
    match error {
        DecryptError::NoMatchingKeys => "no identity matched any of the recipients".to_owned(),
        DecryptError::InvalidMac => "bad header MAC".to_owned(),
        DecryptError::InvalidHeader => {
            "failed to read header: parsing age header: malformed header".to_owned()
        }
        DecryptError::UnknownFormat => "failed to read header: unknown format".to_owned(),
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            "failed to decrypt and authenticate".to_owned()
        }
        DecryptError::Io(error) => format!("failed to read header: {error}"),
        DecryptError::ExcessiveWork { .. } => "scrypt work factor too large".to_owned(),
    }
}

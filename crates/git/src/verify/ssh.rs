//! SSH signatures, as `git` makes them with `gpg.format=ssh`.

use russh::keys::{HashAlg, PublicKey, ssh_key::SshSig};

use crate::error::Error;

/// What Git signs for.
const NAMESPACE: &str = "git";

pub(super) type Key = PublicKey;

/// Reads keys, one a line, in the format of `authorized_keys` without options. `None` if there is none.
pub(super) fn parse(content: &[u8]) -> Option<Vec<Key>> {
    let text = std::str::from_utf8(content).ok()?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(|line| PublicKey::from_openssh(line).ok()).collect::<Option<Vec<_>>>()?;
    (!keys.is_empty()).then_some(keys)
}

pub(super) fn verify(keys: &[Key], signature: &str, payload: &[u8]) -> Result<String, Error> {
    let failed = |reason: &str| Error::Signature(reason.to_owned());
    let signature = SshSig::from_pem(signature).map_err(|_| failed("the SSH signature cannot be read"))?;
    let key = keys.iter().find(|key| key.key_data() == signature.public_key()).ok_or_else(|| {
        let fingerprint = signature.public_key().fingerprint(HashAlg::Sha256);
        Error::Signature(format!(
            "unable to verify payload with any of the given SSH keys: it is signed with {fingerprint}"
        ))
    })?;
    if signature.namespace() != NAMESPACE {
        return Err(failed("the SSH signature was not made for Git"));
    }
    key.verify(NAMESPACE, payload, &signature)
        .map_err(|_| failed("the SSH signature does not match the content"))?;
    Ok(key.fingerprint(HashAlg::Sha256).to_string())
}

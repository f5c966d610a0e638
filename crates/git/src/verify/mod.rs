//! Verifying signatures of commits and tags with keys that the user trusts.

mod pgp;
mod ssh;

use crate::error::Error;
use crate::object::Signature;

/// Trusted public keys.
#[derive(Debug, Default)]
pub struct Keyring {
    pgp: Vec<pgp::Key>,
    ssh: Vec<ssh::Key>,
}

impl Keyring {
    /// No keys yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the keys in an entry of a Secret: SSH keys if its name ends in `.sshpub`, else armored PGP keys.
    pub fn add(&mut self, name: &str, content: &[u8]) -> Result<(), Error> {
        let unreadable = |what: &str| Error::Signature(format!("key '{name}' holds no {what} public key"));
        if name.ends_with(".sshpub") {
            let keys = ssh::parse(content).ok_or_else(|| unreadable("SSH"))?;
            self.ssh.extend(keys);
        } else {
            let keys = pgp::parse(content).ok_or_else(|| unreadable("PGP"))?;
            self.pgp.extend(keys);
        }
        Ok(())
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.pgp.is_empty() && self.ssh.is_empty()
    }

    /// Verifies a signature; gives the key that made it: the id of a PGP key, the fingerprint of an SSH key.
    pub fn verify(&self, signed: &Signature) -> Result<String, Error> {
        let text = signed.signature.trim_start();
        if text.starts_with("-----BEGIN SSH SIGNATURE-----") {
            ssh::verify(&self.ssh, text, &signed.payload)
        } else if text.starts_with("-----BEGIN PGP ") {
            pgp::verify(&self.pgp, text, &signed.payload)
        } else {
            Err(Error::Signature("the kind of signature is not supported: use PGP or SSH".to_owned()))
        }
    }
}

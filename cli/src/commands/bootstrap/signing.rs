//! With what the commits of a bootstrap are signed.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use sluice_git::{SignError, SigningKey};

use crate::failure;

/// Flags about signatures.
#[derive(Args, Clone, Debug)]
pub(super) struct SigningArgs {
    /// A file with OpenPGP keys; one of them signs the commits.
    #[arg(long, value_name = "FILE")]
    gpg_key_ring: Option<String>,
    /// The passphrase of the OpenPGP key.
    #[arg(long, value_name = "TEXT")]
    gpg_passphrase: Option<String>,
    /// Which OpenPGP key signs, by its id of 16 hexadecimal digits.
    #[arg(long, value_name = "ID")]
    gpg_key_id: Option<String>,
    /// A file with a private SSH key that signs the commits.
    #[arg(long, value_name = "FILE")]
    ssh_signing_key_file: Option<String>,
    /// The passphrase of that key.
    #[arg(long, value_name = "TEXT", alias = "ssh-signing-passphrase")]
    ssh_signing_password: Option<String>,
    /// Sign with the key of --private-key-file.
    #[arg(long)]
    ssh_signing_reuse_private_key: bool,
}

/// The key that the repository is pushed with, where it may sign too.
pub(super) struct TransportKey<'a> {
    pub(super) file: Option<&'a str>,
    pub(super) password: Option<&'a str>,
}

impl SigningArgs {
    /// Whether the key of the transport is to sign.
    pub(super) fn reuses_private_key(&self) -> bool {
        self.ssh_signing_reuse_private_key
    }

    /// The key, read and unlocked; none where commits are not signed.
    pub(super) fn key(&self, transport: &TransportKey<'_>) -> Result<Option<Arc<SigningKey>>> {
        let ssh = self.ssh_signing_key_file.is_some() || self.ssh_signing_reuse_private_key;
        if self.gpg_key_ring.is_some() && ssh {
            bail!("--gpg-* and --ssh-signing-* are mutually exclusive; pick one signing format");
        }
        if self.ssh_signing_key_file.is_some() && self.ssh_signing_reuse_private_key {
            bail!("--ssh-signing-key-file and --ssh-signing-reuse-private-key are mutually exclusive");
        }
        if self.ssh_signing_reuse_private_key && transport.file.is_none() {
            bail!("--ssh-signing-reuse-private-key requires --private-key-file");
        }
        if self.ssh_signing_password.is_some() && self.ssh_signing_key_file.is_none() {
            bail!("--ssh-signing-password requires --ssh-signing-key-file");
        }
        if self.gpg_key_ring.is_none() && (self.gpg_passphrase.is_some() || self.gpg_key_id.is_some()) {
            bail!("--gpg-passphrase and --gpg-key-id require --gpg-key-ring");
        }
        if let Some(path) = &self.gpg_key_ring {
            let ring = read(path)?;
            let id = self.gpg_key_id.as_deref();
            let key = SigningKey::pgp_of_ring(&ring, id, self.gpg_passphrase.as_deref());
            let key = key.map_err(|error| told(error, path, "--gpg-passphrase"))?;
            return Ok(Some(Arc::new(key)));
        }
        let (path, password, flag) = match (&self.ssh_signing_key_file, transport.file) {
            (Some(path), _) => {
                (path.as_str(), self.ssh_signing_password.as_deref(), "--ssh-signing-password")
            }
            (None, Some(path)) if self.ssh_signing_reuse_private_key => {
                (path, transport.password, "--password")
            }
            _ => return Ok(None),
        };
        let text = String::from_utf8(read(path)?).ok().with_context(|| format!("{path} holds no SSH key"))?;
        let key = SigningKey::ssh(&text, password).map_err(|error| told(error, path, flag))?;
        Ok(Some(Arc::new(key)))
    }
}

fn read(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| anyhow!("unable to read {path}: {}", failure::io(&error)))
}

fn told(error: SignError, path: &str, flag: &str) -> anyhow::Error {
    let hint = match error {
        SignError::Several => "choose one with --gpg-key-id".to_owned(),
        SignError::Encrypted | SignError::Passphrase => format!("give its passphrase with {flag}"),
        _ => return anyhow!("invalid signing key in {path}: {error}"),
    };
    failure::hinted(anyhow!("invalid signing key in {path}: {error}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SigningArgs,
    }

    #[test]
    fn flags_that_do_not_go_together_are_refused_before_anything_is_read() {
        let transport = TransportKey { file: None, password: None };
        for (flags, said) in [
            (&["--gpg-key-ring=a", "--ssh-signing-key-file=b"][..], "mutually exclusive"),
            (&["--ssh-signing-key-file=b", "--ssh-signing-reuse-private-key"], "mutually exclusive"),
            (&["--ssh-signing-reuse-private-key"], "requires --private-key-file"),
            (&["--ssh-signing-password=x"], "requires --ssh-signing-key-file"),
            (&["--gpg-key-id=x"], "require --gpg-key-ring"),
            (&["--gpg-key-ring=nowhere"], "unable to read nowhere: no such file or directory"),
        ] {
            let args = Line::parse_from(["x"].iter().chain(flags)).args;
            let error = args.key(&transport).unwrap_err().to_string();
            assert!(error.contains(said), "{flags:?}: {error}");
        }
        assert!(Line::parse_from(["x"]).args.key(&transport).unwrap().is_none());
    }
}

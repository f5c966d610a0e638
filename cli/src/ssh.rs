//! Keys for Git over SSH: made, read, and the key of a server looked up.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use russh::client;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{KeypairData, RsaKeypair};
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey, PublicKeyOrCertificate};

use crate::failure;

/// Flags about the key of a repository.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeyArgs {
    /// A file with the private key, in place of one that is made.
    #[arg(long, value_name = "FILE")]
    pub(crate) private_key_file: Option<String>,
    /// The kind of the key that is made.
    #[arg(long, value_enum, default_value = "ecdsa")]
    pub(crate) ssh_key_algorithm: KeyAlgorithm,
    /// The length of an RSA key in bits.
    #[arg(long, default_value_t = 2048)]
    pub(crate) ssh_rsa_bits: u16,
    /// The curve of an ECDSA key.
    #[arg(long, value_enum, default_value = "p384")]
    pub(crate) ssh_ecdsa_curve: Curve,
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyAlgorithm {
    Rsa,
    Ecdsa,
    Ed25519,
}

/// Curves of ECDSA keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// A key pair as it is written into a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPair {
    /// The private key in OpenSSH's PEM.
    pub(crate) identity: String,
    /// The public key as one line, with the end of the line.
    pub(crate) public: String,
}

impl KeyArgs {
    /// The key of the file, or a new one.
    pub(crate) fn pair(&self, password: Option<&str>) -> Result<KeyPair> {
        match &self.private_key_file {
            Some(path) => read(path, password),
            None => self.make(),
        }
    }

    fn make(&self) -> Result<KeyPair> {
        let mut random = rand::rng();
        let key = match self.ssh_key_algorithm {
            KeyAlgorithm::Rsa => {
                let bits = self.ssh_rsa_bits;
                if bits < 2048 || !bits.is_multiple_of(8) {
                    bail!("an RSA key has at least 2048 bits, in steps of 8: {bits} is no such length");
                }
                let pair =
                    RsaKeypair::random(&mut random, usize::from(bits)).context("no key can be made")?;
                PrivateKey::new(KeypairData::Rsa(pair), "").context("no key can be made")?
            }
            KeyAlgorithm::Ed25519 => {
                PrivateKey::random(&mut random, Algorithm::Ed25519).context("no key can be made")?
            }
            KeyAlgorithm::Ecdsa => {
                let curve = match self.ssh_ecdsa_curve {
                    Curve::P256 => EcdsaCurve::NistP256,
                    Curve::P384 => EcdsaCurve::NistP384,
                    Curve::P521 => EcdsaCurve::NistP521,
                };
                PrivateKey::random(&mut random, Algorithm::Ecdsa { curve }).context("no key can be made")?
            }
        };
        Ok(KeyPair {
            identity: key.to_openssh(LineEnding::LF).context("the key cannot be written")?.to_string(),
            public: public(&key)?,
        })
    }
}

/// Reads a private key. It is kept as it is: the controllers read the same forms.
fn read(path: &str, password: Option<&str>) -> Result<KeyPair> {
    let identity = std::fs::read_to_string(path)
        .map_err(|error| anyhow!("unable to read {path}: {}", failure::io(&error)))?;
    let key = russh::keys::decode_secret_key(&identity, password.filter(|password| !password.is_empty()))
        .map_err(|error| anyhow!("{path} holds no private key that can be read: {error}"))?;
    Ok(KeyPair { public: public(&key)?, identity })
}

fn public(key: &PrivateKey) -> Result<String> {
    Ok(key.public_key().to_openssh().context("the public key cannot be written")?.trim_end().to_owned()
        + "\n")
}

/// Host, port and user of `ssh://[user@]host[:port]/…`.
pub(crate) fn address(url: &str) -> Result<(String, u16, Option<String>)> {
    let rest = url.strip_prefix("ssh://").with_context(|| format!("{url} is no ssh:// address"))?;
    let authority = rest.split('/').next().unwrap_or(rest);
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user.split(':').next().unwrap_or(user).to_owned()), place),
        None => (None, authority),
    };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().with_context(|| format!("{port:?} in {url} is no port"))?)
        }
        _ => (place, 22),
    };
    let host = host.trim_matches(['[', ']']);
    if host.is_empty() {
        bail!("{url} names no host");
    }
    Ok((host.to_owned(), port, user))
}

/// The line of `known_hosts` for a server: what it shows now. `algorithms` narrows the kinds of keys.
pub(crate) async fn scan(host: &str, port: u16, algorithms: &[String]) -> Result<String> {
    let mut config = client::Config { nodelay: true, ..client::Config::default() };
    if !algorithms.is_empty() {
        let wanted = algorithms.iter().map(|name| {
            name.parse::<Algorithm>().map_err(|_| anyhow!("unknown host key algorithm {name:?}"))
        });
        config.preferred.key = wanted.collect::<Result<Vec<_>>>()?.into();
    }
    let shown = Arc::new(OnceLock::new());
    let handler = Listener(shown.clone());
    let connecting = client::connect(Arc::new(config), (host, port), handler);
    // The connection is refused after the key was seen: its error is of no interest then.
    let result = tokio::time::timeout(Duration::from_secs(30), connecting).await;
    let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
    match shown.get() {
        Some(key) => Ok(format!("{name} {key}\n")),
        None => {
            let reason = match result {
                Ok(Ok(_)) => "it showed none".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it does not answer".to_owned(),
            };
            bail!("the SSH key of {name} cannot be read: {reason}")
        }
    }
}

/// Keeps the key of the server and refuses it.
struct Listener(Arc<OnceLock<String>>);

impl client::Handler for Listener {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        if let PublicKeyOrCertificate::PublicKey { key, .. } = key
            && let Ok(line) = key.to_openssh()
        {
            let words: Vec<&str> = line.split_whitespace().take(2).collect();
            let _ = self.0.set(words.join(" "));
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(ssh_key_algorithm: KeyAlgorithm) -> KeyArgs {
        KeyArgs {
            private_key_file: None,
            ssh_key_algorithm,
            ssh_rsa_bits: 2048,
            ssh_ecdsa_curve: Curve::P384,
        }
    }

    #[test]
    fn keys_of_every_kind_are_made_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, begin) in
            [(KeyAlgorithm::Ed25519, "ssh-ed25519 "), (KeyAlgorithm::Ecdsa, "ecdsa-sha2-nistp384 ")]
        {
            let made = args(kind).pair(None).unwrap();
            assert!(made.public.starts_with(begin), "{}", made.public);
            let path = folder.path().join("identity");
            std::fs::write(&path, &made.identity).unwrap();
            let path = Some(path.display().to_string());
            let again = KeyArgs { private_key_file: path, ..args(kind) }.pair(None).unwrap();
            assert_eq!(again, made);
        }
        assert!(KeyArgs { ssh_rsa_bits: 1024, ..args(KeyAlgorithm::Rsa) }.pair(None).is_err());
    }

    #[test]
    fn addresses_have_a_host_and_perhaps_a_port_and_a_user() {
        let told = |url| address(url).unwrap();
        assert_eq!(told("ssh://git@host/org/repo"), ("host".into(), 22, Some("git".into())));
        assert_eq!(told("ssh://host:2222/repo"), ("host".into(), 2222, None));
        assert_eq!(told("ssh://[::1]:22/repo"), ("::1".into(), 22, None));
        assert!(address("https://host/repo").is_err() && address("ssh:///repo").is_err());
    }
}

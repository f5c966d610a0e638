//! Git over SSH: one connection, one program on the server, requests and answers on its pipes.

mod known_hosts;
mod pipe;
mod tunnel;

use std::sync::Arc;

use russh::ChannelMsg;
use russh::client::{self, AuthResult, Handle};
use russh::keys::{
    Algorithm, EcdsaCurve, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
};

use sluice_http::Proxy;

use super::Service;
use crate::auth::{Credentials, SshAlgorithms};
use crate::error::{CredentialPart, Error};
use crate::url::RemoteUrl;
use crate::wire::packet::Packets;
use known_hosts::KnownHosts;
use pipe::Pipe;

/// A repository over SSH.
pub(crate) struct SshTransport {
    pipe: Pipe,
    /// Ends the connection when dropped.
    _session: Handle<HostKeyCheck>,
}

impl SshTransport {
    /// Connects, checks the server's key, logs in and starts the program.
    pub(crate) async fn connect(
        url: &RemoteUrl,
        credentials: &Credentials,
        algorithms: &SshAlgorithms,
        proxy: Option<&Proxy>,
        service: Service,
    ) -> Result<Self, Error> {
        let Credentials::Ssh { identity, passphrase, known_hosts } = credentials else {
            return Err(Error::Configuration("an SSH URL needs a private key and known hosts".to_owned()));
        };
        let key = private_key(identity, passphrase.as_deref())?;
        let known = known_host(known_hosts, url)?;
        let config = Arc::new(config(&known, algorithms)?);
        let host = url.host().trim_matches(['[', ']']).to_owned();
        let check = HostKeyCheck { known, refused: Arc::default() };
        let refused = Arc::clone(&check.refused);
        let connected = match proxy {
            Some(proxy) => {
                let stream = tunnel::dial(proxy, url.host(), url.port()).await?;
                client::connect_stream(config, stream, check).await
            }
            None => client::connect(config, (host.as_str(), url.port()), check).await,
        };
        let mut session = connected.map_err(|error| match refused.get() {
            Some(reason) => Error::HostKey(reason.clone()),
            None => broken(format!("cannot reach {host}:{}", url.port()), error),
        })?;
        log_in(&mut session, url.user().unwrap_or("git"), key).await?;
        let failed = |error| broken(format!("cannot start {} over SSH", service.name()), error);
        let mut channel = session.channel_open_session().await.map_err(failed)?;
        // Servers may refuse the variable; then they speak the old protocol.
        if let Some(version) = service.version() {
            channel.set_env(false, "GIT_PROTOCOL", version).await.map_err(failed)?;
        }
        channel.exec(true, command(service, &url.path())).await.map_err(failed)?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => break,
                Some(ChannelMsg::Failure) | None => {
                    return Err(Error::Remote(format!("{} cannot be run", service.name())));
                }
                Some(_) => {}
            }
        }
        Ok(SshTransport { pipe: Pipe::new(channel), _session: session })
    }

    pub(crate) fn advertisement(&mut self) -> Packets<'_> {
        self.pipe.packets()
    }

    pub(crate) async fn request(&mut self, body: Vec<u8>) -> Result<Packets<'_>, Error> {
        self.pipe.write(body).await?;
        Ok(self.pipe.packets())
    }

    /// What the server wrote beside the protocol: often the reason why it closed the connection.
    pub(crate) async fn complaint(&mut self) -> Option<String> {
        self.pipe.complaint().await
    }
}

fn broken(action: String, error: russh::Error) -> Error {
    Error::Transport { action, source: Box::new(error) }
}

/// The host's keys.
fn known_host(text: &str, url: &RemoteUrl) -> Result<KnownHosts, Error> {
    let all = KnownHosts::parse(text);
    let known = all.for_host(url.host(), url.port());
    let reason = if !known.is_empty() {
        return Ok(known);
    } else if all.is_empty() {
        "knownhosts: it holds no host key; a line is 'host type key', as ssh-keyscan prints it".to_owned()
    } else {
        let host = known_hosts::address(url.host(), url.port());
        format!("knownhosts: no key for the host {host}")
    };
    Err(Error::Credential { part: CredentialPart::KnownHosts, reason })
}

/// The command line, quoted as Git does it.
fn command(service: Service, path: &str) -> String {
    let path = path.strip_prefix("/~").map_or_else(|| path.to_owned(), |rest| format!("~{rest}"));
    let quoted = path.replace('\'', r"'\''").replace('!', r"'\!'");
    format!("{} '{quoted}'", service.name())
}

pub(crate) fn private_key(identity: &str, passphrase: Option<&str>) -> Result<PrivateKey, Error> {
    let unreadable = |reason: String| Error::Credential {
        part: CredentialPart::Identity,
        reason: format!("the SSH identity cannot be read: {reason}"),
    };
    match russh::keys::decode_secret_key(identity, passphrase) {
        Ok(key) => Ok(key),
        Err(russh::keys::Error::KeyIsEncrypted) => Err(Error::KeyEncrypted),
        Err(_) if passphrase.is_some() => Err(unreadable("wrong passphrase, or no private key".to_owned())),
        // Encrypted PEM of older kinds.
        Err(_) if identity.contains("ENCRYPTED") => Err(Error::KeyEncrypted),
        Err(_) => Err(unreadable("no private key in PEM or OpenSSH format".to_owned())),
    }
}

async fn log_in(session: &mut Handle<HostKeyCheck>, user: &str, key: PrivateKey) -> Result<(), Error> {
    let failed = |error| broken("cannot log in over SSH".to_owned(), error);
    let hash = if matches!(key.algorithm(), Algorithm::Rsa { .. }) {
        session.best_supported_rsa_hash().await.map_err(failed)?.unwrap_or(Some(HashAlg::Sha512))
    } else {
        None
    };
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
    match session.authenticate_publickey(user, key).await.map_err(failed)? {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { .. } => {
            Err(Error::Unauthenticated("the server refused the SSH key".to_owned()))
        }
    }
}

/// Offers only host keys that can be checked, so that a server with several keys shows a known one.
fn config(known: &KnownHosts, algorithms: &SshAlgorithms) -> Result<client::Config, Error> {
    let mut preferred = russh::Preferred::default();
    let mut keys = known.algorithms();
    if !algorithms.host_key.is_empty() {
        let wanted = algorithms.host_key.iter().map(|name| {
            name.parse::<Algorithm>()
                .map_err(|_| Error::Configuration(format!("unknown host key algorithm {name:?}")))
        });
        let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
        keys = wanted.into_iter().filter(|algorithm| keys.contains(algorithm)).collect();
    }
    preferred.key = keys.into();
    if !algorithms.key_exchange.is_empty() {
        let names = algorithms.key_exchange.iter().map(|name| {
            russh::kex::Name::try_from(name.as_str())
                .map_err(|()| Error::Configuration(format!("unknown key exchange algorithm {name:?}")))
        });
        preferred.kex = names.collect::<Result<Vec<_>, _>>()?.into();
    }
    Ok(client::Config { preferred, nodelay: true, ..client::Config::default() })
}

/// The algorithms that a key of a type can sign with.
fn signing_algorithms(key: &Algorithm) -> Vec<Algorithm> {
    match key {
        Algorithm::Rsa { .. } => vec![
            Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
            Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
            Algorithm::Rsa { hash: None },
        ],
        other => vec![other.clone()],
    }
}

/// The strongest first, where a host has several keys.
fn rank(algorithm: &Algorithm) -> usize {
    match algorithm {
        Algorithm::Ed25519 => 0,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => 1,
        Algorithm::Ecdsa { .. } => 2,
        Algorithm::Rsa { .. } => 3,
        _ => 4,
    }
}

/// Accepts the keys in `known_hosts` and no other.
struct HostKeyCheck {
    known: KnownHosts,
    refused: Arc<std::sync::OnceLock<String>>,
}

impl client::Handler for HostKeyCheck {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            let _ = self.refused.set("the server shows a certificate, which is not supported".to_owned());
            return Ok(false);
        };
        match self.known.check(key) {
            Ok(()) => Ok(true),
            Err(reason) => {
                let _ = self.refused.set(reason);
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_the_servers_shell() {
        assert_eq!(command(Service::UploadPack, "/org/repo.git"), "git-upload-pack '/org/repo.git'");
        assert_eq!(command(Service::UploadPack, "/~me/repo"), "git-upload-pack '~me/repo'");
        assert_eq!(
            command(Service::UploadPack, "/a'; rm -rf /'!"),
            r"git-upload-pack '/a'\''; rm -rf /'\'''\!''"
        );
    }

    #[test]
    fn garbage_keys_are_named_and_not_shown() {
        for garbage in
            ["", "s3cret", "-----BEGIN OPENSSH PRIVATE KEY-----\ns3cret\n-----END OPENSSH PRIVATE KEY-----\n"]
        {
            for passphrase in [None, Some("s3cret")] {
                let error = private_key(garbage, passphrase).unwrap_err();
                assert!(matches!(error, Error::Credential { part: CredentialPart::Identity, .. }));
                assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
            }
        }
    }
}

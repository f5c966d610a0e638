//! Credentials and certificates.

use std::fmt;

/// How to log in. Debug output shows no secret.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub enum Credentials {
    /// Not at all, or as the URL says.
    #[default]
    None,
    /// User and password over HTTP.
    Basic {
        /// The user.
        username: String,
        /// The password, or a token in its place.
        password: String,
    },
    /// A bearer token over HTTP.
    Bearer(String),
    /// A key over SSH.
    Ssh {
        /// The private key, PEM or OpenSSH.
        identity: String,
        /// Its passphrase.
        passphrase: Option<String>,
        /// The host keys to accept, in the format of `known_hosts`.
        known_hosts: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credentials::None => "None",
            Credentials::Basic { .. } => "Basic",
            Credentials::Bearer(_) => "Bearer",
            Credentials::Ssh { .. } => "Ssh",
        })
    }
}

/// Algorithms for SSH, most preferred first; empty leaves the choice to the library.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SshAlgorithms {
    /// For the key exchange.
    pub key_exchange: Vec<String>,
    /// For the server's key; only those of which `known_hosts` holds a key are offered.
    pub host_key: Vec<String>,
}

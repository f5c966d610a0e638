//! What can go wrong with a remote repository.

use std::io;

use crate::object::ObjectId;
use crate::pack::PackError;
use crate::tree::TreeError;

/// What a caller has given to log in with, for messages that say where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialPart {
    /// The private key for SSH.
    Identity,
    /// The host keys for SSH.
    KnownHosts,
    /// The bearer token.
    Token,
    /// The certificate authorities.
    Authorities,
    /// The client's certificate or its key.
    Certificate,
    /// The address of the proxy.
    Proxy,
}

/// A failure. Own context only; causes stay in `source`. No text holds a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be read.
    #[error("invalid URL {url:?}: {reason}")]
    Url {
        /// The URL, masked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Settings that cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// A part of the credentials, certificates or proxy that cannot be used.
    #[error("{reason}")]
    Credential {
        /// Which.
        part: CredentialPart,
        /// What is wrong with it.
        reason: String,
    },
    /// The server wants other credentials, or some.
    #[error("authentication required")]
    Unauthenticated(String),
    /// The credentials are known and not sufficient.
    #[error("authorization failed")]
    Forbidden(String),
    /// There is no such repository, or none that may be seen.
    #[error("repository not found")]
    NotFound(String),
    /// The server answered with an unexpected HTTP status.
    #[error("unexpected HTTP status {status} from {host}")]
    Status {
        /// The status.
        status: u16,
        /// Who answered.
        host: String,
    },
    /// The proxy does not let requests pass.
    #[error("the proxy wants a user name and a password, or others")]
    ProxyLogin,
    /// A redirect that is not followed.
    #[error("refused the redirect to {0}")]
    Redirect(String),
    /// No connection, or one that broke.
    #[error("{action}")]
    Transport {
        /// What was tried.
        action: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The SSH server is not the one that is known.
    #[error("{0}")]
    HostKey(String),
    /// The SSH key needs a passphrase.
    #[error("SSH identity key is encrypted but no 'password' field was provided")]
    KeyEncrypted,
    /// A submodule cannot be had.
    #[error("submodule '{path}'")]
    Submodule {
        /// Its path.
        path: String,
        /// Why it cannot.
        source: Box<Error>,
    },
    /// A signature that does not verify.
    #[error("{0}")]
    Signature(String),
    /// The answer is not Git's smart protocol.
    #[error("{host} does not speak Git's smart protocol: {detail}")]
    NotSmart {
        /// Who answered.
        host: String,
        /// What it answered.
        detail: String,
    },
    /// The answer violates the protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// The server refused, in its own words.
    #[error("the server answered: {0}")]
    Remote(String),
    /// The repository does not use SHA-1 object names.
    #[error("unsupported object format {0:?}")]
    ObjectFormat(String),
    /// There are no references at all.
    #[error("git repository is empty")]
    Empty,
    /// The reference that was asked for does not exist.
    #[error("couldn't find remote ref {0:?}")]
    ReferenceNotFound(String),
    /// `ref.name` resolves to nothing.
    #[error("unable to resolve ref '{0}' to a specific commit")]
    NameNotResolved(String),
    /// `ref.name` is no reference name.
    #[error("invalid ref name {0:?}: it begins or ends with a slash")]
    NameInvalid(String),
    /// `ref.semver` is no range.
    #[error("semver parse error: {0}")]
    Semver(#[from] sluice_semver::ConstraintError),
    /// No tag lies in the range.
    #[error("no match found for semver: {0}")]
    NoSemverMatch(String),
    /// `ref.commit` is no object name.
    #[error("invalid commit {0:?}: 40 hexadecimal digits are needed")]
    CommitInvalid(String),
    /// The server did not send what was asked for.
    #[error("object {0} not found")]
    ObjectNotFound(ObjectId),
    /// An object that cannot be read.
    #[error("invalid {kind} {id}: {reason}")]
    Object {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        id: ObjectId,
        /// What is wrong with it.
        reason: String,
    },
    /// The pack cannot be used.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The tree cannot be archived.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A reference that somebody else has changed before our push.
    #[error("{0} was changed meanwhile")]
    Overtaken(String),
    /// A push that the server does not want.
    #[error("the server refuses the push to {reference}: {reason}")]
    Rejected {
        /// The reference.
        reference: String,
        /// What the server says.
        reason: String,
    },
    /// The time ran out.
    #[error("context deadline exceeded")]
    Deadline,
    /// The local disk failed.
    #[error("local I/O failed")]
    Io(#[from] io::Error),
}

impl Error {
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Error::Protocol(message.into())
    }
}

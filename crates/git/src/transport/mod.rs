//! How bytes travel.

mod http;
mod ssh;

pub(crate) use http::{HttpClients, HttpTransport};
pub(crate) use ssh::{SshTransport, private_key};

use crate::error::Error;
use crate::wire::packet::Packets;

/// The program that a server is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Gives objects.
    UploadPack,
    /// Takes objects.
    ReceivePack,
}

impl Service {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    /// The version of the protocol to ask for, if there is more than one.
    pub(crate) fn version(self) -> Option<&'static str> {
        (self == Self::UploadPack).then_some("version=2")
    }
}

/// A connection to a program of Git on a server.
pub(crate) enum Transport {
    Http(HttpTransport),
    Ssh(SshTransport),
}

impl Transport {
    /// Asks for what the server says first.
    pub(crate) async fn advertisement(&mut self) -> Result<Packets<'_>, Error> {
        match self {
            Transport::Http(http) => http.advertisement().await,
            Transport::Ssh(ssh) => Ok(ssh.advertisement()),
        }
    }

    /// Sends a request and gives its answer.
    pub(crate) async fn request(&mut self, body: Vec<u8>) -> Result<Packets<'_>, Error> {
        match self {
            Transport::Http(http) => http.request(body).await,
            Transport::Ssh(ssh) => ssh.request(body).await,
        }
    }

    /// Replaces an error of the protocol by what the server said about it elsewhere, if it did.
    pub(crate) async fn explain(&mut self, error: Error) -> Error {
        match (self, error) {
            (Transport::Ssh(ssh), error @ (Error::Protocol(_) | Error::Transport { .. })) => {
                ssh.complaint().await.map_or(error, Error::Remote)
            }
            (_, error) => error,
        }
    }
}

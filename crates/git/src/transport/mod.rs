//! How bytes travel.

mod http;
mod pem;

pub(crate) use http::{HttpClients, HttpTransport};

use crate::error::Error;
use crate::wire::packet::Packets;

/// A connection to `git-upload-pack` on a server.
pub(crate) enum Transport {
    Http(HttpTransport),
}

impl Transport {
    /// Asks for what the server says first.
    pub(crate) async fn advertisement(&mut self) -> Result<Packets<'_>, Error> {
        match self {
            Transport::Http(http) => http.advertisement().await,
        }
    }

    /// Sends a request and gives its answer.
    pub(crate) async fn request(&mut self, body: Vec<u8>) -> Result<Packets<'_>, Error> {
        match self {
            Transport::Http(http) => http.request(body).await,
        }
    }
}

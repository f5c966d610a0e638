//! Listing and fetching.

use std::sync::Arc;

use tokio::sync::mpsc;

use sluice_http::{Proxy, Tls};

use crate::auth::{Credentials, SshAlgorithms};
use crate::error::Error;
use crate::object::ObjectId;
use crate::pack::{Interrupt, Limits, Pack};
use crate::repository::Repository;
use crate::transport::{HttpClients, HttpTransport, Service, SshTransport, Transport};
use crate::url::{RemoteUrl, Scheme};
use crate::wire::advertisement::{self, Advertisement, Version};
use crate::wire::fetch::{self, Want};
use crate::wire::refs::{self, RefFilter, RemoteRef};

/// Pieces of a pack in flight between the network and the indexer.
const PIECES: usize = 16;

/// Where a repository is and how to log in there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remote {
    /// The URL.
    pub url: RemoteUrl,
    /// How to log in.
    pub credentials: Credentials,
    /// Certificates beyond the system's.
    pub tls: Tls,
    /// A proxy on the way.
    pub proxy: Option<Proxy>,
}

impl Remote {
    /// A repository that needs nothing but its URL.
    pub fn anonymous(url: RemoteUrl) -> Self {
        Remote { url, credentials: Credentials::None, tls: Tls::default(), proxy: None }
    }
}

/// Connects to remotes; keeps HTTP connections. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Client {
    http: Arc<HttpClients>,
    limits: Limits,
    ssh: SshAlgorithms,
}

/// References that a remote has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Those that were asked for.
    pub refs: Vec<RemoteRef>,
}

/// A connection on which the server has said what it can do.
pub struct Session {
    pub(crate) transport: Transport,
    pub(crate) server: Advertisement,
    limits: Limits,
}

impl Client {
    /// A client with other limits than the usual.
    pub fn with_limits(limits: Limits) -> Self {
        Client { limits, ..Client::default() }
    }

    /// The same client with other SSH algorithms than the usual.
    #[must_use]
    pub fn with_ssh(self, ssh: SshAlgorithms) -> Self {
        Client { ssh, ..self }
    }

    /// Connects to `remote`. References before protocol version 2 come here, so `filter` is needed already.
    ///
    /// Nothing here knows a deadline: wrap the future in a timeout, dropping it ends all that it does.
    pub async fn connect(&self, remote: &Remote, filter: &RefFilter) -> Result<Session, Error> {
        self.open(remote, filter, Service::UploadPack).await
    }

    pub(crate) async fn open(
        &self,
        remote: &Remote,
        filter: &RefFilter,
        service: Service,
    ) -> Result<Session, Error> {
        let mut transport = match remote.url.scheme() {
            Scheme::Http | Scheme::Https => Transport::Http(HttpTransport::new(
                Arc::clone(&self.http),
                &remote.url,
                &remote.credentials,
                remote.tls.clone(),
                remote.proxy.clone(),
                service,
            )?),
            Scheme::Ssh => Transport::Ssh(
                SshTransport::connect(
                    &remote.url,
                    &remote.credentials,
                    &self.ssh,
                    remote.proxy.as_ref(),
                    service,
                )
                .await?,
            ),
        };
        let server = match transport.advertisement().await {
            Ok(mut packets) => advertisement::read(&mut packets, filter).await,
            Err(error) => Err(error),
        };
        let server = match server {
            Ok(server) => server,
            Err(error) => return Err(transport.explain(error).await),
        };
        Ok(Session { transport, server, limits: self.limits.clone() })
    }

    /// Lists the references of `remote` that `filter` accepts.
    pub async fn list(&self, remote: &Remote, filter: &RefFilter) -> Result<(Listing, Session), Error> {
        let mut session = self.connect(remote, filter).await?;
        let listing = session.list(filter).await?;
        Ok((listing, session))
    }
}

impl Session {
    /// Lists the references that `filter` accepts. Before protocol version 2 it must be the one of the connection.
    pub async fn list(&mut self, filter: &RefFilter) -> Result<Listing, Error> {
        if self.server.version == Version::V0 {
            return Ok(Listing { refs: self.server.refs.clone() });
        }
        let request = refs::request(&self.server.capabilities, filter);
        let mut packets = self.transport.request(request).await?;
        Ok(Listing { refs: refs::read(&mut packets, filter).await? })
    }

    /// Whether the remote has no reference at all.
    pub async fn is_empty(&mut self) -> Result<bool, Error> {
        if self.server.version == Version::V0 {
            return Ok(!self.server.any_ref);
        }
        Ok(self.list(&RefFilter::All).await?.refs.is_empty())
    }

    /// Fetches `ids` (commits or tags) with their trees and, where the server can do that, without history.
    pub async fn fetch(&mut self, ids: &[ObjectId]) -> Result<Repository, Error> {
        self.fetch_with(ids, true, &[], &[]).await
    }

    /// Fetches `ids` with all their history.
    pub async fn fetch_history(&mut self, ids: &[ObjectId]) -> Result<Repository, Error> {
        self.fetch_with(ids, false, &[], &[]).await
    }

    /// Whether a commit that no reference names can be asked for.
    pub fn serves_any_commit(&self) -> bool {
        let server = &self.server;
        let named = ["allow-any-sha1-in-want", "allow-reachable-sha1-in-want", "allow-tip-sha1-in-want"];
        server.version == Version::V2 || named.iter().any(|name| server.capabilities.has(name))
    }

    /// Fetches `ids` as [`Self::fetch`] does, but for what the commits `haves` hold, whose objects are all in `known`.
    pub(crate) async fn fetch_news(
        &mut self,
        ids: &[ObjectId],
        haves: &[ObjectId],
        known: &[Arc<Pack>],
    ) -> Result<Repository, Error> {
        self.fetch_with(ids, true, haves, known).await
    }

    async fn fetch_with(
        &mut self,
        ids: &[ObjectId],
        shallow: bool,
        haves: &[ObjectId],
        known: &[Arc<Pack>],
    ) -> Result<Repository, Error> {
        let want = Want { ids: ids.to_vec(), shallow, haves: haves.to_vec() };
        let request = fetch::request(&self.server, &want)?;
        let version = self.server.version;
        let limits = self.limits.clone();
        let mut packets = self.transport.request(request).await?;
        fetch::begin(&mut packets, version).await?;
        let (sender, receiver) = mpsc::channel(PIECES);
        let interrupt = Interrupt::default();
        // Ends the indexer when this future is dropped.
        let _guard = interrupt.guard();
        let others = known.to_vec();
        let indexer =
            tokio::task::spawn_blocking(move || Pack::receive(receiver, &others, &limits, &interrupt));
        let received = fetch::receive(&mut packets, &sender).await;
        drop(sender);
        let pack = indexer.await.map_err(|error| Error::Io(std::io::Error::other(error)))?;
        // A broken connection is the cause of a pack that is cut off, not the other way round.
        received?;
        Ok(Repository::new(Arc::new(pack?), known))
    }
}

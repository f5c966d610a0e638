//! HTTP clients from what Secrets hold: certificate authorities, client certificates, proxies.
//!
//! [`Tls`] and [`Proxy`] are read from plain bytes by key, [`Options`] puts them together, and [`Clients`] makes the
//! client and keeps it for the next with the same options, so that connections are used again and the system's
//! certificate authorities are read once. Clients never carry credentials of the server: those go with each request,
//! and no redirect to another host takes them along.
//!
//! [`AddressPolicy`] says which hosts may be asked where somebody who is not trusted chooses the address.
//!
//! The crate knows nothing of Kubernetes and sends no request of its own.

mod address;
mod data;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Certificate, Client, ClientBuilder, Identity};

pub use address::{AddressPolicy, Resolver, Rule};
pub use data::DataError;
pub use words::{chain, display};

/// So many clients with different options are kept.
const MAX_CLIENTS: usize = 64;
/// So many redirects are followed.
const MAX_REDIRECTS: usize = 10;

/// Certificates beyond the system's.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Tls {
    /// Certificate authorities to accept besides the system's (PEM).
    pub authorities: Option<Vec<u8>>,
    /// The client's certificate and key (PEM).
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (authorities, identity) = (self.authorities.is_some(), self.identity.is_some());
        write!(f, "Tls {{ authorities: {authorities}, identity: {identity} }}")
    }
}

/// A proxy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// Its URL: http, https or socks5.
    pub address: String,
    /// The user there.
    pub username: Option<String>,
    /// The password there.
    pub password: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy(…)")
    }
}

/// What a client depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// Certificates.
    pub tls: Tls,
    /// Whether the authorities given, if there are any, take the place of the system's.
    pub replaces_authorities: bool,
    /// Whether any certificate of the server is accepted.
    pub insecure: bool,
    /// The proxy; without one, that of the environment.
    pub proxy: Option<Proxy>,
    /// Whether what goes without TLS goes through the proxy, too. Not so for requests that carry what the proxy must not
    /// see, such as those to the services on a machine that tell credentials.
    pub proxies_plain: bool,
    /// The server is only spoken to without TLS: no certificates need to be read.
    pub plain: bool,
    /// Whether redirects are followed: at most ten, never from https to http.
    pub redirects: bool,
    /// Whether HTTP/2 is left alone.
    pub http1_only: bool,
    /// The `User-Agent`.
    pub user_agent: String,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest silence of the server.
    pub read_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            tls: Tls::default(),
            replaces_authorities: false,
            insecure: false,
            proxy: None,
            proxies_plain: true,
            plain: false,
            redirects: true,
            http1_only: false,
            user_agent: "flux/v2".to_owned(),
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_mins(1),
        }
    }
}

/// Why there is no client. The texts show no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bundle of certificate authorities.
    #[error("the CA holds no certificate in PEM format")]
    Authorities,
    /// The client's certificate.
    #[error("the client certificate and its key are not a pair in PEM format")]
    Identity,
    /// The proxy.
    #[error("the proxy's address is no URL with http, https or socks5")]
    Proxy,
    /// Anything else.
    #[error("cannot set up the HTTP client")]
    Build(#[source] reqwest::Error),
}

/// Clients by their options.
#[derive(Debug, Default)]
pub struct Clients(Mutex<HashMap<Options, Client>>);

impl Clients {
    /// The client with these options.
    pub fn get(&self, options: &Options) -> Result<Client, Error> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(options) {
            return Ok(client.clone());
        }
        let client = build(options)?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(options.clone(), client.clone());
        Ok(client)
    }
}

/// A new client.
pub fn build(options: &Options) -> Result<Client, Error> {
    finish(options, builder(options)?)
}

/// Makes a client of what [`builder`] gave and the caller added to.
pub fn finish(options: &Options, builder: ClientBuilder) -> Result<Client, Error> {
    builder.build().map_err(|error| blame(options, error))
}

/// A client in the making, for callers that have more to say than the options can.
pub fn builder(options: &Options) -> Result<ClientBuilder, Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = Client::builder()
        .user_agent(&options.user_agent)
        .redirect(if options.redirects { redirects() } else { Policy::none() })
        .no_gzip()
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.read_timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(2);
    if options.http1_only {
        builder = builder.http1_only();
    }
    builder = if options.plain {
        builder.tls_certs_only(Vec::new())
    } else {
        let authorities = authorities(&options.tls)?;
        let builder = if options.replaces_authorities && !authorities.is_empty() {
            builder.tls_certs_only(authorities)
        } else {
            builder.tls_certs_merge(authorities)
        };
        match identity(&options.tls)? {
            Some(identity) => builder.identity(identity),
            None => builder,
        }
    };
    if options.insecure {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(proxy) = &options.proxy {
        let address = proxy.address.trim();
        let made =
            if options.proxies_plain { reqwest::Proxy::all(address) } else { reqwest::Proxy::https(address) };
        let mut all = made.map_err(|_| Error::Proxy)?;
        if let Some(username) = &proxy.username {
            all = all.basic_auth(username, proxy.password.as_deref().unwrap_or_default());
        }
        builder = builder.proxy(all);
    }
    Ok(builder)
}

/// Which of the certificates is to blame: some faults show only when all is put together, such as a key that belongs to
/// another certificate.
fn blame(options: &Options, error: reqwest::Error) -> Error {
    let Tls { authorities, identity } = &options.tls;
    let without_identity =
        Options { tls: Tls { authorities: authorities.clone(), identity: None }, ..options.clone() };
    if options.plain {
        Error::Build(error)
    } else if identity.is_some() && build(&without_identity).is_ok() {
        Error::Identity
    } else if authorities.is_some() {
        Error::Authorities
    } else {
        Error::Build(error)
    }
}

/// Credentials in headers are dropped by the library when the host changes; what is left is never to go in the clear.
fn redirects() -> Policy {
    Policy::custom(follow)
}

fn follow(attempt: Attempt<'_>) -> Action {
    let secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("too many redirects")
    } else if secure && attempt.url().scheme() != "https" {
        attempt.error("a redirect from https to http")
    } else {
        attempt.follow()
    }
}

fn authorities(tls: &Tls) -> Result<Vec<Certificate>, Error> {
    let Some(pem) = &tls.authorities else { return Ok(Vec::new()) };
    let certificates = Certificate::from_pem_bundle(pem).map_err(|_| Error::Authorities)?;
    if certificates.is_empty() { Err(Error::Authorities) } else { Ok(certificates) }
}

fn identity(tls: &Tls) -> Result<Option<Identity>, Error> {
    let Some((certificate, key)) = &tls.identity else { return Ok(None) };
    let both = [certificate.as_slice(), b"\n", key.as_slice()].concat();
    Identity::from_pem(&both).map(Some).map_err(|_| Error::Identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named_and_never_shown() {
        let with = |tls: Tls, proxy: Option<&str>| {
            let proxy = proxy.map(|address| Proxy {
                address: address.to_owned(),
                username: Some("u".to_owned()),
                password: Some("s3cret".to_owned()),
            });
            build(&Options { tls, proxy, ..Options::default() }).err().map(|error| error.to_string())
        };
        let pem = |text: &str| Some(text.as_bytes().to_vec());
        let authorities = Tls { authorities: pem("s3cret"), identity: None };
        assert_eq!(with(authorities, None).as_deref(), Some("the CA holds no certificate in PEM format"));
        let identity = Tls { authorities: None, identity: pem("s3cret").zip(pem("s3cret")) };
        let expected = "the client certificate and its key are not a pair in PEM format";
        assert_eq!(with(identity, None).as_deref(), Some(expected));
        let expected = "the proxy's address is no URL with http, https or socks5";
        assert_eq!(with(Tls::default(), Some("://s3cret")).as_deref(), Some(expected));
    }

    #[test]
    fn equal_options_share_a_client() {
        let clients = Clients::default();
        let options =
            |agent: &str| Options { plain: true, user_agent: agent.to_owned(), ..Options::default() };
        for agent in ["a", "a", "b"] {
            clients.get(&options(agent)).unwrap();
        }
        assert_eq!(clients.0.lock().unwrap().len(), 2);
    }
}

//! Git over HTTP.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, Response, StatusCode, Url};
use tokio_util::io::StreamReader;

use sluice_http::{Proxy, Tls};

use super::Service;
use crate::auth::Credentials;
use crate::error::{CredentialPart, Error};
use crate::url::RemoteUrl;
use crate::wire::packet::{Packets, text};

const MAX_REDIRECTS: usize = 10;
const USER_AGENT: &str = concat!("git/sluice-", env!("CARGO_PKG_VERSION"));
/// Clients by certificates and proxy, so that connections are used again.
#[derive(Debug, Default)]
pub(crate) struct HttpClients(sluice_http::Clients);

impl HttpClients {
    fn get(&self, secure: bool, tls: &Tls, proxy: Option<&Proxy>) -> Result<Client, Error> {
        let options = sluice_http::Options {
            tls: if secure { tls.clone() } else { Tls::default() },
            plain: !secure,
            proxy: proxy.cloned(),
            redirects: false,
            http1_only: true,
            user_agent: USER_AGENT.to_owned(),
            ..sluice_http::Options::default()
        };
        self.0.get(&options).map_err(|error| {
            let part = match error {
                sluice_http::Error::Authorities => CredentialPart::Authorities,
                sluice_http::Error::Identity => CredentialPart::Certificate,
                sluice_http::Error::Proxy => CredentialPart::Proxy,
                error => {
                    let action = "cannot set up the HTTP client".to_owned();
                    return Error::Transport { action, source: Box::new(error) };
                }
            };
            Error::Credential { part, reason: error.to_string() }
        })
    }
}

/// A repository over HTTP.
pub(crate) struct HttpTransport {
    clients: Arc<HttpClients>,
    tls: Tls,
    proxy: Option<Proxy>,
    /// Where requests go: the URL, or where a redirect led.
    base: Url,
    /// Sent to the host that the user named, and to no other.
    authorization: Option<HeaderValue>,
    service: Service,
}

impl HttpTransport {
    pub(crate) fn new(
        clients: Arc<HttpClients>,
        url: &RemoteUrl,
        credentials: &Credentials,
        tls: Tls,
        proxy: Option<Proxy>,
        service: Service,
    ) -> Result<Self, Error> {
        let authorization = authorization(url, credentials)?;
        Ok(HttpTransport { clients, tls, proxy, base: url.bare().clone(), authorization, service })
    }

    pub(crate) async fn advertisement(&mut self) -> Result<Packets<'static>, Error> {
        let mut redirects = 0;
        let response = loop {
            let mut url = self.endpoint("info/refs");
            let query = match url.query() {
                Some(query) => format!("{query}&service={}", self.service.name()),
                None => format!("service={}", self.service.name()),
            };
            url.set_query(Some(&query));
            let request = self.versioned(self.client()?.get(url));
            let response = self.send(request).await?;
            if !response.status().is_redirection() {
                break response;
            }
            redirects += 1;
            self.redirect(&response, redirects)?;
        };
        self.check(response, &format!("application/x-{}-advertisement", self.service.name())).map(packets)
    }

    pub(crate) async fn request(&mut self, body: Vec<u8>) -> Result<Packets<'static>, Error> {
        let service = self.service.name();
        let result = format!("application/x-{service}-result");
        let request = self
            .versioned(self.client()?.post(self.endpoint(service)))
            .header(CONTENT_TYPE, format!("application/x-{service}-request"))
            .header(ACCEPT, &result)
            .body(body);
        let response = self.send(request).await?;
        self.check(response, &result).map(packets)
    }

    fn versioned(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self.service.version() {
            Some(version) => request.header("Git-Protocol", version),
            None => request,
        }
    }

    fn client(&self) -> Result<Client, Error> {
        self.clients.get(self.base.scheme() == "https", &self.tls, self.proxy.as_ref())
    }

    fn endpoint(&self, tail: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{tail}", url.path().trim_end_matches('/')));
        url
    }

    fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Result<Response, Error> {
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request.send().await.map_err(|error| Error::Transport {
            action: format!("cannot reach {}", self.host()),
            source: Box::new(error.without_url()),
        })
    }

    /// Goes where the answer points, if that is the same repository elsewhere. Another host gets no credentials.
    fn redirect(&mut self, response: &Response, count: usize) -> Result<(), Error> {
        let shown = |url: &Url| {
            let mut url = url.clone();
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.to_string()
        };
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let target = location.and_then(|location| response.url().join(location).ok());
        let mut target = target.ok_or_else(|| Error::protocol("a redirect without a target"))?;
        let downgrade = self.base.scheme() == "https" && target.scheme() != "https";
        if count > MAX_REDIRECTS || downgrade || !matches!(target.scheme(), "http" | "https") {
            return Err(Error::Redirect(shown(&target)));
        }
        let Some(path) = target.path().strip_suffix("/info/refs").map(str::to_owned) else {
            return Err(Error::Redirect(shown(&target)));
        };
        target.set_path(&path);
        target.set_query(self.base.query());
        let _ = target.set_username("");
        let _ = target.set_password(None);
        let same_host = target.host_str() == self.base.host_str();
        let same_port = target.port_or_known_default() == self.base.port_or_known_default();
        let upgrade = self.base.scheme() == "http"
            && target.scheme() == "https"
            && self.base.port_or_known_default() == Some(80)
            && target.port_or_known_default() == Some(443);
        if !(same_host && (same_port && self.base.scheme() == target.scheme() || upgrade)) {
            self.authorization = None;
        }
        self.base = target;
        Ok(())
    }

    fn check(&self, response: Response, content_type: &str) -> Result<Response, Error> {
        let url = RemoteUrl::parse(self.base.as_str()).map_or_else(|_| self.host(), |url| url.to_string());
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(Error::Unauthenticated(url)),
            StatusCode::FORBIDDEN => return Err(Error::Forbidden(url)),
            StatusCode::NOT_FOUND => return Err(Error::NotFound(url)),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => return Err(Error::ProxyLogin),
            status if status.is_redirection() => return Err(Error::Redirect(url)),
            status => return Err(Error::Status { status: status.as_u16(), host: self.host() }),
        }
        let actual = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if actual.split(|b| *b == b';').next().unwrap_or_default().trim_ascii() != content_type.as_bytes() {
            let detail = if actual.is_empty() {
                "its answer has no content type".to_owned()
            } else {
                format!("its answer is {}", text(actual))
            };
            return Err(Error::NotSmart { host: self.host(), detail });
        }
        Ok(response)
    }
}

fn packets(response: Response) -> Packets<'static> {
    let stream = response.bytes_stream().map_err(|error| std::io::Error::other(error.without_url()));
    Packets::new(Box::new(StreamReader::new(Box::pin(stream))))
}

/// The secret's credentials, or those in the URL.
fn authorization(url: &RemoteUrl, credentials: &Credentials) -> Result<Option<HeaderValue>, Error> {
    let basic = |username: &str, password: &str| {
        format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
    };
    let value = match credentials {
        Credentials::Basic { username, password } => basic(username, password),
        Credentials::Bearer(_) if url.user().is_some() || url.password().is_some() => {
            let message = "a bearer token cannot be used together with user and password in the URL";
            return Err(Error::Configuration(message.to_owned()));
        }
        Credentials::Bearer(token) => format!("Bearer {}", token.trim()),
        Credentials::Ssh { .. } | Credentials::None => match (url.user(), url.password()) {
            (None, None) => return Ok(None),
            (user, password) => basic(user.unwrap_or_default(), password.unwrap_or_default()),
        },
    };
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        let reason = "it holds characters that HTTP does not allow".to_owned();
        Error::Credential { part: CredentialPart::Token, reason }
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

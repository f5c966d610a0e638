//! The HTTP client of all providers: bounded retries, proxies, private CAs.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Identity, Method, Proxy, StatusCode, Url};
use serde::Serialize;

use super::Target;

/// Tries at most, the first included.
const ATTEMPTS: u32 = 5;
const MIN_DELAY: Duration = Duration::from_secs(2);
const MAX_DELAY: Duration = Duration::from_secs(30);
/// How much of an answer is read, for messages and for what the services tell of themselves.
const MAX_ANSWER: usize = 1024 * 1024;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The service answered, but not with success.
    #[error("request failed: request failed with status code {status}: {body}")]
    Status {
        /// The status code.
        status: u16,
        /// The answer's body.
        body: String,
    },
    /// It was not reached or kept failing.
    #[error("failed to execute request: {method} giving up after {attempts} attempt(s): {cause}")]
    GivenUp {
        /// The method.
        method: Method,
        /// How often it was tried.
        attempts: u32,
        /// What happened last.
        cause: String,
    },
    /// The time of the Provider was over.
    #[error("no success within the provider's timeout of {0:?}")]
    Timeout(Duration),
    /// The service says in its own words that it failed.
    #[error("{0}")]
    Refused(String),
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A POST of JSON.
    pub(crate) fn json(url: Url, body: &impl Serialize) -> Result<Self, super::Error> {
        let body = serde_json::to_vec(body).map_err(|error| super::Error::Event(error.to_string()))?;
        let headers = HeaderMap::from_iter([(
            reqwest::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )]);
        Ok(Self { method: Method::POST, url, headers, body })
    }

    /// A GET.
    pub(crate) fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// The request with another method.
    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// The request with a header set. Its value counts as secret.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Result<Self, super::Error> {
        let problem = || {
            super::Error::Config(format!("the header '{name}' has a name or value that HTTP does not allow"))
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| problem())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| problem())?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// The request with `Authorization: Bearer` where there is a token.
    pub(crate) fn bearer(self, token: Option<&str>) -> Result<Self, super::Error> {
        match token.filter(|token| !token.is_empty()) {
            Some(token) => self.header("authorization", &format!("Bearer {token}")),
            None => Ok(self),
        }
    }
}

/// A client for one target.
pub(crate) struct Client {
    http: reqwest::Client,
}

impl Client {
    /// A client with the target's proxy and certificates.
    pub(crate) fn new(target: &Target) -> Result<Self, super::Error> {
        let config = |what: &str| {
            let what = what.to_owned();
            move |error: reqwest::Error| super::Error::Config(format!("{what}: {}", error.without_url()))
        };
        let mut builder = reqwest::Client::builder()
            .timeout(target.timeout)
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none());
        if let Some(proxy) = &target.proxy {
            builder = builder.proxy(Proxy::all(proxy).map_err(config("the proxy's address is invalid"))?);
        }
        let credentials = &target.credentials;
        if let Some(authority) = &credentials.ca {
            let certificates = Certificate::from_pem_bundle(authority)
                .map_err(config("the CA certificate cannot be read"))?;
            builder = builder.tls_certs_only(certificates);
        }
        if let Some((certificate, key)) = &credentials.certificate {
            let pem = [certificate.as_slice(), b"\n", key].concat();
            let identity =
                Identity::from_pem(&pem).map_err(config("the client certificate cannot be read"))?;
            builder = builder.identity(identity);
        }
        Ok(Self { http: builder.build().map_err(config("cannot build the HTTP client"))? })
    }

    /// Sends a request whose answer does not matter.
    pub(crate) async fn send(&self, request: Request) -> Result<(), Error> {
        self.fetch(request).await.map(|_| ())
    }

    /// Sends a request and returns the answer's body. Repeated on connection errors, 429 and 5xx other than 501.
    pub(crate) async fn fetch(&self, request: Request) -> Result<Vec<u8>, Error> {
        let mut delay = MIN_DELAY;
        let mut attempt = 1;
        loop {
            let sent = self
                .http
                .request(request.method.clone(), request.url.clone())
                .headers(request.headers.clone())
                .body(request.body.clone())
                .send()
                .await;
            let (cause, wanted) = match sent {
                Ok(response) if response.status().is_success() => return Ok(read(response).await),
                Ok(response) if !is_worth_a_retry(response.status()) => {
                    let status = response.status().as_u16();
                    let body = String::from_utf8_lossy(&read(response).await).into_owned();
                    return Err(Error::Status { status, body });
                }
                Ok(response) => {
                    (format!("status code {}", response.status().as_u16()), retry_after(&response))
                }
                Err(error) => (sluice_runtime::errors::chain(&error.without_url()), None),
            };
            if attempt == ATTEMPTS {
                return Err(Error::GivenUp { method: request.method, attempts: attempt, cause });
            }
            tokio::time::sleep(wanted.unwrap_or(delay)).await;
            delay = (delay * 2).min(MAX_DELAY);
            attempt += 1;
        }
    }
}

fn is_worth_a_retry(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// The wait that a 429 or 503 asks for, in seconds.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let status = response.status();
    if status != StatusCode::TOO_MANY_REQUESTS && status != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The body, as far as the bound goes.
async fn read(mut response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_ANSWER {
            break;
        }
    }
    body
}

//! The HTTP client of all providers: bounded retries, proxies, private CAs, hosts that are out of bounds.

use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use sluice_http::{Options, Proxy, Tls};

use super::{AddressPolicy, Target};

/// Tries at most, the first included.
const ATTEMPTS: u32 = 5;
const MIN_DELAY: Duration = if cfg!(test) { Duration::from_millis(5) } else { Duration::from_secs(2) };
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
    /// The service asks to come back later than the time of the Provider allows.
    #[error("the service asks to come back in {}s: {cause}", wait.as_secs())]
    Later {
        /// After this time.
        wait: Duration,
        /// What it answered.
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

    /// A POST of bytes.
    pub(crate) fn bytes(url: Url, content_type: &'static str, body: Vec<u8>) -> Self {
        let content_type = HeaderValue::from_static(content_type);
        let headers = HeaderMap::from_iter([(reqwest::header::CONTENT_TYPE, content_type)]);
        Self { method: Method::POST, url, headers, body }
    }

    /// A POST of a form.
    pub(crate) fn form(url: Url, fields: &[(&str, &str)]) -> Self {
        let mut form = url.clone();
        form.query_pairs_mut().clear().extend_pairs(fields);
        let body = form.query().unwrap_or_default().as_bytes().to_vec();
        Self::bytes(url, "application/x-www-form-urlencoded", body)
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

/// A client for one target. It keeps connections, and has a deadline for all that it sends.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    policy: AddressPolicy,
    deadline: Instant,
    #[cfg(test)]
    via: Option<std::net::SocketAddr>,
}

impl Client {
    /// A client with the target's proxy and certificates.
    pub(crate) fn new(target: &Target) -> Result<Self, super::Error> {
        if let Some(proxy) = &target.proxy {
            target.policy.check_proxy(proxy).map_err(super::Error::Config)?;
        }
        let (tls, proxy) = (target.credentials.tls.clone(), target.proxy.clone());
        let client = Self::build(&target.policy, target.timeout, tls, proxy)?;
        #[cfg(test)]
        let client = Self { via: target.via, ..client };
        Ok(client)
    }

    /// A client without proxy and certificates.
    pub(crate) fn plain(policy: &AddressPolicy, timeout: Duration) -> Result<Self, super::Error> {
        Self::build(policy, timeout, Tls::default(), None)
    }

    fn build(
        policy: &AddressPolicy,
        timeout: Duration,
        tls: Tls,
        proxy: Option<Proxy>,
    ) -> Result<Self, super::Error> {
        let options = Options {
            tls,
            replaces_authorities: true,
            proxy,
            redirects: false,
            user_agent: concat!("sluice/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: timeout,
            read_timeout: timeout,
            ..Options::default()
        };
        let http = sluice_http::builder(&options).and_then(|builder| {
            sluice_http::finish(&options, builder.timeout(timeout).dns_resolver(policy.resolver()))
        });
        let http = http.map_err(|error| super::Error::Config(sluice_runtime::errors::chain(&error)))?;
        Ok(Self {
            http,
            policy: policy.clone(),
            deadline: Instant::now() + timeout,
            #[cfg(test)]
            via: None,
        })
    }

    /// The same client with a time for what comes now.
    pub(crate) fn within(&self, timeout: Duration) -> Self {
        Self { deadline: Instant::now() + timeout, ..self.clone() }
    }

    /// Sends a request whose answer does not matter.
    pub(crate) async fn send(&self, request: Request) -> Result<(), Error> {
        self.fetch(request).await.map(|_| ())
    }

    /// Sends a request and returns the answer's body. Repeated on connection errors, 429 and 5xx other than 501.
    pub(crate) async fn fetch(&self, request: Request) -> Result<Vec<u8>, Error> {
        self.policy.check(&request.url).map_err(Error::Refused)?;
        let mut delay = MIN_DELAY;
        let mut attempt = 1;
        loop {
            let (cause, wanted) = match self.once(&request).await {
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
            let left = self.deadline.saturating_duration_since(Instant::now());
            match wanted {
                Some(wait) if wait >= left || attempt == ATTEMPTS => {
                    return Err(Error::Later { wait, cause });
                }
                None if delay >= left || attempt == ATTEMPTS => {
                    return Err(Error::GivenUp { method: request.method, attempts: attempt, cause });
                }
                _ => {}
            }
            tokio::time::sleep(wanted.unwrap_or(delay)).await;
            delay = (delay * 2).min(MAX_DELAY);
            attempt += 1;
        }
    }

    /// The client below, for a library that sends requests of its own to this URL. They are not tried again.
    pub(crate) fn for_library(&self, url: &Url) -> Result<&reqwest::Client, Error> {
        self.policy.check(url).map_err(Error::Refused)?;
        Ok(&self.http)
    }

    /// Waits before another try of a library. False where there is no time or hope for one.
    pub(crate) async fn pause(&self, attempt: u32) -> bool {
        let delay = (MIN_DELAY * 2_u32.pow(attempt.saturating_sub(1))).min(MAX_DELAY);
        if attempt >= ATTEMPTS || Instant::now() + delay >= self.deadline {
            return false;
        }
        tokio::time::sleep(delay).await;
        true
    }

    async fn once(&self, request: &Request) -> reqwest::Result<reqwest::Response> {
        let (url, headers) = (request.url.clone(), request.headers.clone());
        #[cfg(test)]
        let (url, headers) = redirected(url, headers, self.via);
        let sending = self.http.request(request.method.clone(), url).headers(headers);
        sending.body(request.body.clone()).send().await
    }
}

/// Tests take what is meant for a service of the internet at their own address; the Host header tells whose it is.
#[cfg(test)]
fn redirected(mut url: Url, mut headers: HeaderMap, via: Option<std::net::SocketAddr>) -> (Url, HeaderMap) {
    if let Some(via) = via {
        let host = HeaderValue::from_str(url.host_str().unwrap()).unwrap();
        headers.insert(reqwest::header::HOST, host);
        url.set_scheme("http").unwrap();
        url.set_host(Some(&via.ip().to_string())).unwrap();
        url.set_port(Some(via.port())).unwrap();
    }
    (url, headers)
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

//! A client for one registry.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{
    ACCEPT as ACCEPT_HEADER, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LINK, WWW_AUTHENTICATE,
};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use sluice_http::{chain, display};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::auth::{self, Challenge};
use crate::manifest::{ACCEPT, Parsed};
use crate::{
    Credentials, Descriptor, Error, Index, Manifest, Reference, Registry, hex_digest, parse_manifest,
};

/// Largest manifest, in bytes.
const MAX_MANIFEST: usize = 4 * 1024 * 1024;
/// Largest page of tags, in bytes.
const MAX_TAGS_PAGE: usize = 32 * 1024 * 1024;
/// Most tags of one repository, and the most bytes of all of them.
const MAX_TAGS: usize = 1_000_000;
const MAX_TAGS_BYTES: usize = 64 * 1024 * 1024;
/// Most of an error's text, in bytes.
const MAX_ERROR: usize = 64 * 1024;

/// How a registry is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientOptions {
    /// How to log in.
    pub credentials: Credentials,
    /// Plain HTTP is allowed and certificates are not checked.
    pub insecure: bool,
    /// Certificate authorities in PEM, beside those of the system.
    pub ca: Option<Vec<u8>>,
    /// Client certificate and key in PEM.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
    /// The proxy's URL, with user and password.
    pub proxy: Option<String>,
    /// Longest silence of the registry.
    pub read_timeout: Duration,
    /// The `User-Agent`.
    pub user_agent: String,
}

impl ClientOptions {
    /// What the HTTP client depends on.
    pub fn http(&self) -> sluice_http::Options {
        sluice_http::Options {
            tls: sluice_http::Tls { authorities: self.ca.clone(), identity: self.certificate.clone() },
            insecure: self.insecure && self.ca.is_none(),
            proxy: self.proxy.as_ref().map(|address| sluice_http::Proxy {
                address: address.clone(),
                username: None,
                password: None,
            }),
            user_agent: self.user_agent.clone(),
            read_timeout: self.read_timeout,
            ..sluice_http::Options::default()
        }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            insecure: false,
            ca: None,
            certificate: None,
            proxy: None,
            read_timeout: Duration::from_mins(1),
            user_agent: "flux/v2".to_owned(),
        }
    }
}

/// A client for one registry. Tokens are kept for as long as it lives, so it must not be shared between tenants.
pub struct Client {
    http: reqwest::Client,
    registry: Registry,
    options: ClientOptions,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `https` or `http`, once known.
    scheme: Option<&'static str>,
    challenge: Option<Challenge>,
    tokens: HashMap<String, String>,
}

/// A manifest as a registry holds it.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its digest, checked against its bytes.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Client {
    /// A client for the registry of `reference`.
    pub fn new(registry: &Registry, options: ClientOptions) -> Result<Self, Error> {
        let http = sluice_http::build(&options.http()).map_err(|error| Error::Options(chain(&error)))?;
        Ok(Self::with_http(registry, options, http))
    }

    /// A client that sends its requests by one that was made from [`ClientOptions::http`].
    pub fn with_http(registry: &Registry, options: ClientOptions, http: reqwest::Client) -> Self {
        Self { http, registry: registry.clone(), options, state: Mutex::default() }
    }

    /// All tags of a repository, in the registry's order.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let (mut tags, mut bytes) = (Vec::new(), 0);
        let mut next = Some(format!("/v2/{repository}/tags/list?n=1000"));
        while let Some(path) = next {
            let (response, url) = self.request(Method::GET, repository, "pull", &path, None).await?;
            let link = response.headers().get(LINK).and_then(|link| link.to_str().ok()).and_then(next_page);
            let body = read(response, &url, MAX_TAGS_PAGE).await?;
            let answer = |problem: String| Error::Answer { url: display(&url), problem };
            let page: Page = serde_json::from_slice(&body).map_err(|error| answer(error.to_string()))?;
            let page = page.tags.unwrap_or_default();
            let empty = page.is_empty();
            bytes += page.iter().map(String::len).sum::<usize>();
            tags.extend(page);
            if tags.len() > MAX_TAGS || bytes > MAX_TAGS_BYTES {
                return Err(answer(format!("more than {MAX_TAGS} tags, or {MAX_TAGS_BYTES} bytes of them")));
            }
            next = match link {
                // The link must stay at this registry: it carries our credentials.
                Some(link) if !empty => {
                    let joined = url
                        .join(&link)
                        .map_err(|error| answer(format!("the link of the next page: {error}")))?;
                    if joined.origin() != url.origin() {
                        return Err(answer("the link of the next page leads to another host".to_owned()));
                    }
                    Some(path_and_query(&joined))
                }
                _ => None,
            };
        }
        Ok(tags)
    }

    /// The digest that a reference stands for, by HEAD where the registry answers it fully, else by GET.
    pub async fn digest(&self, reference: &Reference) -> Result<String, Error> {
        if let Some(digest) = &reference.digest {
            return Ok(digest.clone());
        }
        let path = format!("/v2/{}/manifests/{}", reference.repository, reference.identifier());
        if let Ok((response, _)) =
            self.request(Method::HEAD, &reference.repository, "pull", &path, None).await
        {
            let digest =
                response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
            if let Some(digest) = digest.filter(|digest| crate::reference::is_digest(digest)) {
                return Ok(digest.to_owned());
            }
        }
        Ok(self.resolve(reference).await?.digest)
    }

    /// The manifest or index of a reference, with its digest checked.
    pub async fn resolve(&self, reference: &Reference) -> Result<Resolved, Error> {
        let path = format!("/v2/{}/manifests/{}", reference.repository, reference.identifier());
        let (response, url) = self.request(Method::GET, &reference.repository, "pull", &path, None).await?;
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().to_owned();
        let claimed = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        let claimed = claimed.map(str::to_owned);
        let bytes = read(response, &url, MAX_MANIFEST).await?;
        let digest = crate::digest(&bytes);
        let wanted = reference.digest.as_ref().or(claimed.as_ref());
        if let Some(wanted) = wanted
            && wanted.starts_with("sha256:")
            && *wanted != digest
        {
            return Err(Error::Content {
                digest: wanted.clone(),
                problem: format!("the manifest has {digest}"),
            });
        }
        Ok(Resolved { digest, media_type, bytes })
    }

    /// The image manifest of a reference; of an index, the one for Linux on amd64. With the digest of the reference itself.
    pub async fn manifest(&self, reference: &Reference) -> Result<(String, Manifest), Error> {
        let resolved = self.resolve(reference).await?;
        let answer = |problem: String| Error::Answer { url: reference.to_string(), problem };
        match parse_manifest(&resolved.media_type, &resolved.bytes).map_err(answer)? {
            Parsed::Manifest(manifest) => Ok((resolved.digest, manifest)),
            Parsed::Index(index) => {
                let entry = index
                    .linux_amd64()
                    .ok_or_else(|| answer("the index has no manifest for linux/amd64".to_owned()))?;
                let inner = self.resolve(&reference.with_digest(&entry.digest)).await?;
                match parse_manifest(&inner.media_type, &inner.bytes).map_err(answer)? {
                    Parsed::Manifest(manifest) => Ok((resolved.digest, manifest)),
                    Parsed::Index(_) => Err(answer("an index within an index".to_owned())),
                }
            }
        }
    }

    /// What refers to a digest, such as signatures: by the referrers API, or by the tag that stands in for it.
    pub async fn referrers(&self, repository: &str, digest: &str) -> Result<Vec<Descriptor>, Error> {
        let path = format!("/v2/{repository}/referrers/{digest}");
        match self.request(Method::GET, repository, "pull", &path, None).await {
            Ok((response, url)) => {
                let body = read(response, &url, MAX_MANIFEST).await?;
                let index: Index = serde_json::from_slice(&body)
                    .map_err(|error| Error::Answer { url: display(&url), problem: error.to_string() })?;
                return Ok(index.manifests);
            }
            Err(error) if !error.is_not_found() => return Err(error),
            Err(_) => {}
        }
        let tag = Reference {
            registry: self.registry.clone(),
            repository: repository.to_owned(),
            tag: Some(digest.replace(':', "-")),
            digest: None,
        };
        match self.resolve(&tag).await {
            Ok(resolved) => match parse_manifest(&resolved.media_type, &resolved.bytes) {
                Ok(Parsed::Index(index)) => Ok(index.manifests),
                _ => Ok(Vec::new()),
            },
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Streams a blob into a writer, never more than its size, and checks its digest.
    pub async fn blob(
        &self,
        repository: &str,
        descriptor: &Descriptor,
        mut writer: impl AsyncWrite + Unpin,
    ) -> Result<(), Error> {
        let content = |problem: String| Error::Content { digest: descriptor.digest.clone(), problem };
        let write = |source| Error::Write { digest: descriptor.digest.clone(), source };
        if !crate::reference::is_digest(&descriptor.digest) {
            return Err(content("it is no sha256 digest".to_owned()));
        }
        let path = format!("/v2/{repository}/blobs/{}", descriptor.digest);
        let (mut response, url) = self.request(Method::GET, repository, "pull", &path, None).await?;
        let mut sum = Sha256::new();
        let mut size = 0_u64;
        while let Some(chunk) =
            response.chunk().await.map_err(|error| transport(&Method::GET, &url, error))?
        {
            size += chunk.len() as u64;
            if size > descriptor.size {
                return Err(content(format!(
                    "the registry sends more than the {} bytes of its manifest",
                    descriptor.size
                )));
            }
            sum.update(&chunk);
            writer.write_all(&chunk).await.map_err(write)?;
        }
        writer.flush().await.map_err(write)?;
        if size != descriptor.size {
            return Err(content(format!("the registry sent {size} bytes instead of {}", descriptor.size)));
        }
        let digest = hex_digest(&sum.finalize());
        if digest != descriptor.digest {
            return Err(content(format!("what the registry sent has {digest}")));
        }
        Ok(())
    }

    /// Sends a request, logging in where the registry asks for it. Answers other than 2xx are errors.
    pub(crate) async fn request(
        &self,
        method: Method,
        repository: &str,
        actions: &str,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<(Response, Url), Error> {
        let scheme = self.scheme().await?;
        let url = if path.starts_with("http://") || path.starts_with("https://") {
            Url::parse(path)
        } else {
            Url::parse(&format!("{scheme}://{}{path}", self.registry.api_host()))
        };
        let url = url
            .map_err(|error| Error::Options(format!("invalid URL of registry {}: {error}", self.registry)))?;
        let scope = format!("repository:{repository}:{actions}");
        let mut authorization = self.authorization(&scope).await?;
        let mut renewed = false;
        loop {
            let mut request = self.http.request(method.clone(), url.clone()).header(ACCEPT_HEADER, ACCEPT);
            if let Some(authorization) = &authorization {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            if let Some((media_type, body)) = &body {
                request = request.header(CONTENT_TYPE, *media_type).body(body.clone());
            }
            match send(request, method.as_str(), &url).await {
                // The token ran out, or only this repository wants one.
                Err(Error::Status { status: 401, .. }) if !renewed => {
                    renewed = true;
                    self.forget(&scope);
                    self.ping().await?;
                    authorization = self.authorization(&scope).await?;
                }
                other => return other.map(|response| (response, url)),
            }
        }
    }

    fn forget(&self, scope: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tokens.remove(scope);
        state.challenge = None;
    }

    /// The scheme that the registry speaks. Asked once.
    async fn scheme(&self) -> Result<&'static str, Error> {
        let known = self.state.lock().unwrap_or_else(PoisonError::into_inner).scheme;
        match known {
            Some(scheme) => Ok(scheme),
            None => self.ping().await,
        }
    }

    /// Asks the registry for its scheme and its challenge.
    async fn ping(&self) -> Result<&'static str, Error> {
        let plain_allowed = self.options.insecure || self.registry.is_local();
        let schemes: &[&'static str] = if plain_allowed { &["https", "http"] } else { &["https"] };
        let mut first_error = None;
        for scheme in schemes {
            let url = format!("{scheme}://{}/v2/", self.registry.api_host());
            let url = Url::parse(&url).map_err(|error| {
                Error::Options(format!("invalid name of registry {}: {error}", self.registry))
            })?;
            match self.http.get(url.clone()).send().await {
                // So a server of TLS answers who speaks plainly: what it said before is what matters.
                Ok(response) if first_error.is_some() && response.status() == StatusCode::BAD_REQUEST => {
                    break;
                }
                Ok(response) => {
                    let header =
                        response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
                    let challenge = match response.status() {
                        StatusCode::UNAUTHORIZED => header.and_then(Challenge::parse),
                        status if status.is_server_error() => {
                            return Err(refusal(response, "GET", &url).await);
                        }
                        _ => None,
                    };
                    let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.scheme = Some(scheme);
                    state.challenge = challenge;
                    return Ok(scheme);
                }
                Err(error) => first_error = first_error.or(Some(transport(&Method::GET, &url, error))),
            }
        }
        Err(first_error
            .unwrap_or_else(|| Error::Options(format!("registry {} has no address", self.registry))))
    }

    /// The value of the header that the registry asked for, if it did.
    async fn authorization(&self, scope: &str) -> Result<Option<HeaderValue>, Error> {
        let (challenge, known) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.challenge.clone(), state.tokens.get(scope).cloned())
        };
        let header = |text: String| {
            let mut value = HeaderValue::from_str(&text).map_err(|_| {
                Error::Options("the credentials have characters that HTTP does not allow".to_owned())
            })?;
            value.set_sensitive(true);
            Ok(Some(value))
        };
        if let Credentials::Bearer(token) = &self.options.credentials {
            return header(format!("Bearer {token}"));
        }
        match (challenge, known) {
            (None, _) => Ok(None),
            (Some(Challenge::Basic), _) => match &self.options.credentials {
                Credentials::Basic { username, password } => {
                    use base64::Engine;
                    let pair =
                        base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
                    header(format!("Basic {pair}"))
                }
                _ => Ok(None),
            },
            (Some(Challenge::Bearer { .. }), Some(token)) => header(format!("Bearer {token}")),
            (Some(Challenge::Bearer { realm, service }), None) => {
                let credentials = &self.options.credentials;
                let token =
                    auth::token(&self.http, &self.registry, &realm, service.as_deref(), scope, credentials)
                        .await?;
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.tokens.insert(scope.to_owned(), token.clone());
                drop(state);
                header(format!("Bearer {token}"))
            }
        }
    }
}

/// Sends a request; anything but success is an error.
pub(crate) async fn send(
    request: reqwest::RequestBuilder,
    method: &str,
    url: &Url,
) -> Result<Response, Error> {
    let response = request.send().await.map_err(|error| Error::Transport {
        method: method.to_owned(),
        url: display(url),
        cause: chain(&error.without_url()),
    })?;
    if response.status().is_success() { Ok(response) } else { Err(refusal(response, method, url).await) }
}

/// An answer that is no success, with the registry's own words.
async fn refusal(response: Response, method: &str, url: &Url) -> Error {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let status = response.status().as_u16();
    let retry_after =
        response.headers().get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    let body = read(response, url, MAX_ERROR).await.unwrap_or_default();
    let entries = serde_json::from_slice::<Body>(&body).map(|body| body.errors).unwrap_or_default();
    let message = entries
        .iter()
        .map(|entry| format!("{}: {}", entry.code, entry.message))
        .collect::<Vec<_>>()
        .join("; ");
    Error::Status { method: method.to_owned(), url: display(url), status, message, retry_after }
}

/// Reads a bounded body.
pub(crate) async fn read(mut response: Response, url: &Url, limit: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(&Method::GET, url, error))? {
        if body.len() + chunk.len() > limit {
            return Err(Error::Answer {
                url: display(url),
                problem: format!("it is larger than {limit} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(crate) fn transport(method: &Method, url: &Url, error: reqwest::Error) -> Error {
    Error::Transport { method: method.to_string(), url: display(url), cause: chain(&error.without_url()) }
}

fn path_and_query(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// The target of `<target>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (target, relation) = link.trim().strip_prefix('<')?.split_once('>')?;
    relation.contains("next").then(|| target.to_owned())
}

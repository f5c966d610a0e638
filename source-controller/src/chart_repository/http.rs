//! Repositories behind a web server.

use std::fs::File;
use std::io::{Read, Seek, Write as _};

use reqwest::header::{ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Client, Response, StatusCode, Url};
use sluice_artifact::{Algorithm, Digest};
use sluice_helm::index::stored;

use super::{FoundChart, Place, RepositoryError};

/// What a server said of the age of an index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Validators {
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text =
            |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Validators { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }

    /// Whether the server can be asked for what is newer.
    pub(crate) fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// What came of asking for an index.
pub(crate) enum Fetched {
    /// It is what it was.
    Unchanged,
    /// It is this.
    New { file: File, size: u64, digest: Digest, validators: Validators },
}

/// A repository behind a web server.
pub(crate) struct HttpRepository {
    http: Client,
    url: Url,
    basic: Option<(String, String)>,
    pass_credentials: bool,
}

impl HttpRepository {
    pub(super) fn new(
        http: Client,
        url: Url,
        basic: Option<(String, String)>,
        pass_credentials: bool,
    ) -> Self {
        HttpRepository { http, url, basic, pass_credentials }
    }

    /// Downloads the index into a nameless file, unless it is what `known` was told of.
    pub(crate) async fn index(
        &self,
        algorithm: Algorithm,
        limit: u64,
        known: Option<&Validators>,
    ) -> Result<Fetched, RepositoryError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/index.yaml", url.path().trim_end_matches('/')));
        let mut headers = HeaderMap::new();
        let mut add = |name: HeaderName, value: Option<&String>| {
            if let Some(value) = value.and_then(|value| value.parse().ok()) {
                headers.insert(name, value);
            }
        };
        if let Some(known) = known {
            add(IF_NONE_MATCH, known.etag.as_ref());
            add(IF_MODIFIED_SINCE, known.last_modified.as_ref());
        }
        let conditional = !headers.is_empty();
        let response = self.send(&url, headers).await?;
        if conditional && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::Unchanged);
        }
        let validators = Validators::of(response.headers());
        let mut file = tempfile::tempfile()?;
        let mut hasher = algorithm.hasher();
        let size = stream(response, &url, limit, |chunk| {
            hasher.update(chunk);
            file.write_all(chunk)
        })
        .await?;
        Ok(Fetched::New { file, size, digest: hasher.finish(), validators })
    }

    pub(super) async fn download(
        &self,
        name: &str,
        urls: &[String],
        digest: &str,
        limit: u64,
    ) -> Result<Vec<u8>, RepositoryError> {
        let first = urls.first().ok_or_else(|| RepositoryError::NoUrl { name: name.to_owned() })?;
        let url = self.resolve(first)?;
        let response = self.send(&url, HeaderMap::new()).await?;
        let mut bytes = Vec::new();
        stream(response, &url, limit, |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })
        .await?;
        let expected = digest.strip_prefix("sha256:").unwrap_or(digest).to_ascii_lowercase();
        if expected.len() == 64 {
            let actual = Algorithm::Sha256.digest(&bytes);
            if actual.hex() != expected {
                let actual = actual.hex().to_owned();
                return Err(RepositoryError::Digest { url: sluice_http::display(&url), expected, actual });
            }
        }
        Ok(bytes)
    }

    /// An address in the index: absolute, or below the repository with its query.
    fn resolve(&self, address: &str) -> Result<Url, RepositoryError> {
        let invalid = |error: &dyn std::fmt::Display| RepositoryError::Url {
            url: address.to_owned(),
            problem: error.to_string(),
        };
        match Url::parse(address) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => return Ok(url),
            Ok(url) => return Err(invalid(&format!("scheme \"{}\" not supported", url.scheme()))),
            Err(_) => {}
        }
        let mut base = self.url.clone();
        base.set_path(&format!("{}/", base.path().trim_end_matches('/')));
        let mut url = base.join(address).map_err(|error| invalid(&error))?;
        if url.query().is_none() {
            url.set_query(self.url.query());
        }
        Ok(url)
    }

    async fn send(&self, url: &Url, headers: HeaderMap) -> Result<Response, RepositoryError> {
        let mut request = self.http.get(url.clone()).headers(headers);
        if let Some((username, password)) = &self.basic
            && (self.pass_credentials || url.origin() == self.url.origin())
        {
            request = request.basic_auth(username, Some(password));
        }
        let response = request.send().await.map_err(|source| transport(url, source))?;
        match response.status() {
            StatusCode::OK | StatusCode::NOT_MODIFIED => Ok(response),
            status => Err(RepositoryError::Status { url: sluice_http::display(url), status }),
        }
    }
}

/// The version of a chart that an index in its stored form has for a version or range.
pub(crate) fn find<I: Read + Seek>(
    index: &mut I,
    name: &str,
    version: &str,
) -> Result<FoundChart, RepositoryError> {
    let found = stored::find(index, name, version).map_err(|error| match error {
        stored::FindError::Lookup(error) => RepositoryError::Lookup(error),
        stored::FindError::Index(error) => RepositoryError::Index(error),
    })?;
    Ok(FoundChart {
        name: name.to_owned(),
        version: found.metadata.version,
        place: Place::Http { urls: found.urls, digest: found.digest },
    })
}

/// Hands over a body piece by piece, never more than `limit` bytes. Returns its length.
async fn stream(
    mut response: Response,
    url: &Url,
    limit: u64,
    mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<u64, RepositoryError> {
    let too_large = || RepositoryError::TooLarge { url: sluice_http::display(url), limit };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut size = 0;
    while let Some(chunk) = response.chunk().await.map_err(|source| transport(url, source))? {
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large());
        }
        take(&chunk)?;
    }
    Ok(size)
}

fn transport(url: &Url, source: reqwest::Error) -> RepositoryError {
    RepositoryError::Transport { url: sluice_http::display(url), source: source.without_url() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_relative_to_the_repository_and_keep_its_query() {
        let repository = |url: &str| {
            HttpRepository::new(
                sluice_http::build(&sluice_http::Options::default()).unwrap(),
                url.parse().unwrap(),
                None,
                false,
            )
        };
        let resolved = |url: &str, address: &str| repository(url).resolve(address).map(String::from).ok();
        for (url, address, expected) in [
            ("https://h/charts", "a-1.tgz", "https://h/charts/a-1.tgz"),
            ("https://h/charts/?t=1", "sub/a.tgz", "https://h/charts/sub/a.tgz?t=1"),
            ("https://h/charts", "/a.tgz", "https://h/a.tgz"),
            ("https://h/charts", "https://other/a.tgz", "https://other/a.tgz"),
        ] {
            assert_eq!(resolved(url, address).as_deref(), Some(expected));
        }
        assert_eq!(resolved("https://h/charts", "file:///etc/passwd"), None);
    }
}

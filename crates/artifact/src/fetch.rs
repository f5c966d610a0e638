//! Getting an artifact over HTTP: verified before anyone reads it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode, Url};

use crate::digest::{Digest, DigestError};
use crate::extract::{self, ExtractError, extract};

/// How a [`Fetcher`] behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Tries after the first one.
    pub retries: u32,
    /// All waits of one fetch together: whoever fetches holds a worker meanwhile, and others wait for that.
    pub patience: Duration,
    /// Wait before the first retry; doubles from then on.
    pub min_wait: Duration,
    /// Longest wait between two tries.
    pub max_wait: Duration,
    /// Longest silence of the server.
    pub read_timeout: Duration,
    /// Largest artifact, in compressed bytes.
    pub max_bytes: Option<u64>,
    /// `host[:port]` to use in place of the one in the URL (for controllers that run outside of the cluster).
    pub host: Option<String>,
    /// Limits of the extraction.
    pub extract: extract::Options,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            retries: 9,
            patience: Duration::from_secs(2),
            min_wait: Duration::from_millis(200),
            max_wait: Duration::from_secs(1),
            read_timeout: Duration::from_secs(30),
            max_bytes: None,
            host: None,
            extract: extract::Options::artifact(),
        }
    }
}

/// Why an artifact could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server does not have it (any more, or not yet): read the source's status again, later.
    #[error("artifact {0} not found")]
    NotFound(String),
    /// The server answered with another error.
    #[error("GET {url} answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The answer.
        status: u16,
    },
    /// No answer, or not a whole one.
    #[error("GET {url} failed")]
    Transport {
        /// What was asked for.
        url: String,
        /// Why it failed.
        source: reqwest::Error,
    },
    /// Not the bytes that the source's status names.
    #[error("the digest of {url} is {actual}, not {expected}")]
    DigestMismatch {
        /// What was asked for.
        url: String,
        /// What the source promised.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The digest to check against cannot be read.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The URL cannot be read.
    #[error("invalid artifact URL {url:?}: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More bytes than allowed.
    #[error("{url} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// The verified archive cannot be unpacked.
    #[error("cannot unpack {url}")]
    Extract {
        /// What was asked for.
        url: String,
        /// Why it failed.
        source: ExtractError,
    },
    /// The disk failed.
    #[error("cannot store {url}")]
    Io {
        /// What was asked for.
        url: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl FetchError {
    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            FetchError::Transport { .. } => true,
            FetchError::Status { status, .. } => *status == 429 || (*status >= 500 && *status != 501),
            _ => false,
        }
    }
}

/// Fetches artifacts; cheap to share, connections are kept.
#[derive(Debug)]
pub struct Fetcher {
    options: Options,
    /// Artifact servers speak plain HTTP nearly always; no root certificates are loaded for them.
    plain: Client,
    secure: OnceLock<Client>,
    /// Servers that do not answer, by host and port, and since when.
    silent: Mutex<HashMap<String, Instant>>,
}

impl Fetcher {
    /// A fetcher with the given behaviour.
    pub fn new(options: Options) -> Result<Self, reqwest::Error> {
        let plain = builder(&options).tls_certs_only(Vec::new()).build()?;
        Ok(Fetcher { options, plain, secure: OnceLock::new(), silent: Mutex::default() })
    }

    /// Downloads `url`, checks it against `digest` (`<algorithm>:<hex>`, SHA-256 without the algorithm) and
    /// unpacks it into `directory`, which must exist and should be empty. Returns the size of the archive.
    ///
    /// Nothing is unpacked before the digest is known to match. Dropping the future cancels the download.
    pub async fn fetch(&self, url: &str, digest: &str, directory: &Path) -> Result<u64, FetchError> {
        let mut file = tempfile::tempfile().map_err(|source| io_error(url, source))?;
        let size = self.download(url, digest, &mut file).await?;
        let (limits, target) = (self.options.extract.clone(), directory.to_owned());
        let unpack = tokio::task::spawn_blocking(move || {
            file.rewind().map_err(ExtractError::Archive)?;
            extract(io::BufReader::with_capacity(64 * 1024, file), &target, &limits)
        });
        match unpack.await {
            Ok(Ok(_)) => Ok(size),
            Ok(Err(source)) => Err(FetchError::Extract { url: url.to_owned(), source }),
            Err(error) => Err(io_error(url, io::Error::other(error))),
        }
    }

    /// For how long fetches from the server of `url` have failed for reasons that have nothing to do with what was asked
    /// for. Zero when the last one got an answer.
    pub fn silent_for(&self, url: &str) -> Duration {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let since = self.address(url).ok().and_then(|address| silent.get(address.authority()).copied());
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Keeps in mind whether a server answers.
    fn note(&self, address: &Url, answers: bool) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if answers {
            silent.remove(address.authority());
        } else {
            silent.entry(address.authority().to_owned()).or_insert_with(Instant::now);
        }
    }

    /// Downloads `url` and checks it against `digest` without unpacking it: a file without a name, at its beginning.
    pub async fn fetch_file(&self, url: &str, digest: &str) -> Result<File, FetchError> {
        let mut file = tempfile::tempfile().map_err(|source| io_error(url, source))?;
        self.download(url, digest, &mut file).await?;
        file.rewind().map_err(|source| io_error(url, source))?;
        Ok(file)
    }

    async fn download(&self, url: &str, digest: &str, file: &mut File) -> Result<u64, FetchError> {
        let digest: Digest = digest.parse()?;
        let address = self.address(url)?;
        let mut attempt = 0;
        let mut patience = self.options.patience;
        loop {
            let outcome = self.attempt(url, &address, &digest, file).await;
            let error = match outcome {
                Err(error) if error.is_transient() => error,
                answer => {
                    self.note(&address, true);
                    return answer;
                }
            };
            let wait = self.options.min_wait.saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX));
            let wait = wait.min(self.options.max_wait);
            if attempt >= self.options.retries || wait > patience {
                self.note(&address, false);
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            patience -= wait;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        url: &str,
        address: &Url,
        expected: &Digest,
        file: &mut File,
    ) -> Result<u64, FetchError> {
        let transport = |source: reqwest::Error| FetchError::Transport {
            url: url.to_owned(),
            source: source.without_url(),
        };
        let mut response = self.client(address, url)?.get(address.clone()).send().await.map_err(transport)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(FetchError::NotFound(url.to_owned())),
            status => return Err(FetchError::Status { url: url.to_owned(), status: status.as_u16() }),
        }
        let restart = file.rewind().and_then(|()| file.set_len(0));
        restart.map_err(|source| io_error(url, source))?;
        let mut hasher = expected.algorithm().hasher();
        let mut size = 0;
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            size += chunk.len() as u64;
            if let Some(limit) = self.options.max_bytes.filter(|limit| size > *limit) {
                return Err(FetchError::TooLarge { url: url.to_owned(), limit });
            }
            hasher.update(&chunk);
            file.write_all(&chunk).map_err(|source| io_error(url, source))?;
        }
        let actual = hasher.finish();
        if actual != *expected {
            return Err(FetchError::DigestMismatch {
                url: url.to_owned(),
                expected: expected.clone(),
                actual,
            });
        }
        Ok(size)
    }

    fn address(&self, url: &str) -> Result<Url, FetchError> {
        let invalid = |reason: String| FetchError::Url { url: url.to_owned(), reason };
        let mut address = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        if !matches!(address.scheme(), "http" | "https") {
            return Err(invalid("neither http nor https".to_owned()));
        }
        if let Some(host) = &self.options.host {
            let (name, port) = match host.rsplit_once(':') {
                Some((name, port)) if !name.ends_with(':') => (name, port.parse().ok()),
                _ => (host.as_str(), None),
            };
            address.set_host(Some(name)).map_err(|error| invalid(error.to_string()))?;
            address.set_port(port).map_err(|()| invalid("the host takes no port".to_owned()))?;
        }
        Ok(address)
    }

    fn client(&self, address: &Url, url: &str) -> Result<&Client, FetchError> {
        if address.scheme() == "http" {
            return Ok(&self.plain);
        }
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let built = builder(&self.options).build();
        let built = built.map_err(|source| FetchError::Transport { url: url.to_owned(), source })?;
        Ok(self.secure.get_or_init(|| built))
    }
}

fn builder(options: &Options) -> reqwest::ClientBuilder {
    // A binary installs the provider first thing; tests and tools may come without one.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    Client::builder()
        .http1_only()
        .no_gzip()
        .no_proxy()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(options.read_timeout)
        .pool_idle_timeout(Duration::from_secs(30))
}

fn io_error(url: &str, source: io::Error) -> FetchError {
    FetchError::Io { url: url.to_owned(), source }
}

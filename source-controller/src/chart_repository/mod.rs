//! Where charts come from: web servers with an index, and registries.

mod access;
mod http;
mod oci;

pub(crate) use access::{Access, AccessError, DOCKER_CONFIG, open};
pub(crate) use http::{Fetched, HttpRepository, Validators, find};
pub(crate) use oci::OciRepository;

use std::fmt;

/// Why a chart or an index could not be had. The texts show no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepositoryError {
    /// A URL of the repository or of its index.
    #[error("invalid URL '{url}': {problem}")]
    Url { url: String, problem: String },
    /// No answer, or not a whole one.
    #[error("failed to fetch {url}")]
    Transport { url: String, source: reqwest::Error },
    /// The server's refusal.
    #[error("failed to fetch {url} : {status}")]
    Status { url: String, status: reqwest::StatusCode },
    /// More than is allowed.
    #[error("size of '{url}' exceeds '{limit}' bytes limit")]
    TooLarge { url: String, limit: u64 },
    /// Not what the index says.
    #[error("{url} has the digest sha256:{actual}, not that of the index, sha256:{expected}")]
    Digest { url: String, expected: String, actual: String },
    /// The index.
    #[error(transparent)]
    Index(#[from] sluice_helm::index::stored::ConvertError),
    /// No such chart or version.
    #[error(transparent)]
    Lookup(#[from] sluice_helm::index::LookupError),
    /// An entry of the index without an address.
    #[error("chart '{name}' has no downloadable URLs")]
    NoUrl { name: String },
    /// The registry.
    #[error(transparent)]
    Registry(#[from] sluice_oci::Error),
    /// No version in a registry.
    #[error("could not locate a version matching provided version string {version}{nearest}")]
    NoVersion { version: String, nearest: sluice_helm::index::Nearest },
    /// What is no chart.
    #[error("{reference}: {problem}")]
    NotAChart { reference: String, problem: String },
    /// The disk.
    #[error("cannot store what was fetched")]
    Io(#[from] std::io::Error),
    /// Took too long.
    #[error("timed out")]
    Timeout,
}

/// A chart that was found.
#[derive(Debug, Clone)]
pub(crate) struct FoundChart {
    pub(crate) name: String,
    pub(crate) version: String,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Http { urls: Vec<String>, digest: String },
    Oci(sluice_oci::Reference),
}

/// A repository, opened.
pub(crate) enum Repository {
    Http(HttpRepository),
    Oci(OciRepository),
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Repository::Http(_) => "Http",
            Repository::Oci(_) => "Oci",
        })
    }
}

impl Repository {
    /// Downloads a chart into memory, never more than `limit` bytes.
    pub(crate) async fn download(&self, chart: &FoundChart, limit: u64) -> Result<Vec<u8>, RepositoryError> {
        match (self, &chart.place) {
            (Repository::Http(repository), Place::Http { urls, digest }) => {
                repository.download(&chart.name, urls, digest, limit).await
            }
            (Repository::Oci(repository), Place::Oci(reference)) => {
                repository.download(reference, limit).await
            }
            _ => Err(RepositoryError::NoUrl { name: chart.name.clone() }),
        }
    }
}

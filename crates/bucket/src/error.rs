use std::path::PathBuf;

/// What went wrong. Texts show no credentials: URLs are without their query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such bucket.
    #[error("bucket '{0}' not found")]
    NoBucket(String),
    /// The server was not reached or refused, its answer makes no sense, or there are no credentials.
    #[error(transparent)]
    Cloud(#[from] sluice_cloud::Error),
    /// An object whose name is no path of a file, or is in the way of another.
    #[error("object '{0}' cannot become a file: {1}")]
    Key(String, &'static str),
    /// More objects than anybody should make one artifact of.
    #[error("the bucket has more than {0} objects")]
    TooMany(usize),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the server says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Cloud(error) if error.is_not_found())
    }

    pub(crate) fn options(problem: String) -> Self {
        Error::Cloud(sluice_cloud::Error::Options(problem))
    }

    pub(crate) fn answer(url: String, problem: String) -> Self {
        Error::Cloud(sluice_cloud::Error::Answer { url, problem })
    }
}

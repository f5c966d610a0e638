//! Why a directory could not be composed.

use std::io;
use std::path::PathBuf;

/// A copy that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to apply copy operation from '{from}' to '{to}'")]
pub struct Error {
    /// What was to be copied.
    pub from: String,
    /// To where.
    pub to: String,
    /// Why it was not.
    pub source: Problem,
}

/// Why a copy failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Neither `@source/path` nor `@artifact/path`.
    #[error("'{0}' is not of the form '@source/path' or '@artifact/path'")]
    Reference(String),
    /// No source has that name.
    #[error("source alias '{0}' not found")]
    Alias(String),
    /// A path that leads out of the source or the target.
    #[error("path '{0}' must stay within its root")]
    Escape(String),
    /// A glob that cannot be read, or that stands for too many others.
    #[error("invalid pattern '{0}': {1}")]
    Pattern(String, &'static str),
    /// The file or directory is not there.
    #[error("source '{0}' does not exist")]
    Missing(String),
    /// The glob matches nothing.
    #[error("no files match pattern '{pattern}' in source '{alias}'")]
    NoMatch {
        /// The glob.
        pattern: String,
        /// The source.
        alias: String,
    },
    /// Everything that the glob matches is excluded.
    #[error("all files matching pattern '{pattern}' in source '{alias}' were excluded")]
    AllExcluded {
        /// The glob.
        pattern: String,
        /// The source.
        alias: String,
    },
    /// A directory cannot be unpacked.
    #[error("extract strategy is not supported for directories, got '{0}'")]
    ExtractDirectory(String),
    /// Neither `.tar.gz` nor `.tgz`.
    #[error("extract strategy requires tarball file (.tar.gz or .tgz), got '{0}'")]
    NoArchive(String),
    /// The archive is malformed, hostile or too large.
    #[error("failed to extract tarball '{path}'")]
    Extract {
        /// The archive.
        path: String,
        /// What is wrong with it.
        source: sluice_artifact::extract::ExtractError,
    },
    /// A file to be merged is not YAML, or no map.
    #[error("failed to merge '{path}': {reason}")]
    Merge {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More content than a directory may hold.
    #[error("the artifact holds more than {0} bytes")]
    TooLarge(u64),
    /// The disk failed.
    #[error("cannot copy '{}'", path.display())]
    Io {
        /// What was being copied.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

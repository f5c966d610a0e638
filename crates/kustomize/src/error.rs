//! Why a build failed: one text, as kustomize words it, so that people find what they grep for.

use std::fmt;

/// A failed build. Nothing was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    kind: Kind,
}

/// What a caller may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input is wrong.
    Invalid,
    /// A remote file was answered with an HTTP error.
    Http,
    /// A remote repository did not answer in time.
    Timeout,
}

/// What everything here returns.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error about the input.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Invalid }
    }

    /// An error of another kind.
    pub fn of_kind(kind: Kind, message: impl Into<String>) -> Self {
        Self { message: message.into(), kind }
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The whole text.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn prefixed(self, prefix: impl fmt::Display) -> Self {
        Self { message: format!("{prefix}: {}", self.message), kind: self.kind }
    }

    /// Names the file, which the reference leaves out here.
    pub(crate) fn in_file(self, path: impl fmt::Display) -> Self {
        Self { message: format!("{} in File: {path}", self.message), kind: self.kind }
    }

    pub(crate) fn is_malformed_yaml(&self) -> bool {
        self.message.contains("MalformedYAMLError")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<sluice_yaml::Error> for Error {
    fn from(error: sluice_yaml::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Prefixing of results.
pub(crate) trait Context<T> {
    fn context(self, prefix: impl fmt::Display) -> Result<T>;
    fn with_context<P: fmt::Display>(self, prefix: impl FnOnce() -> P) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, prefix: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().prefixed(prefix))
    }

    fn with_context<P: fmt::Display>(self, prefix: impl FnOnce() -> P) -> Result<T> {
        self.map_err(|error| error.into().prefixed(prefix()))
    }
}

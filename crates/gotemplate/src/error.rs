//! What can go wrong, in Go's words.

use std::fmt;

/// An error of parsing or executing a template. Its text is Go's.
#[derive(Debug)]
pub struct Error {
    text: String,
    kind: Kind,
    source: Option<Box<Error>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Parse,
    Execution,
    Plain,
}

impl Error {
    pub(crate) fn parse(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: Kind::Parse, source: None }
    }

    /// An error that is not bound to a place in a template.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: Kind::Plain, source: None }
    }

    /// `place` is the text up to the message, `source` what the message wraps.
    pub(crate) fn execution(text: String, source: Option<Error>) -> Self {
        Self { text, kind: Kind::Execution, source: source.map(Box::new) }
    }

    pub(crate) fn wrapping(text: String, source: Error) -> Self {
        Self { text, kind: Kind::Plain, source: Some(Box::new(source)) }
    }

    /// The whole text in one line of causes, as Go's `Error()` gives it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a template could not be parsed.
    pub fn is_parse(&self) -> bool {
        self.kind == Kind::Parse
    }

    /// Whether the error tells where in a template it happened (Go's `ExecError`).
    pub fn is_execution(&self) -> bool {
        self.kind == Kind::Execution
    }

    /// The error that this one wraps, such as that of an included template.
    pub fn cause(&self) -> Option<&Error> {
        self.source.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// The cause's text is part of this text, so `source` stays unset: a printed chain would repeat it.
impl std::error::Error for Error {}

/// Why a function failed: a message, or an error of a template that it executed.
#[derive(Debug)]
pub struct Failure(pub(crate) Box<Error>);

impl Failure {
    /// A failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Error::plain(message)))
    }

    /// The message.
    pub fn text(&self) -> &str {
        self.0.text()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(Box::new(error))
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

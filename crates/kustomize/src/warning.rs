//! What is worth telling of a build that goes on.

use std::fmt;

/// A line that kustomize prints on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A field is deprecated.
    Deprecated(String),
    /// Something that looks like a mistake. Kustomize prints the time before it.
    Logged(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deprecated(text) | Self::Logged(text) => out.write_str(text),
        }
    }
}

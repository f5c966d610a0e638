//! Choosing one of several tags.

use sluice_semver::{Constraints, Version};

use crate::number;

/// What counts: the greatest or the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Ascending: the last one, which is the greatest.
    #[default]
    Ascending,
    /// Descending: the least.
    Descending,
}

/// How to choose.
#[derive(Debug, Clone)]
pub enum Policy {
    /// The highest version in a range.
    Semver(Constraints),
    /// By the order of bytes.
    Alphabetical(Order),
    /// By number.
    Numerical(Order),
}

/// Why nothing is chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// There is no tag to choose from.
    #[error("version list argument cannot be empty")]
    Empty,
    /// No tag is in the range.
    #[error("unable to determine latest version from provided list")]
    NoMatch,
    /// A tag is no number.
    #[error("failed to parse invalid numeric value '{0}'")]
    NotANumber(String),
}

impl Policy {
    /// A policy from a range such as `>=1.0 <2`. The error is the library's text.
    pub fn semver(range: &str) -> Result<Self, String> {
        Constraints::parse(range).map(Self::Semver).map_err(|error| error.to_string())
    }

    /// The tag whose key is chosen. Where several are equal, a version keeps the first and a number the last.
    pub(crate) fn choose<'k, 't>(
        &self,
        candidates: impl Iterator<Item = (&'k str, &'t str)>,
    ) -> Result<&'t str, PolicyError> {
        let mut candidates = candidates.peekable();
        if candidates.peek().is_none() {
            return Err(PolicyError::Empty);
        }
        match self {
            Self::Semver(range) => {
                let mut best: Option<(Version, &str)> = None;
                for (key, tag) in candidates {
                    let Some(version) = version(key).filter(|version| range.check(version)) else { continue };
                    if best.as_ref().is_none_or(|(known, _)| version > *known) {
                        best = Some((version, tag));
                    }
                }
                best.map(|(_, tag)| tag).ok_or(PolicyError::NoMatch)
            }
            Self::Alphabetical(Order::Ascending) => {
                candidates.max_by_key(|(key, _)| *key).map(|(_, tag)| tag).ok_or(PolicyError::Empty)
            }
            Self::Alphabetical(Order::Descending) => {
                candidates.min_by_key(|(key, _)| *key).map(|(_, tag)| tag).ok_or(PolicyError::Empty)
            }
            Self::Numerical(order) => {
                let mut best: Option<(f64, &str)> = None;
                for (key, tag) in candidates {
                    let value = number::parse(key).ok_or_else(|| PolicyError::NotANumber(key.to_owned()))?;
                    let worse = |known: f64| match order {
                        Order::Ascending => value < known,
                        Order::Descending => value > known,
                    };
                    if best.is_none_or(|(known, _)| !worse(known)) {
                        best = Some((value, tag));
                    }
                }
                best.map(|(_, tag)| tag).ok_or(PolicyError::Empty)
            }
        }
    }
}

/// A version with all three of its numbers; `1.2` is none.
fn version(text: &str) -> Option<Version> {
    (text.splitn(3, '.').count() == 3).then(|| Version::parse(text).ok()).flatten()
}

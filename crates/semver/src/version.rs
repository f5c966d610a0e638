//! One version.

use std::cmp::Ordering;
use std::fmt;

use crate::quote::quote;
use crate::scan;

const MAX_LENGTH: usize = 256;

/// A version. Equality and order are precedence: build metadata and spelling do not count.
#[derive(Debug, Clone)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    prerelease: String,
    metadata: String,
    original: String,
}

/// Why a text is not a version. The texts are those that users of Helm and Flux know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Not of the form of a version at all.
    #[error("invalid semantic version")]
    Invalid,
    /// Strict parsing only: nothing there.
    #[error("version string empty")]
    Empty,
    /// Strict parsing only: a number holds something else than digits.
    #[error("invalid characters in version")]
    InvalidCharacters,
    /// A number, or a numeric pre-release identifier, has a leading zero.
    #[error("version segment starts with 0")]
    SegmentStartsZero,
    /// The part after `+` is malformed.
    #[error("invalid metadata string")]
    InvalidMetadata,
    /// The part after `-` is malformed.
    #[error("invalid prerelease string")]
    InvalidPrerelease,
    /// More than 256 bytes.
    #[error("version string is too long (max {MAX_LENGTH} bytes)")]
    TooLong,
    /// A number that does not fit 64 bits.
    #[error("error parsing version segment: {}", number_error(.0))]
    Number(String),
    /// Strict parsing only: a number that is missing or does not fit 64 bits.
    #[error("{}", number_error(.0))]
    StrictNumber(String),
}

fn number_error(segment: &str) -> String {
    let cause = if segment.is_empty() { "invalid syntax" } else { "value out of range" };
    format!("strconv.ParseUint: parsing {}: {cause}", quote(segment))
}

impl Version {
    /// Reads a version tolerantly: a leading `v`, missing minor and patch and leading zeros are accepted.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_LENGTH {
            return Err(VersionError::TooLong);
        }
        let token = scan::token(text, scan::is_digit).filter(|t| t.text.len() == text.len());
        let token = token.ok_or(VersionError::Invalid)?;
        let number =
            |segment: &str| segment.parse::<u64>().map_err(|_| VersionError::Number(segment.to_owned()));
        let version = Version {
            major: number(token.major)?,
            minor: token.minor.map_or(Ok(0), number)?,
            patch: token.patch.map_or(Ok(0), number)?,
            prerelease: token.prerelease.unwrap_or_default().to_owned(),
            metadata: token.metadata.unwrap_or_default().to_owned(),
            original: text.to_owned(),
        };
        if !version.prerelease.is_empty() {
            check_prerelease(&version.prerelease)?;
        }
        Ok(version)
    }

    /// Reads a version strictly as the specification has it: exactly three numbers, no `v`, no leading zeros.
    pub fn parse_strict(text: &str) -> Result<Self, VersionError> {
        if text.is_empty() {
            return Err(VersionError::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(VersionError::TooLong);
        }
        let mut parts = text.splitn(3, '.');
        let (Some(major), Some(minor), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VersionError::Invalid);
        };
        let (rest, metadata) = match rest.split_once('+') {
            Some((rest, metadata)) => {
                check_metadata(metadata)?;
                (rest, metadata)
            }
            None => (rest, ""),
        };
        let (patch, prerelease) = match rest.split_once('-') {
            Some((patch, prerelease)) => {
                check_prerelease(prerelease)?;
                (patch, prerelease)
            }
            None => (rest, ""),
        };
        for segment in [major, minor, patch] {
            if !segment.bytes().all(scan::is_digit) {
                return Err(VersionError::InvalidCharacters);
            }
            if has_leading_zero(segment) {
                return Err(VersionError::SegmentStartsZero);
            }
        }
        let number = |segment: &str| {
            segment.parse::<u64>().map_err(|_| VersionError::StrictNumber(segment.to_owned()))
        };
        Ok(Version {
            major: number(major)?,
            minor: number(minor)?,
            patch: number(patch)?,
            prerelease: prerelease.to_owned(),
            metadata: metadata.to_owned(),
            original: text.to_owned(),
        })
    }

    /// A release from its three numbers.
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self::with_parts(major, minor, patch, String::new(), String::new(), "")
    }

    fn with_parts(
        major: u64,
        minor: u64,
        patch: u64,
        prerelease: String,
        metadata: String,
        prefix: &str,
    ) -> Self {
        let mut version = Version { major, minor, patch, prerelease, metadata, original: String::new() };
        version.original = format!("{prefix}{version}");
        version
    }

    /// The first number.
    pub fn major(&self) -> u64 {
        self.major
    }

    /// The second number.
    pub fn minor(&self) -> u64 {
        self.minor
    }

    /// The third number.
    pub fn patch(&self) -> u64 {
        self.patch
    }

    /// What follows the hyphen; empty for a release.
    pub fn prerelease(&self) -> &str {
        &self.prerelease
    }

    /// What follows the plus sign; empty if there is none.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// The text that was parsed.
    pub fn original(&self) -> &str {
        &self.original
    }

    fn prefix(&self) -> &'static str {
        if self.original.starts_with('v') { "v" } else { "" }
    }

    /// The next patch release; of a pre-release, its release. `None` on overflow.
    pub fn increment_patch(&self) -> Option<Self> {
        let patch = if self.prerelease.is_empty() { self.patch.checked_add(1)? } else { self.patch };
        Some(Self::with_parts(self.major, self.minor, patch, String::new(), String::new(), self.prefix()))
    }

    /// The next minor release. `None` on overflow.
    pub fn increment_minor(&self) -> Option<Self> {
        let minor = self.minor.checked_add(1)?;
        Some(Self::with_parts(self.major, minor, 0, String::new(), String::new(), self.prefix()))
    }

    /// The next major release. `None` on overflow.
    pub fn increment_major(&self) -> Option<Self> {
        let major = self.major.checked_add(1)?;
        Some(Self::with_parts(major, 0, 0, String::new(), String::new(), self.prefix()))
    }

    /// The same version with another pre-release part; empty removes it.
    pub fn with_prerelease(&self, prerelease: &str) -> Result<Self, VersionError> {
        if !prerelease.is_empty() {
            check_prerelease(prerelease)?;
        }
        let metadata = self.metadata.clone();
        Ok(Self::with_parts(
            self.major,
            self.minor,
            self.patch,
            prerelease.to_owned(),
            metadata,
            self.prefix(),
        ))
    }

    /// The same version with other build metadata; empty removes it.
    pub fn with_metadata(&self, metadata: &str) -> Result<Self, VersionError> {
        if !metadata.is_empty() {
            check_metadata(metadata)?;
        }
        let prerelease = self.prerelease.clone();
        Ok(Self::with_parts(
            self.major,
            self.minor,
            self.patch,
            prerelease,
            metadata.to_owned(),
            self.prefix(),
        ))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        Self::parse(text)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = (self.major, self.minor, self.patch).cmp(&(other.major, other.minor, other.patch));
        numbers.then_with(|| match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_prerelease(&self.prerelease, &other.prerelease),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// Compares identifier by identifier; a missing one is smaller than any.
pub(crate) fn compare_prerelease(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (left, right) => compare_identifier(left.unwrap_or_default(), right.unwrap_or_default()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Numbers are smaller than words; a number beyond 64 bits counts as a word.
fn compare_identifier(left: &str, right: &str) -> Ordering {
    if left == right || left.is_empty() || right.is_empty() {
        return left.cmp(right);
    }
    match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => left.cmp(right),
    }
}

fn has_leading_zero(segment: &str) -> bool {
    segment.len() > 1 && segment.starts_with('0')
}

fn check_prerelease(text: &str) -> Result<(), VersionError> {
    for identifier in text.split('.') {
        if identifier.is_empty() || !identifier.bytes().all(scan::is_identifier) {
            return Err(VersionError::InvalidPrerelease);
        }
        if identifier.bytes().all(scan::is_digit) && has_leading_zero(identifier) {
            return Err(VersionError::SegmentStartsZero);
        }
    }
    Ok(())
}

fn check_metadata(text: &str) -> Result<(), VersionError> {
    let good = |identifier: &str| !identifier.is_empty() && identifier.bytes().all(scan::is_identifier);
    if text.split('.').all(good) { Ok(()) } else { Err(VersionError::InvalidMetadata) }
}

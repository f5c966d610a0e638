//! What each comparison operator accepts.

use std::cmp::Ordering;

use crate::quote::quote;
use crate::version::{Version, compare_prerelease};

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    TildeOrEqual,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// One comparison: an operator and a version that may be partial.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) operator: Operator,
    /// The operator as written.
    pub(crate) sign: &'static str,
    /// The version as written.
    pub(crate) text: String,
    /// The version with its missing parts set to zero.
    pub(crate) version: Version,
    /// Minor (and so patch) was missing or a wildcard.
    pub(crate) minor_open: bool,
    /// Only patch was missing or a wildcard.
    pub(crate) patch_open: bool,
    /// Anything was missing or a wildcard.
    pub(crate) open: bool,
}

/// The signs in the order in which they are tried: longest first.
pub(crate) const SIGNS: [(&str, Operator); 12] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::TildeOrEqual),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    ("", Operator::TildeOrEqual),
];

pub(crate) fn prerelease_reason(version: &Version) -> String {
    let version = quote(&version.to_string());
    format!("{version} is a prerelease version and the constraint is only looking for release versions")
}

impl Comparison {
    /// Whether `version` fits; if not, why.
    pub(crate) fn check(&self, version: &Version, prereleases: bool) -> Result<(), String> {
        if !version.prerelease().is_empty() && !prereleases {
            return Err(prerelease_reason(version));
        }
        match self.operator {
            Operator::TildeOrEqual if self.open => self.tilde(version),
            Operator::TildeOrEqual => self.want(version == &self.version, version, "is not equal to"),
            Operator::NotEqual => self.want(self.differs(version), version, "is equal to"),
            Operator::Greater => self.want(self.exceeded_by(version), version, "is less than or equal to"),
            Operator::Less => self.want(version < &self.version, version, "is greater than or equal to"),
            Operator::GreaterOrEqual => self.want(version >= &self.version, version, "is less than"),
            Operator::LessOrEqual => self.want(self.reaches(version), version, "is greater than"),
            Operator::Tilde => self.tilde(version),
            Operator::Caret => self.caret(version),
        }
    }

    fn want(&self, fits: bool, version: &Version, but: &str) -> Result<(), String> {
        if fits { Ok(()) } else { Err(self.reason(version, but)) }
    }

    fn reason(&self, version: &Version, but: &str) -> String {
        format!("{} {but} {}", quote(&version.to_string()), quote(&self.text))
    }

    fn differs(&self, version: &Version) -> bool {
        let own = &self.version;
        if self.open {
            if own.major() != version.major() {
                return true;
            }
            if self.minor_open {
                return false;
            }
            if own.minor() != version.minor() {
                return true;
            }
            if self.patch_open {
                return compare_prerelease(version.prerelease(), own.prerelease()) != Ordering::Equal;
            }
            if own.patch() != version.patch() {
                return true;
            }
        }
        own != version
    }

    fn exceeded_by(&self, version: &Version) -> bool {
        let own = &self.version;
        if !self.open {
            return version > own;
        }
        match version.major().cmp(&own.major()) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal if self.minor_open => false,
            Ordering::Equal if self.patch_open => version.minor() > own.minor(),
            Ordering::Equal => version > own,
        }
    }

    fn reaches(&self, version: &Version) -> bool {
        let own = &self.version;
        if !self.open {
            return version <= own;
        }
        match version.major().cmp(&own.major()) {
            Ordering::Greater => false,
            Ordering::Equal => self.minor_open || version.minor() <= own.minor(),
            Ordering::Less => true,
        }
    }

    fn tilde(&self, version: &Version) -> Result<(), String> {
        let own = &self.version;
        self.want(version >= own, version, "is less than")?;
        let any = own.major() == 0 && own.minor() == 0 && own.patch() == 0;
        if any && !self.minor_open && !self.patch_open {
            return Ok(());
        }
        self.want(version.major() == own.major(), version, "does not have same major version as")?;
        let minor = self.minor_open || version.minor() == own.minor();
        self.want(minor, version, "does not have same major and minor version as")
    }

    fn caret(&self, version: &Version) -> Result<(), String> {
        let own = &self.version;
        self.want(version >= own, version, "is less than")?;
        self.want(version.major() == own.major(), version, "does not have same major version as")?;
        if own.major() > 0 || self.minor_open {
            return Ok(());
        }
        let same_minor = version.minor() == own.minor();
        if own.minor() > 0 || self.patch_open {
            return self.want(same_minor, version, "does not have same minor version as").map_err(|reason| {
                format!("{reason}. Expected minor versions to match when constraint major version is 0")
            });
        }
        self.want(same_minor, version, "does not have same minor version as")?;
        self.want(version.patch() == own.patch(), version, "does not equal").map_err(|reason| {
            format!("{reason}. Expect version and constraint to equal when major and minor versions are 0")
        })
    }
}

//! Ranges: alternatives of comparisons that must all hold.

use std::borrow::Cow;
use std::fmt;

use crate::operator::{Comparison, Operator, SIGNS, prerelease_reason};
use crate::quote::quote;
use crate::scan::{self, Token};
use crate::version::Version;

const MAX_LENGTH: usize = 512;
const MAX_GROUPS: usize = 32;

/// A range such as `>=1.2, <2 || 3.x`.
#[derive(Debug, Clone)]
pub struct Constraints {
    groups: Vec<Group>,
    prereleases: bool,
}

#[derive(Debug, Clone)]
struct Group {
    comparisons: Vec<Comparison>,
    /// One comparison names a pre-release, so pre-releases are looked at.
    names_prerelease: bool,
}

/// Why a text is not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConstraintError {
    /// More than 512 bytes.
    #[error("constraint string is too long (max {MAX_LENGTH} bytes)")]
    TooLong,
    /// More than 32 alternatives.
    #[error("too many constraint groups (max {MAX_GROUPS})")]
    TooManyGroups,
    /// An alternative that is not a list of comparisons.
    #[error("improper constraint: {}", quote(.0))]
    Improper(String),
    /// A comparison whose version cannot be read.
    #[error("constraint parser error")]
    Version,
}

impl Constraints {
    /// Reads a range.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > MAX_LENGTH {
            return Err(ConstraintError::TooLong);
        }
        let text = expand_hyphens(text);
        let alternatives: Vec<&str> = text.split("||").collect();
        if alternatives.len() > MAX_GROUPS {
            return Err(ConstraintError::TooManyGroups);
        }
        let groups = alternatives.into_iter().map(parse_group).collect::<Result<_, _>>()?;
        Ok(Constraints { groups, prereleases: false })
    }

    /// Also looks at pre-releases where the range names none.
    #[must_use]
    pub fn including_prereleases(mut self) -> Self {
        self.prereleases = true;
        self
    }

    /// Whether `version` lies in the range.
    pub fn check(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            let prereleases = self.prereleases || group.names_prerelease;
            group.comparisons.iter().all(|comparison| comparison.check(version, prereleases).is_ok())
        })
    }

    /// Like [`Constraints::check`], with a reason for each comparison that failed.
    pub fn validate(&self, version: &Version) -> Result<(), Vec<String>> {
        let mut reasons = Vec::new();
        let mut prerelease_told = false;
        for group in &self.groups {
            let prereleases = self.prereleases || group.names_prerelease;
            let mut fits = true;
            for comparison in &group.comparisons {
                if !prereleases && !version.prerelease().is_empty() {
                    if !prerelease_told {
                        reasons.push(prerelease_reason(version));
                        prerelease_told = true;
                    }
                    fits = false;
                } else if let Err(reason) = comparison.check(version, prereleases) {
                    reasons.push(reason);
                    fits = false;
                }
            }
            if fits {
                return Ok(());
            }
        }
        Err(reasons)
    }
}

impl fmt::Display for Constraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.groups.iter().enumerate() {
            if index > 0 {
                f.write_str(" || ")?;
            }
            for (index, comparison) in group.comparisons.iter().enumerate() {
                if index > 0 {
                    f.write_str(" ")?;
                }
                write!(f, "{}{}", comparison.sign, comparison.text)?;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Constraints {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        Self::parse(text)
    }
}

/// Rewrites each `a - b` to `>= a, <= b `. A hyphen counts only between blanks.
fn expand_hyphens(text: &str) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        if !text.is_char_boundary(at) {
            at += 1;
            continue;
        }
        let Some((low, high, end)) = hyphen_range(&text[at..]) else {
            at += 1;
            continue;
        };
        let out = out.get_or_insert_default();
        out.push_str(&text[copied..at]);
        out.push_str(&format!(">= {low}, <= {high} "));
        at += end;
        copied = at;
    }
    match out {
        Some(mut out) => {
            out.push_str(&text[copied..]);
            Cow::Owned(out)
        }
        None => Cow::Borrowed(text),
    }
}

/// The two ends of a hyphen range at the start of `text`, and its length with the blanks around it.
fn hyphen_range(text: &str) -> Option<(&str, &str, usize)> {
    let low = scan::token(scan::skip_space(text), scan::is_digit_or_wildcard)?;
    let rest = &scan::skip_space(text)[low.text.len()..];
    let rest = require_space(rest)?.strip_prefix('-')?;
    let rest = require_space(rest)?;
    let high = scan::token(rest, scan::is_digit_or_wildcard)?;
    let rest = scan::skip_space(&rest[high.text.len()..]);
    Some((low.text, high.text, text.len() - rest.len()))
}

fn require_space(text: &str) -> Option<&str> {
    let rest = scan::skip_space(text);
    (rest.len() < text.len()).then_some(rest)
}

fn parse_group(text: &str) -> Result<Group, ConstraintError> {
    let improper = || ConstraintError::Improper(text.to_owned());
    let mut found = Vec::new();
    let mut rest = scan::skip_space(text);
    loop {
        let (sign, operator, token) = comparison_at(rest).ok_or_else(improper)?;
        found.push((sign, operator, token));
        rest = &rest[sign.len()..];
        rest = &scan::skip_space(rest)[token.text.len()..];
        let after = scan::skip_space(rest);
        if after.is_empty() {
            break;
        }
        rest = match after.strip_prefix(',') {
            Some(after) => scan::skip_space(after),
            None if after.len() < rest.len() => after,
            None => return Err(improper()),
        };
    }
    let comparisons = found
        .into_iter()
        .map(|(sign, operator, token)| build(sign, operator, token))
        .collect::<Result<Vec<_>, _>>()?;
    let names_prerelease = comparisons.iter().any(|c| !c.version.prerelease().is_empty());
    Ok(Group { comparisons, names_prerelease })
}

fn comparison_at(text: &str) -> Option<(&'static str, Operator, Token<'_>)> {
    SIGNS.into_iter().find_map(|(sign, operator)| {
        let rest = scan::skip_space(text.strip_prefix(sign)?);
        Some((sign, operator, scan::token(rest, scan::is_digit_or_wildcard)?))
    })
}

fn build(sign: &'static str, operator: Operator, token: Token<'_>) -> Result<Comparison, ConstraintError> {
    let open = |segment: Option<&str>| segment.is_none_or(|s| matches!(s, "x" | "X" | "*"));
    let prerelease = token.prerelease.map(|p| format!("-{p}")).unwrap_or_default();
    let (mut minor_open, mut patch_open) = (false, false);
    let mut any_open = true;
    let version = if open(Some(token.major)) {
        format!("0.0.0{prerelease}")
    } else if open(token.minor) {
        minor_open = true;
        format!("{}.0.0{prerelease}", token.major)
    } else if open(token.patch) {
        patch_open = true;
        format!("{}.{}.0{prerelease}", token.major, token.minor.unwrap_or_default())
    } else {
        any_open = false;
        token.text.to_owned()
    };
    let version = Version::parse(&version).map_err(|_| ConstraintError::Version)?;
    let text = token.text.to_owned();
    Ok(Comparison { operator, sign, text, version, minor_open, patch_open, open: any_open })
}

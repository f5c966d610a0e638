//! What makes `Chart.yaml` acceptable, and the clean-up that goes with the check.

use std::collections::BTreeSet;

use sluice_semver::Version;

use super::metadata::{Dependency, Maintainer, Metadata};
use crate::go::quote;

/// Why a `Chart.yaml` is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidationError {
    /// A field that must be there is not.
    #[error("validation: chart.metadata.{0} is required")]
    Missing(&'static str),
    /// The name is `.` or `..`.
    #[error("validation: chart.metadata.name {} is not allowed", quote(.0))]
    NameNotAllowed(String),
    /// The name has a `/`.
    #[error("validation: chart.metadata.name {} is invalid", quote(.0))]
    NameInvalid(String),
    /// The version is not one.
    #[error("validation: chart.metadata.version {} is invalid", quote(.0))]
    VersionInvalid(String),
    /// Neither application nor library.
    #[error("validation: chart.metadata.type must be application or library")]
    Kind,
    /// A `null` in the list of maintainers.
    #[error("validation: maintainers must not contain empty or null nodes")]
    NullMaintainer,
    /// A `null` in the list of dependencies.
    #[error("validation: dependencies must not contain empty or null nodes")]
    NullDependency,
    /// Something else than letters, digits, `_` and `-`.
    #[error("validation: dependency {} has disallowed characters in the alias", quote(.0))]
    Alias(String),
    /// Two dependencies that would share one key of the values.
    #[error("validation: more than one dependency with name or alias {}", quote(.0))]
    DuplicateDependency(String),
}

impl Metadata {
    /// Cleans the texts and tells the first thing that is wrong.
    pub fn validate(&mut self) -> Result<(), ValidationError> {
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ] {
            sanitise(text);
        }
        self.sources.iter_mut().for_each(sanitise);
        self.keywords.iter_mut().for_each(sanitise);

        if self.api_version.is_empty() {
            return Err(ValidationError::Missing("apiVersion"));
        }
        if self.name.is_empty() {
            return Err(ValidationError::Missing("name"));
        }
        if self.name == "." || self.name == ".." {
            return Err(ValidationError::NameNotAllowed(self.name.clone()));
        }
        if self.name.contains('/') {
            return Err(ValidationError::NameInvalid(self.name.clone()));
        }
        if self.version.is_empty() {
            return Err(ValidationError::Missing("version"));
        }
        if Version::parse(&self.version).is_err() {
            return Err(ValidationError::VersionInvalid(self.version.clone()));
        }
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return Err(ValidationError::Kind);
        }
        for maintainer in &mut self.maintainers {
            maintainer.as_mut().ok_or(ValidationError::NullMaintainer)?.sanitise();
        }
        let mut names = BTreeSet::new();
        for dependency in self.dependencies.iter_mut().flatten() {
            let dependency = dependency.as_mut().ok_or(ValidationError::NullDependency)?;
            dependency.validate()?;
            let key = if dependency.alias.is_empty() { &dependency.name } else { &dependency.alias };
            if !names.insert(key.clone()) {
                return Err(ValidationError::DuplicateDependency(key.clone()));
            }
        }
        Ok(())
    }
}

impl Maintainer {
    fn sanitise(&mut self) {
        sanitise(&mut self.name);
        sanitise(&mut self.email);
        sanitise(&mut self.url);
    }
}

impl Dependency {
    fn validate(&mut self) -> Result<(), ValidationError> {
        for text in [&mut self.name, &mut self.version, &mut self.repository, &mut self.condition] {
            sanitise(text);
        }
        self.tags.iter_mut().for_each(sanitise);
        if self.alias.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            Ok(())
        } else {
            Err(ValidationError::Alias(self.name.clone()))
        }
    }
}

/// Any space becomes a blank; what does not print goes.
fn sanitise(text: &mut String) {
    if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return;
    }
    *text = text
        .chars()
        .filter_map(|c| match c {
            c if c.is_whitespace() => Some(' '),
            c if prints(c) => Some(c),
            _ => None,
        })
        .collect();
}

/// Near enough to Go's `unicode.IsPrint`: no controls, no formatting marks, no private use.
fn prints(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

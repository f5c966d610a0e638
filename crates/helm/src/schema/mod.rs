//! JSON Schema, drafts 4 to 2020-12, with the wording that users of helm know.
//!
//! Schemas are walked as they stand, not compiled: each is used once per render. References that leave the schema
//! go through [`FetchSchema`]; without it they are an error.

mod check;
mod failure;
mod format;
mod number;
mod resources;

use serde_json::Value;

use check::Checker;
use resources::Resources;

/// Reads a schema that another refers to by URL.
pub trait FetchSchema {
    /// The text behind `url`.
    fn fetch(&self, url: &str) -> Result<Vec<u8>, String>;
}

/// Refuses all references that leave a schema.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFetch;

impl FetchSchema for NoFetch {
    fn fetch(&self, _url: &str) -> Result<Vec<u8>, String> {
        Err("references to other places are not followed here".to_owned())
    }
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The schema is no JSON.
    #[error("{0}")]
    Json(String),
    /// The schema refers to something that is not there.
    #[error("{place} points to {target}: {reason}")]
    Reference {
        /// The schema with the reference.
        place: String,
        /// Where it points.
        target: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The schema has an expression that is none.
    #[error("jsonschema: invalid regex {pattern:?}: {reason}")]
    Regex {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The schema is of a kind that no one here knows.
    #[error("unsupported schema dialect {0:?}")]
    Dialect(String),
    /// The value breaks the schema: one line per finding.
    #[error("{0}")]
    Invalid(String),
}

const ROOT: &str = "file:///values.schema.json";

/// How often other schemas may be fetched for one check.
const MAX_FETCHES: usize = 64;

/// Checks a value against the text of a schema.
pub fn check(schema: &[u8], value: &Value, fetch: &dyn FetchSchema) -> Result<(), CheckError> {
    let schema: Value =
        serde_json::from_slice(schema).map_err(|error| CheckError::Json(error.to_string()))?;
    let mut documents = vec![(ROOT.to_owned(), schema)];
    loop {
        let resources = Resources::index(&documents)?;
        let checker = Checker::new(&resources)?;
        let Some(missing) = checker.missing() else {
            return match checker.check(value) {
                None => Ok(()),
                Some(failure) => Err(CheckError::Invalid(failure.text())),
            };
        };
        let reason = |reason: String| CheckError::Reference {
            place: ROOT.to_owned(),
            target: missing.to_owned(),
            reason,
        };
        if documents.len() > MAX_FETCHES {
            return Err(reason("too many references to other places".to_owned()));
        }
        let document = if missing.starts_with("urn:") {
            Value::Bool(true)
        } else {
            let text = fetch.fetch(missing).map_err(reason)?;
            serde_json::from_slice(&text).map_err(|error| reason(error.to_string()))?
        };
        documents.push((missing.to_owned(), document));
    }
}

#[cfg(test)]
mod tests;

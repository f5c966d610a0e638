//! JSON Schema, drafts 4 to 2020-12, with the wording that users of helm know.
//!
//! Schemas are checked against the specification's schema of schemas first ([`draft`]), then walked as they stand:
//! each is used once per render. References that leave the schema go through [`FetchSchema`]; without it they are
//! an error.

mod check;
mod compile;
mod draft;
mod failure;
mod format;
mod number;
mod roots;
mod url;

use serde_json::Value;

use check::Checker;
use roots::{Documents, Stop};

/// Reads a schema that another refers to by URL.
pub trait FetchSchema: std::fmt::Debug + Send + Sync {
    /// The text behind `url`.
    fn fetch(&self, url: &str) -> Result<Vec<u8>, String>;

    /// Whether messages may show what is wrong with a text that was fetched and is no schema. Not where others choose
    /// the address than may read what is there.
    fn is_shown(&self) -> bool {
        true
    }
}

/// Refuses all references that leave a schema.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFetch;

impl FetchSchema for NoFetch {
    fn fetch(&self, _url: &str) -> Result<Vec<u8>, String> {
        Err("schemas of other places are not read here: put it into the chart, or leave \
             schemas out (--skip-schema-validation, spec.install.disableSchemaValidation)"
            .to_owned())
    }
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The schema is no JSON.
    #[error("{0}")]
    Json(String),
    /// The schema, or one that it refers to, breaks the rules for schemas.
    #[error(
        "{place:?} is not valid against metaschema: jsonschema validation failed with '{dialect}'\n{findings}"
    )]
    Metaschema {
        /// The address of the schema.
        place: String,
        /// The schema of schemas that it breaks.
        dialect: String,
        /// One line per finding.
        findings: String,
    },
    /// An address or an anchor is ambiguous, or the schema refers to something that is not there.
    #[error("{0}")]
    Reference(String),
    /// A schema that is referred to cannot be read.
    #[error("failing loading {url:?}: {reason}")]
    Load {
        /// Its address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The schema has an expression that is none.
    #[error("invalid regex {pattern:?} at {place:?}: {reason}")]
    Regex {
        /// The expression.
        pattern: String,
        /// The keyword with it.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The value breaks the schema: one line per finding, each with its end.
    #[error("{0}\n")]
    Invalid(String),
}

const ROOT: &str = "file:///values.schema.json";

/// How often other schemas may be fetched for one check.
const MAX_FETCHES: usize = 64;

/// Checks a value against the text of a schema.
pub fn check(schema: &[u8], value: &Value, fetch: &dyn FetchSchema) -> Result<(), CheckError> {
    let mut documents = Documents::from([(ROOT.to_owned(), read(schema).map_err(CheckError::Json)?)]);
    loop {
        let url = match Checker::new(&documents, ROOT) {
            Ok(checker) => {
                return match checker.check(value) {
                    None => Ok(()),
                    Some(failure) => Err(CheckError::Invalid(failure.text())),
                };
            }
            Err(Stop::Error(error)) => return Err(if fetch.is_shown() { error } else { hidden(error) }),
            Err(Stop::Missing(url)) => url,
        };
        let document = if documents.len() > MAX_FETCHES {
            Err("too many references to other places".to_owned())
        } else if url.starts_with("urn:") {
            Ok(Value::Bool(true))
        } else if !["http:", "https:", "file:"].iter().any(|scheme| url.starts_with(scheme)) {
            Err(format!("no URLLoader registered for {url:?}"))
        } else {
            fetch.fetch(&url).and_then(|text| {
                read(&text).map_err(|problem| {
                    if fetch.is_shown() { problem } else { "what is there is no JSON".to_owned() }
                })
            })
        };
        match document {
            Ok(document) => documents.insert(url, document),
            Err(reason) => return Err(CheckError::Load { url, reason }),
        };
    }
}

/// The error without what is in a text that was fetched and is no schema.
fn hidden(error: CheckError) -> CheckError {
    match error {
        CheckError::Metaschema { place, .. } | CheckError::Regex { place, .. }
            if !place.starts_with(ROOT) =>
        {
            let url = place.split('#').next().unwrap_or_default().to_owned();
            CheckError::Load { url, reason: "what is there is no JSON Schema".to_owned() }
        }
        error => error,
    }
}

fn read(text: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(text)
        .map_err(|error| sluice_gotemplate::json_problem(text).unwrap_or_else(|| error.to_string()))
}

#[cfg(test)]
mod tests;

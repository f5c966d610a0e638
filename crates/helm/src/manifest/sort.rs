//! Hooks apart from objects, each in the order of kinds.

use std::collections::BTreeMap;

use super::head::Head;
use super::hook::{self, Hook, Reading};
use super::kinds::install_rank;
use super::split::split;
use crate::document;

/// A document that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("YAML parse error on {file}: {message}")]
pub struct ManifestError {
    /// The file that printed it.
    pub file: String,
    /// What is wrong.
    pub message: String,
    /// Which document of the file, from 0.
    pub document: usize,
}

/// A document of a rendered chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The file it comes from.
    pub path: String,
    /// Its text.
    pub text: String,
    /// What it is.
    pub head: Head,
}

/// The documents of a rendered chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sorted {
    /// Hooks by kind; they run by event and weight.
    pub hooks: Vec<Hook>,
    /// Objects by kind.
    pub documents: Vec<Document>,
    /// Files with hooks for events that no one knows.
    pub skipped: Vec<String>,
}

/// Splits files into documents and sorts them.
pub fn sort(files: BTreeMap<String, String>) -> Result<Sorted, ManifestError> {
    let mut sorted = Sorted::default();
    for (path, mut text) in files {
        if path.rsplit('/').next().is_some_and(|base| base.starts_with('_')) {
            continue;
        }
        match *split(&text) {
            // Nearly all files are one document: it stays where it is.
            [only] if text.ends_with(only) => {
                let start = text.len() - only.len();
                text.drain(..start);
                sorted.add(path, 0, text)?;
            }
            ref documents => {
                for (index, document) in documents.iter().enumerate() {
                    sorted.add(path.clone(), index, (*document).to_owned())?;
                }
            }
        }
    }
    sorted.hooks.sort_by(|a, b| install_rank(&a.kind).cmp(&install_rank(&b.kind)));
    sorted.documents.sort_by(|a, b| install_rank(&a.head.kind).cmp(&install_rank(&b.head.kind)));
    Ok(sorted)
}

impl Sorted {
    fn add(&mut self, path: String, document: usize, text: String) -> Result<(), ManifestError> {
        let head = match read_head(&text) {
            Ok(head) => head,
            Err(message) => return Err(ManifestError { file: path, message, document }),
        };
        match hook::read(&head, &path, &text) {
            Reading::Plain => self.documents.push(Document { path, text, head }),
            Reading::Unknown => self.skipped.push(path),
            Reading::Hook(hook) => self.hooks.push(hook),
        }
        Ok(())
    }
}

/// The head of a document, or why there is none.
pub(crate) fn read_head(text: &str) -> Result<Head, String> {
    let document = document::members_to_json(text, Head::has_field)
        .map_err(|error| format!("error converting YAML to JSON: {error}"))?;
    Head::read(&document).map_err(|error| error.to_string())
}

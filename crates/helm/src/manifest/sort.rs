//! Hooks apart from objects, each in the order of kinds.

use std::collections::BTreeMap;

use super::head::Head;
use super::hook::{self, Hook, Reading};
use super::kinds::install_rank;
use super::place::Place;
use super::split::split;
use crate::document;

/// A document that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("YAML parse error on {file}: {message}{place}")]
pub struct ManifestError {
    /// The file that printed it.
    pub file: String,
    /// What is wrong.
    pub message: String,
    /// Where in the file.
    pub place: Place,
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
                let head = read_head(only).map_err(|error| error.of(&path, &text, only))?;
                let start = text.len() - only.len();
                text.drain(..start);
                sorted.add(path, head, text);
            }
            ref documents => {
                for document in documents {
                    let head = read_head(document).map_err(|error| error.of(&path, &text, document))?;
                    sorted.add(path.clone(), head, (*document).to_owned());
                }
            }
        }
    }
    sorted.hooks.sort_by(|a, b| install_rank(&a.kind).cmp(&install_rank(&b.kind)));
    sorted.documents.sort_by(|a, b| install_rank(&a.head.kind).cmp(&install_rank(&b.head.kind)));
    Ok(sorted)
}

impl Sorted {
    fn add(&mut self, path: String, head: Head, text: String) {
        match hook::read(&head, &path, &text) {
            Reading::Plain => self.documents.push(Document { path, text, head }),
            Reading::Unknown => self.skipped.push(path),
            Reading::Hook(hook) => self.hooks.push(hook),
        }
    }
}

/// Why a document cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// What is wrong.
    pub(crate) message: String,
    /// The line of the document that is at fault, from 1.
    line: Option<usize>,
}

impl Unreadable {
    fn of(self, file: &str, text: &str, document: &str) -> ManifestError {
        let place = self.place(text, document);
        ManifestError { file: file.to_owned(), message: self.message, place }
    }

    /// Where it is in the text that the document is a part of.
    pub(crate) fn place(&self, text: &str, document: &str) -> Place {
        Place::new(text, document, self.line)
    }
}

/// The head of a document, or why there is none.
pub(crate) fn read_head(text: &str) -> Result<Head, Unreadable> {
    let document = document::members_to_json(text, Head::has_field).map_err(|error| Unreadable {
        message: format!("error converting YAML to JSON: {error}"),
        line: error.line(),
    })?;
    Head::read(&document).map_err(|error| Unreadable { message: error.to_string(), line: None })
}

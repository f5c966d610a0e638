//! Hooks apart from objects, each in the order of kinds.

use std::collections::BTreeMap;

use super::head::Head;
use super::hook::{self, Hook, Reading};
use super::kinds::install_rank;
use super::split::split;
use crate::document;
use crate::parallel;

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
pub fn sort(files: &BTreeMap<String, String>) -> Result<Sorted, ManifestError> {
    let mut sorted = Sorted::default();
    let mut texts = Vec::new();
    for (path, text) in files {
        if path.rsplit('/').next().is_some_and(|base| base.starts_with('_')) {
            continue;
        }
        texts.extend(split(text).into_iter().enumerate().map(|(index, text)| (path, index, text)));
    }
    let heads = {
        let texts: Vec<&str> = texts.iter().map(|(_, _, text)| *text).collect();
        parallel::each(&texts, read_head)
    };
    for ((path, document, text), head) in texts.into_iter().zip(heads) {
        let head = head.map_err(|message| ManifestError { file: path.clone(), message, document })?;
        match hook::read(&head, path, text) {
            Reading::Plain => {
                sorted.documents.push(Document { path: path.clone(), text: text.to_owned(), head });
            }
            Reading::Unknown => sorted.skipped.push(path.clone()),
            Reading::Hook(hook) => sorted.hooks.push(hook),
        }
    }
    sorted.hooks.sort_by(|a, b| install_rank(&a.kind).cmp(&install_rank(&b.kind)));
    sorted.documents.sort_by(|a, b| install_rank(&a.head.kind).cmp(&install_rank(&b.head.kind)));
    Ok(sorted)
}

/// The head of a document, or why there is none.
pub(crate) fn read_head(text: &str) -> Result<Head, String> {
    let document = document::members_to_json(text, Head::has_field)
        .map_err(|error| format!("error converting YAML to JSON: {error}"))?;
    Head::read(&document).map_err(|error| error.to_string())
}

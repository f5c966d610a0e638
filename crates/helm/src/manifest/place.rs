//! Where a rendered file is at fault.

use std::fmt;

use sluice_gotemplate::Origin;

/// The place of an error in a rendered file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The line of the file, from 1: that of the error, or else the one in which its document begins.
    pub line: usize,
    /// The line of a template that printed it, once that is known.
    pub origin: Option<Origin>,
}

impl Place {
    /// The place of a line of a document, from 1, that is a part of the file's text.
    pub(super) fn new(text: &str, document: &str, line: Option<usize>) -> Self {
        let start = (document.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        let before = text.get(..start).map_or(0, |before| before.matches('\n').count());
        // An error at the end may be told of the line after it.
        let line = line.unwrap_or(1).min(document.trim_end().lines().count().max(1));
        Self { line: before + line, origin: None }
    }
}

/// What follows the message: nothing, or which line of which template it is about.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(Origin { name, line }) => write!(out, "\n  printed by {name}:{line}"),
            None => Ok(()),
        }
    }
}

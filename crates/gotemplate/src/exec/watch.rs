//! Which part of a template a line of what it prints comes from.

use std::sync::Arc;

use crate::parse::Template;

/// A place in the text of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name under which the text was parsed.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
}

impl Origin {
    pub(super) fn new(template: &Template, offset: usize) -> Self {
        let text = &template.source.text;
        let line = 1 + memchr::memchr_iter(b'\n', &text[..offset.min(text.len())]).count();
        Self { name: template.source.name.clone(), line }
    }
}

/// A look-out for a line that is going to be printed.
pub(super) struct Watch {
    /// How many line breaks come before it.
    breaks: usize,
    /// What printed the first of it that is no blank.
    pub(super) found: Option<(Arc<Template>, usize)>,
}

impl Watch {
    /// The line is counted from 0.
    pub(super) fn new(line: usize) -> Self {
        Self { breaks: line, found: None }
    }

    /// Where the line has its first character that is no blank, if it is among these bytes that are printed next.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.found.is_some() {
            return None;
        }
        let mut start = 0;
        while self.breaks > 0 {
            start += memchr::memchr(b'\n', &bytes[start..])? + 1;
            self.breaks -= 1;
        }
        let blanks = bytes[start..].iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
        Some(start + blanks)
    }
}

//! Replacing the text of scalars, and nothing else.

use std::collections::HashMap;

use sluice_yaml::resolve::{Scalar as Resolved, is_base60, old_bool, resolve};
use sluice_yaml::{Dialect, Style};

use super::FileError;
use super::document::{self, Scalar};

/// The bytes of a scalar that its value stands in.
#[derive(Debug)]
pub(super) struct Place {
    start: usize,
    end: usize,
    form: Form,
    /// The value that is there.
    pub(super) old: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Single,
    Double,
    /// The line of a block.
    Line,
}

/// Where the value of a scalar stands; `None` for one that is empty or that takes several lines of a block.
pub(super) fn place(text: &str, scalar: &Scalar) -> Option<Place> {
    let start = scalar.start + if scalar.decorated { decoration(&text[scalar.start..scalar.end]) } else { 0 };
    let end = scalar.end;
    if start >= end {
        return None;
    }
    let form = match scalar.style {
        Style::Plain => Form::Plain,
        Style::Single => Form::Single,
        Style::Double => Form::Double,
        Style::Literal | Style::Folded => return line(text, start, end),
    };
    Some(Place { start, end, form, old: scalar.value.clone() })
}

/// The one line of a block.
fn line(text: &str, start: usize, end: usize) -> Option<Place> {
    let first = start + text[start..end].find('\n')? + 1;
    let mut found = None;
    let mut at = first;
    for line in text[first..end].split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let value = content.trim_start_matches(' ');
        if !value.is_empty() {
            if found.is_some() {
                return None;
            }
            let start = at + content.len() - value.len();
            found = Some(Place { start, end: start + value.len(), form: Form::Line, old: value.to_owned() });
        }
        at += line.len();
    }
    found
}

/// The length of anchor and tag with the blanks after them.
fn decoration(text: &str) -> usize {
    let mut rest = text;
    while rest.starts_with(['&', '!']) {
        let word = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
        rest = rest[word..].trim_start();
    }
    text.len() - rest.len()
}

/// Replaces values, and makes sure that everything else still reads the same.
pub(super) fn apply(
    text: &str,
    scalars: &[Scalar],
    edits: &[(usize, Place, String)],
) -> Result<String, FileError> {
    let mut order: Vec<&(usize, Place, String)> = edits.iter().collect();
    order.sort_by_key(|(_, place, _)| place.start);
    let mut out = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    for (at, place, value) in &order {
        if place.start < copied {
            return Err(FileError::Unsafe { line: scalars[*at].line });
        }
        out.push_str(&text[copied..place.start]);
        out.push_str(&written(value, place.form));
        copied = place.end;
    }
    out.push_str(&text[copied..]);
    let first = order.first().map_or(1, |(at, ..)| scalars[*at].line);
    let again = document::scalars(&out).map_err(|_| FileError::Unsafe { line: first })?;
    let wanted: HashMap<usize, &str> = edits.iter().map(|(at, _, value)| (*at, value.as_str())).collect();
    let same = |(at, (before, after)): (usize, (&Scalar, &Scalar))| match wanted.get(&at).copied() {
        Some(value) => after.value.trim() == value,
        None => after.value == before.value && after.role == before.role,
    };
    let differs = scalars.iter().zip(&again).enumerate().find(|pair| !same(*pair));
    match differs {
        Some((at, _)) => Err(FileError::Unsafe { line: scalars[at].line }),
        None if scalars.len() != again.len() => Err(FileError::Unsafe { line: first }),
        None => Ok(out),
    }
}

/// A value in the form of the one that it replaces.
fn written(value: &str, form: Form) -> String {
    match form {
        Form::Single => format!("'{}'", value.replace('\'', "''")),
        Form::Double => quoted(value),
        Form::Line => value.to_owned(),
        Form::Plain if reads_as_text(value) => value.to_owned(),
        Form::Plain => quoted(value),
    }
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whether a plain scalar is text to every reader, old or new.
fn reads_as_text(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@+".contains(c);
    let text = |dialect| matches!(resolve(value, dialect), Resolved::Text(_));
    !value.is_empty()
        && value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && !value.ends_with(':')
        && value.chars().all(plain)
        && text(Dialect::V3)
        && text(Dialect::Sigs)
        && old_bool(value).is_none()
        && !is_base60(value)
}

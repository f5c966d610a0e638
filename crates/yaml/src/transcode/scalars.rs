//! Scalars of all styles, on one line or several.

use std::io::Write as _;

use super::{Reader, has_colon};
use crate::number::Integer;
use crate::read::Dialect;
use crate::resolve::{Scalar, resolve};
use crate::scanner::Style;
use crate::skim::is_plain_value;
use crate::value::Value;

impl Reader<'_, '_> {
    pub(super) fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.out.extend_from_slice(text);
        self.advance()
    }

    pub(super) fn double(&mut self, value: &str) -> Option<()> {
        let inside = &value[1..];
        let bytes = inside.as_bytes();
        self.out.push(b'"');
        let mut index = 0;
        loop {
            match *bytes.get(index)? {
                b'"' => break,
                b'\\' => {
                    match bytes.get(index + 1)? {
                        // JSON has them as well.
                        b'"' | b'\\' | b'n' | b't' => {}
                        _ => return None,
                    }
                    index += 2;
                }
                _ => index += 1,
            }
        }
        self.out.extend_from_slice(&bytes[..index]);
        self.out.push(b'"');
        is_end(inside.get(index + 1..)?)?;
        self.advance()
    }

    pub(super) fn single(&mut self, value: &str) -> Option<()> {
        let mut rest = &value[1..];
        self.out.push(b'"');
        loop {
            let (part, after) = rest.split_once('\'')?;
            escape(part.as_bytes(), self.out);
            match after.strip_prefix('\'') {
                Some(more) => {
                    self.out.push(b'\'');
                    rest = more;
                }
                None => {
                    rest = after;
                    break;
                }
            }
        }
        self.out.push(b'"');
        is_end(rest)?;
        self.advance()
    }

    pub(super) fn plain(&mut self, column: usize, value: &str) -> Option<()> {
        let bytes = value.as_bytes();
        let begins = match *bytes.first()? {
            b'-' => bytes.get(1).is_some_and(|next| *next != b' '),
            first => !first.is_ascii() || first.is_ascii_alphanumeric() || b"_/.($+~^=<".contains(&first),
        };
        let comment = value.find(" #");
        let text = comment.map_or(value, |comment| &value[..comment]).trim_end_matches(' ');
        if !begins || has_colon(text) {
            return None;
        }
        let continued = self.raw().filter(|(line, _)| {
            let content = line.trim_start_matches(' ');
            !content.is_empty() && line.len() - content.len() > column
        });
        if let Some((line, _)) = continued {
            // A comment ends it, and what is deeper behind that is another thing or an error.
            if comment.is_some() || line.trim_start_matches(' ').starts_with('#') {
                return None;
            }
            return self.folded(column, text);
        }
        // A blank line may be inside.
        if self.raw().is_some_and(|(line, _)| line.trim_start_matches(' ').is_empty()) {
            self.advance()?;
            if self.line.is_some_and(|line| line.column > column) {
                return None;
            }
        } else {
            self.advance()?;
        }
        if !is_plain_value(text, Style::Plain) {
            return None;
        }
        match resolve(text, Dialect::Sigs) {
            Scalar::Null => self.out.extend_from_slice(b"null"),
            Scalar::Bool(value) => self.out.extend_from_slice(if value { b"true" } else { b"false" }),
            Scalar::Integer(Integer::Signed(value)) => write!(self.out, "{value}").ok()?,
            Scalar::Integer(Integer::Unsigned(value)) => write!(self.out, "{value}").ok()?,
            Scalar::Timestamp(_) | Scalar::Text(_) => {
                self.out.push(b'"');
                escape(text.as_bytes(), self.out);
                self.out.push(b'"');
            }
            Scalar::Float(value) => {
                serde_json::to_writer(&mut *self.out, &serde_json::Value::from(Value::Float(value))).ok()?;
            }
            Scalar::Merge => return None,
        }
        Some(())
    }

    /// Plain text over several lines without a blank one.
    fn folded(&mut self, column: usize, first: &str) -> Option<()> {
        self.out.push(b'"');
        escape(first.as_bytes(), self.out);
        while let Some((line, next)) = self.raw() {
            let content = line.trim_start_matches(' ');
            if content.is_empty() || line.len() - content.len() <= column {
                break;
            }
            let content = content.trim_end_matches(' ');
            if content.starts_with('#') || content.contains(" #") || has_colon(content) {
                return None;
            }
            self.next = next;
            self.out.push(b' ');
            escape(content.as_bytes(), self.out);
        }
        self.out.push(b'"');
        self.advance()?;
        // Behind a blank line or a comment.
        self.line.is_none_or(|line| line.column <= column).then_some(())
    }

    /// Text as it stands, on the deeper lines.
    pub(super) fn block(&mut self, column: usize, header: &str) -> Option<()> {
        let clip = match header {
            "|" => true,
            "|-" => false,
            _ => return None,
        };
        self.out.push(b'"');
        let (mut depth, mut widest, mut blank) = (None, 0, 0);
        while let Some((line, next)) = self.raw() {
            let content = line.trim_start_matches(' ');
            let indent = line.len() - content.len();
            if content.is_empty() {
                widest = widest.max(indent);
                blank += 1;
                self.next = next;
                continue;
            }
            if indent <= column {
                break;
            }
            let is_first = depth.is_none();
            let depth = *depth.get_or_insert(indent);
            // Blanks behind the depth are text; less deep than the first line is an error.
            if indent < depth || widest > depth {
                return None;
            }
            // The line before ended with a line break.
            for _ in 0..blank + usize::from(!is_first) {
                self.out.extend_from_slice(b"\\n");
            }
            (blank, widest) = (0, 0);
            escape(&line.as_bytes()[depth..], self.out);
            self.next = next;
        }
        // No text, text that the end cuts off, or blanks that may be text.
        if depth.is_none_or(|depth| widest > depth) || !self.text[..self.next].ends_with('\n') {
            return None;
        }
        if clip {
            self.out.extend_from_slice(b"\\n");
        }
        self.out.push(b'"');
        self.advance()
    }
}

/// Whether nothing but a comment follows.
fn is_end(rest: &str) -> Option<()> {
    let trimmed = rest.trim_start_matches(' ');
    (trimmed.is_empty() || trimmed.starts_with('#') && trimmed.len() < rest.len()).then_some(())
}

/// Appends printable text as it stands in a JSON string.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(index) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..index]);
        out.extend_from_slice(&[b'\\', rest[index]]);
        rest = &rest[index + 1..];
    }
    out.extend_from_slice(rest);
}

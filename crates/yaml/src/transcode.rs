//! Block YAML straight to JSON, for large documents of the common form: no events, no tree.
//!
//! What is accepted here has the JSON that [`crate::read_strict`] gives it; anything else is left to the reader.

use std::io::Write as _;

use crate::number::Integer;
use crate::read::Dialect;
use crate::resolve::{Scalar, resolve};
use crate::scanner::Style;
use crate::skim::{is_plain_key, is_plain_value};
use crate::value::Value;

/// Longer keys are not looked at: the reader has a limit on them.
const LONGEST_KEY: usize = 128;
/// Deeper documents are not looked at.
const DEEPEST: usize = 32;

/// Appends the compact JSON of a document to `out`, keys in their order; `None`, with `out` as it was, if the document
/// is not as plain as those that programs write, with the keys of each mapping in ascending order.
pub fn transcode(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let begin = out.len();
    let done = is_printable(text.as_bytes())
        .then(|| {
            let mut reader = Reader { text, next: 0, line: None, out, depth: 0 };
            reader.advance()?;
            let line = reader.line?;
            reader.collection(line)?;
            reader.line.is_none().then_some(())
        })
        .flatten();
    if done.is_none() {
        out.truncate(begin);
    }
    done
}

/// Whether all is text that the reader takes as it is, and no character is a line break or a mark but the newline.
fn is_printable(bytes: &[u8]) -> bool {
    let is_common = |byte: u8| (0x20..=0x7e).contains(&byte) || byte == b'\n';
    // Without an early end in the piece, the compiler makes vectors of it.
    let (pieces, rest) = bytes.as_chunks::<64>();
    let common = pieces.iter().all(|piece| piece.iter().fold(true, |all, byte| all & is_common(*byte)));
    if common && rest.iter().all(|byte| is_common(*byte)) {
        return true;
    }
    bytes.iter().enumerate().all(|(index, byte)| match byte {
        b'\n' | 0x20..=0x7e => true,
        0..=0x1f | 0x7f => false,
        // C1 controls, line and paragraph separators, byte order marks and what is no character.
        0xc2 => bytes.get(index + 1).is_some_and(|next| *next >= 0xa0),
        0xe2 => bytes.get(index + 1) != Some(&0x80) || !matches!(bytes.get(index + 2), Some(0xa8 | 0xa9)),
        0xef => false,
        _ => true,
    })
}

/// A line that is neither blank nor a comment.
#[derive(Clone, Copy)]
struct Line<'a> {
    column: usize,
    /// Without the blanks at both ends.
    content: &'a str,
}

struct Reader<'a, 'o> {
    text: &'a str,
    /// Where the line behind the present one begins.
    next: usize,
    /// The present line; none at the end.
    line: Option<Line<'a>>,
    out: &'o mut Vec<u8>,
    depth: usize,
}

impl<'a> Reader<'a, '_> {
    /// The next line, whatever is in it, and where the one behind it begins.
    fn raw(&self) -> Option<(&'a str, usize)> {
        let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
        let end = rest.find('\n').unwrap_or(rest.len());
        Some((&rest[..end], (self.next + end + 1).min(self.text.len())))
    }

    /// Goes to the next line with content.
    fn advance(&mut self) -> Option<()> {
        while let Some((line, next)) = self.raw() {
            self.next = next;
            let content = line.trim_start_matches(' ');
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let column = line.len() - content.len();
            if column == 0 && (content.starts_with("---") || content.starts_with("...")) {
                return None;
            }
            self.line = Some(Line { column, content: content.trim_end_matches(' ') });
            return Some(());
        }
        self.line = None;
        Some(())
    }

    /// The collection that begins with the present line.
    fn collection(&mut self, line: Line<'a>) -> Option<()> {
        if is_item(line.content) { self.sequence(line.column) } else { self.mapping(line) }
    }

    fn deeper(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth <= DEEPEST).then_some(())
    }

    /// A mapping whose first member is `first`, which may stand behind a dash.
    fn mapping(&mut self, first: Line<'a>) -> Option<()> {
        self.deeper()?;
        self.out.push(b'{');
        let (mut member, mut last) = (first, None);
        loop {
            let (key, value) = split(member.content)?;
            if last.is_some_and(|last| last >= key) {
                return None;
            }
            if last.is_some() {
                self.out.push(b',');
            }
            last = Some(key);
            self.out.push(b'"');
            self.out.extend_from_slice(key.as_bytes());
            self.out.extend_from_slice(b"\":");
            self.value(first.column, value, true)?;
            match self.line {
                Some(line) if line.column == first.column && !is_item(line.content) => member = line,
                Some(line) if line.column >= first.column => return None,
                _ => break,
            }
        }
        self.out.push(b'}');
        self.depth -= 1;
        Some(())
    }

    fn sequence(&mut self, column: usize) -> Option<()> {
        self.deeper()?;
        self.out.push(b'[');
        let mut is_first = true;
        while let Some(line) = self.line.filter(|line| line.column == column && is_item(line.content)) {
            if !is_first {
                self.out.push(b',');
            }
            is_first = false;
            let rest = line.content[1..].trim_start_matches(' ');
            let inside = column + line.content.len() - rest.len();
            if is_item(rest) {
                return None;
            }
            let is_text = rest.is_empty() || rest.starts_with(['#', '"', '\'']);
            if split(rest).is_some() || !is_text && has_colon(rest) {
                self.mapping(Line { column: inside, content: rest })?;
            } else {
                self.value(column, rest, false)?;
            }
        }
        if self.line.is_some_and(|line| line.column > column) {
            return None;
        }
        self.out.push(b']');
        self.depth -= 1;
        Some(())
    }

    /// What follows the key or the dash of a collection in `column`, up to the line behind it.
    fn value(&mut self, column: usize, value: &'a str, in_mapping: bool) -> Option<()> {
        match value.as_bytes().first() {
            None | Some(b'#') => {
                self.advance()?;
                match self.line {
                    Some(line) if line.column > column => self.collection(line),
                    Some(line) if in_mapping && line.column == column && is_item(line.content) => {
                        self.sequence(column)
                    }
                    _ => {
                        self.out.extend_from_slice(b"null");
                        Some(())
                    }
                }
            }
            Some(b'|') => self.block(column, value),
            Some(b'"') => self.double(value),
            Some(b'\'') => self.single(value),
            Some(b'{') if value == "{}" => self.literal(b"{}"),
            Some(b'[') if value == "[]" => self.literal(b"[]"),
            _ => self.plain(column, value),
        }
    }

    fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.out.extend_from_slice(text);
        self.advance()
    }

    fn double(&mut self, value: &str) -> Option<()> {
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

    fn single(&mut self, value: &str) -> Option<()> {
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

    fn plain(&mut self, column: usize, value: &str) -> Option<()> {
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
    fn block(&mut self, column: usize, header: &str) -> Option<()> {
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

fn is_item(content: &str) -> bool {
    content == "-" || content.starts_with("- ")
}

/// Whether there is what makes a key of the text before it.
fn has_colon(text: &str) -> bool {
    text.ends_with(':') || text.contains(": ")
}

/// The key and the value of a member.
fn split(content: &str) -> Option<(&str, &str)> {
    let (key, rest) = if let Some(quote @ (b'"' | b'\'')) = content.as_bytes().first() {
        let (key, rest) = content[1..].split_once(char::from(*quote))?;
        let is_simple = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"'\\".contains(&byte);
        (key.len() <= LONGEST_KEY && key.bytes().all(is_simple)).then_some((key, rest.strip_prefix(':')?))?
    } else {
        let bytes = content.as_bytes();
        let is_simple = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./".contains(byte);
        let end = bytes.iter().position(|byte| !is_simple(byte))?;
        let (key, rest) = content.split_at_checked(end)?;
        let good = key.len() <= LONGEST_KEY
            && key.starts_with(|first: char| first.is_ascii_alphabetic())
            && is_plain_key(key, Style::Plain);
        (key, rest.strip_prefix(':').filter(|_| good)?)
    };
    (rest.is_empty() || rest.starts_with(' ')).then(|| (key, rest.trim_start_matches(' ')))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read_strict;

    /// The reader's answer, if the fast way has one it must be the same.
    fn same(text: &str) -> bool {
        let mut out = b"before".to_vec();
        let fast = transcode(text, &mut out).is_some();
        if fast {
            let whole = read_strict(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
            let whole = serde_json::to_string(&serde_json::Value::from(whole)).unwrap();
            assert_eq!(std::str::from_utf8(&out[6..]).unwrap(), whole, "{text}");
        } else {
            assert_eq!(out, b"before");
        }
        fast
    }

    #[test]
    fn what_programs_write_needs_no_reader() {
        for text in [
            "- annotations:\n    category: Database\n    images: |\n      - name: a\n\n        image: b \"c\"\n  apiVersion: v2\n  created: \"2026-01-01T00:00:00Z\"\n  keywords:\n  - one\n  - two\n  urls:\n  - a-1.0.0.tgz\n",
            "a: 2026-01-01T00:00:00Z\nb: true\nc: 12\nd: ~\ne:\nf: {}\ng: []\nh: 1.2.3\n",
            "  - description: words that\n      go on, with \"quotes\",\n      and end\n    name: 'it''s \"x\\y\"' # c\n\n  # between\n  - name: b\n",
            "a: |-\n  x\n\n\nb: |\n    y\n      z\n\nc: x#y\nd: http://x/?a=b\ne: \"a\\\"b\\\\c\\n\" # d\n",
            "-\n  a: b\n-\n- c\n- \"d: e\"\n",
            "a:\n  - b: ^1.2\n    c: '>= 1'\n",
            "\"a b\": x\n'c': ä\n",
            "a: 1.0\nb: 1.25e+300\nc: 0001234567890123456789\nd: -0.0\ne: 1e3\nf: 99999999999999999999\n",
        ] {
            assert!(same(text), "{text}");
        }
    }

    #[test]
    fn what_may_be_something_else_is_left_to_the_reader() {
        for text in [
            "",
            "text",
            "b: 1\na: 2\n",
            "a: 1\na: 2\n",
            "a: x\n\n  y\n",
            "a: x # c\n  y\n",
            "a: x\n  # c\n  y\n",
            "a: b: c\n",
            "a: x\n  b: c\n",
            "a: |\n   x\n  y\n",
            "a: |\n",
            "a: |+\n  x\n\n",
            "a: >\n  x\n",
            "a: |\n  x",
            "a: |\n    \n  x\n",
            "a: &x b\n",
            "a: *x\n",
            "a: !!str 1\n",
            "? a\n: b\n",
            "a: [b]\n",
            "<<: {}\n",
            "a: \"x\n  y\"\n",
            "a: 'x\n  y'\n",
            "a: \"\\x41\"\n",
            "a:\tb\n",
            "a: x\r\n",
            "--- a\n",
            "a: b\n...\n",
            "a: b\n- c\n",
            "- a\nb: c\n",
            "- - a\n",
            "a:\n    b: c\n  d: e\n",
            "yes: x\n",
            "a: \"x\" y\n",
            "a: .inf\n",
            "a: x\n---\nb: y\n",
            "a: - b\n",
            "a: ? b\n",
            "a: @b\n",
            "a: `b`\n",
            "a: %b\n",
            "a: |\n  x\n   \n",
        ] {
            assert!(!same(text), "{text}");
        }
    }

    /// Lines of all sorts put together at random: whatever is accepted is what the reader reads.
    #[test]
    fn random_documents_are_read_alike() {
        let pieces: &[&str] = &[
            "a:",
            "b: x",
            "c: |",
            "d: |-",
            "- e",
            "- f: g",
            "-",
            "h: \"i\"",
            "'j': 'k'",
            "# l",
            "",
            "m: 1",
            "n: ~",
            "text",
            "more text: x",
            "o: {}",
            "p: []",
            "q: p # c",
            "r: x:y",
            "s: \"t",
            "- |",
            "- \"u\"",
            "v: yes",
            "w: 2001-01-01",
            "- - x",
            "y: z",
            "k: a  ",
            "l: --x",
            "m: - x",
            "n: |+",
            "o: >",
            "   ",
            "- # c",
            "- 'x': y",
            "p: ''",
            "q: ''''",
            "r: \"\\\\\"",
            "s: 0x1F",
            "t: 1_000",
            "u: 1e3",
            "- !x y",
            "w: &a b",
            "x: *a",
            "z: <<",
            "a.b/c: =",
            "d: ä€",
            "e: a\\b",
            "f: a\"b",
        ];
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 16) as usize % below
        };
        let mut accepted = 0;
        for _ in 0..20_000 {
            let mut text = String::new();
            let mut indent = 0_usize;
            for _ in 0..=random(7) {
                indent = match random(8) {
                    0..=3 => indent,
                    4 | 5 => indent + 2,
                    6 => indent.saturating_sub(2),
                    _ => random(5),
                };
                text.push_str(&" ".repeat(indent));
                text.push_str(pieces[random(pieces.len())]);
                text.push('\n');
            }
            if random(8) == 0 {
                text.pop();
            }
            accepted += usize::from(same(&text));
        }
        assert!(accepted > 1_000, "{accepted}");
    }
}

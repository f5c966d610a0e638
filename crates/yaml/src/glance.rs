//! Block YAML as nearly all is written, checked line by line without making tokens.
//!
//! What is accepted here is sure to be good YAML with values that JSON has; anything else is left to the real reader,
//! which also has the words for errors.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2};

use crate::scanner::{MAX_DEPTH, Style};
use crate::skim::{is_plain_key, is_plain_value};
use crate::value::{Mapping, Value};

/// Longer keys are not looked at: the reader has a limit on them.
const LONGEST_KEY: usize = 128;

/// The key of each member of the document's mapping and where its lines are; nothing if a line is not plain.
pub(crate) fn members(text: &str) -> Option<Vec<(&str, Range<usize>)>> {
    if !is_printable(text) {
        return None;
    }
    let mut members: Vec<(&str, Range<usize>)> = Vec::new();
    let mut check = Check { open: vec![Open { column: 0, kind: Kind::Mapping }], pending: false };
    let mut lines = Lines { text, position: 0 };
    let has_tabs = memchr(b'\t', text.as_bytes()).is_some();
    while let Some((start, line)) = lines.next() {
        let column = indent(line);
        let content = without_end_spaces(&line[column..]);
        match content.as_bytes() {
            [] | [b'#', ..] => continue,
            [b'-', b'-', b'-', ..] | [b'.', b'.', b'.', ..] => return None,
            bytes if has_tabs && memchr(b'\t', bytes).is_some() => return None,
            _ => {}
        }
        // An item in the first column is one of the list that the last member holds.
        if column == 0 && !is_item(content) {
            let Content::Member { key, .. } = look(content)? else { return None };
            if key.starts_with(['"', '\'']) {
                return None;
            }
            if let Some((_, range)) = members.last_mut() {
                range.end = start;
            }
            members.push((key, start..text.len()));
        }
        check.line(column, content, &mut lines)?;
    }
    Some(members)
}

/// Reads lines that are some of the [`members`] of a plain text, if they are texts and mappings of texts.
pub(crate) fn texts(lines: &str) -> Option<Value> {
    let mut lines = Lines { text: lines, position: 0 };
    let texts = mapping(&mut lines, 0, MAX_DEPTH)?;
    lines.peek().is_none().then_some(Value::Mapping(texts))
}

/// The entries in a column and all that is in them, at most `depth` mappings deep.
fn mapping(lines: &mut Lines<'_>, column: usize, depth: usize) -> Option<Mapping> {
    let deeper_still = depth.checked_sub(1)?;
    let mut entries = Mapping::new();
    while let Some((_, line)) = lines.peek() {
        let found = indent(line);
        let content = without_end_spaces(&line[found..]);
        if content.is_empty() || content.starts_with('#') {
            lines.next();
            continue;
        }
        if found < column {
            break;
        }
        let Content::Member { key, value } = look(content)? else { return None };
        if found > column || key.len() > LONGEST_KEY {
            return None;
        }
        lines.next();
        let key = if key.starts_with(['"', '\'']) { unescaped(key)? } else { key };
        let value = match value.as_bytes() {
            [] | [b'#', ..] => {
                let deeper = lines.peek().map_or(0, |(_, line)| indent(line));
                if deeper <= column {
                    return None;
                }
                let inner = mapping(lines, deeper, deeper_still)?;
                // Only blank lines and comments: that is null.
                if inner.is_empty() {
                    return None;
                }
                Value::Mapping(inner)
            }
            [b'"' | b'\'', ..] => Value::String(unescaped(&value[..quoted(value)?])?.to_owned()),
            [first, ..] if first.is_ascii_alphabetic() => {
                let text = without_comment(value);
                if !is_plain_key(text, Style::Plain) {
                    return None;
                }
                Value::String(text.to_owned())
            }
            _ => return None,
        };
        entries.insert(key.to_owned(), value);
    }
    Some(entries)
}

/// What stands between quotes, if there are no escapes.
fn unescaped(quoted: &str) -> Option<&str> {
    let inner = &quoted[1..quoted.len() - 1];
    memchr2(b'\\', b'\'', inner.as_bytes()).is_none().then_some(inner)
}

/// Whether all is text that the reader takes as it is, and no character is a line break or a mark but the newline.
fn is_printable(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_common = |byte: u8| byte.wrapping_sub(0x20) < 0x5f || byte == b'\n' || byte == b'\t';
    // Without a way out in the middle many bytes are looked at at once.
    let all_common = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & is_common(*byte));
    bytes.chunks(256).all(all_common)
        || bytes.iter().enumerate().all(|(index, byte)| match byte {
            b'\n' | b'\t' | 0x20..=0x7e => true,
            0..=0x1f | 0x7f => false,
            // C1 controls, line and paragraph separators, byte order marks and what is no character.
            0xc2 => bytes.get(index + 1).is_some_and(|next| *next >= 0xa0),
            0xe2 => bytes.get(index + 1) != Some(&0x80) || !matches!(bytes.get(index + 2), Some(0xa8 | 0xa9)),
            0xef => false,
            _ => true,
        })
}

struct Lines<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<(usize, &'a str)> {
        let rest = &self.text[self.position..];
        if rest.is_empty() {
            return None;
        }
        let end = memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        Some((self.position, &rest[..end]))
    }

    fn next(&mut self) -> Option<(usize, &'a str)> {
        let (start, line) = self.peek()?;
        self.position = (start + line.len() + 1).min(self.text.len());
        Some((start, line))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Mapping,
    Sequence,
}

#[derive(Clone, Copy)]
struct Open {
    column: usize,
    kind: Kind,
}

struct Check {
    /// The collections that are open, outermost first.
    open: Vec<Open>,
    /// Whether the value of the last key or item may still come, on a deeper line.
    pending: bool,
}

impl Check {
    fn line(&mut self, mut column: usize, mut content: &str, lines: &mut Lines<'_>) -> Option<()> {
        while self.open.last().is_some_and(|open| open.column > column) {
            self.open.pop();
            // Whatever waited for its value was in there.
            self.pending = false;
        }
        // The collection whose line this is, for what a block scalar is deeper than.
        let mut within = None;
        while is_item(content) {
            self.enter(column, Kind::Sequence, within.is_some())?;
            within = Some(column);
            let rest = without_spaces(&content[1..]);
            column += content.len() - rest.len();
            content = rest;
            self.pending = true;
            if content.is_empty() || content.starts_with('#') {
                return Some(());
            }
        }
        if let Content::Member { value, .. } = look(content)? {
            self.enter(column, Kind::Mapping, within.is_some())?;
            self.pending = false;
            return self.value(column, value, lines);
        }
        // A scalar stands alone only as an item.
        let column = within?;
        self.pending = false;
        self.value(column, content, lines)
    }

    /// Notes that a member or item of a collection begins in a column. `inline`: behind a dash on the same line.
    fn enter(&mut self, column: usize, kind: Kind, inline: bool) -> Option<()> {
        let top = *self.open.last()?;
        if top.column == column && !inline {
            if top.kind == kind {
                return Some(());
            }
            let below = self.open.len().checked_sub(2).and_then(|index| self.open.get(index));
            if top.kind == Kind::Sequence && below.is_some_and(|below| below.column == column) {
                // The list of a member may be in the column of its key; this is the next member.
                self.open.pop();
                return Some(());
            }
            if top.kind == Kind::Sequence || !self.pending {
                return None;
            }
        } else if top.column >= column || !self.pending {
            return None;
        }
        self.open.push(Open { column, kind });
        Some(())
    }

    /// What follows a key or a dash. `column` is that of the collection.
    fn value(&mut self, column: usize, value: &str, lines: &mut Lines<'_>) -> Option<()> {
        match value.as_bytes().first() {
            None | Some(b'#') => {
                self.pending = true;
                Some(())
            }
            Some(b'|' | b'>') => block(column, value, lines),
            Some(b'"' | b'\'') => is_end(&value[quoted(value)?..]).then_some(()),
            Some(b'{') => value.strip_prefix("{}").filter(|rest| is_end(rest)).map(drop),
            Some(b'[') => value.strip_prefix("[]").filter(|rest| is_end(rest)).map(drop),
            _ => plain(value),
        }
    }
}

/// How many spaces a line begins with.
fn indent(line: &str) -> usize {
    line.bytes().take_while(|byte| *byte == b' ').count()
}

fn is_item(content: &str) -> bool {
    matches!(content.as_bytes(), [b'-'] | [b'-', b' ', ..])
}

fn without_spaces(text: &str) -> &str {
    &text[indent(text)..]
}

fn without_end_spaces(text: &str) -> &str {
    let spaces = text.bytes().rev().take_while(|byte| *byte == b' ').count();
    &text[..text.len() - spaces]
}

/// What stands on a line, behind its dashes.
enum Content<'a> {
    Member { key: &'a str, value: &'a str },
    Scalar,
}

fn look(content: &str) -> Option<Content<'_>> {
    let bytes = content.as_bytes();
    // Nearly all lines begin with a simple key.
    let simple = bytes.iter().position(|byte| !SIMPLE[*byte as usize]).unwrap_or(bytes.len());
    if is_key_end(bytes, simple) {
        let (key, value) = (&content[..simple], &content[simple + 1..]);
        return is_simple_key(key).then(|| Content::Member { key, value: without_spaces(value) });
    }
    if let [b'"' | b'\'', ..] = bytes {
        let (key, rest) = content.split_at_checked(quoted(content)?)?;
        let Some(value) = rest.strip_prefix(':') else { return Some(Content::Scalar) };
        let good = value.is_empty() || value.starts_with(' ');
        return good.then(|| Content::Member { key, value: without_spaces(value) });
    }
    // Any other key is left to the reader.
    (!memchr_iter(b':', bytes).any(|index| is_key_end(bytes, index))).then_some(Content::Scalar)
}

/// Whether a colon here ends a key.
fn is_key_end(bytes: &[u8], index: usize) -> bool {
    matches!(bytes.get(index..), Some([b':'] | [b':', b' ', ..]))
}

/// The bytes of simple keys.
const SIMPLE: [bool; 256] = {
    let mut simple = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        simple[byte] =
            (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'_' | b'-' | b'.' | b'/');
        byte += 1;
    }
    simple
};

/// Whether a key of simple bytes is a text.
fn is_simple_key(key: &str) -> bool {
    key.len() <= LONGEST_KEY
        && key.starts_with(|first: char| first.is_ascii_alphabetic())
        // What stands for something else than a text is short where it begins with a letter: false, null.
        && (key.len() > 5 || is_plain_key(key, Style::Plain))
}

/// Whether nothing but a comment follows.
fn is_end(rest: &str) -> bool {
    let trimmed = without_spaces(rest);
    trimmed.is_empty() || trimmed.starts_with('#') && trimmed.len() < rest.len()
}

/// Where a quoted text of one line ends.
fn quoted(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = *bytes.first()?;
    let mut index = 1;
    loop {
        let rest = bytes.get(index..)?;
        let found = if quote == b'"' { memchr2(quote, b'\\', rest)? } else { memchr(quote, rest)? };
        index += found;
        if bytes[index] == b'\\' {
            if !b"\"\\/nt".contains(bytes.get(index + 1)?) {
                return None;
            }
            index += 2;
        } else if quote == b'\'' && bytes.get(index + 1) == Some(&quote) {
            index += 2;
        } else {
            return Some(index + 1);
        }
    }
}

fn without_comment(value: &str) -> &str {
    let bytes = value.as_bytes();
    let comment = memchr_iter(b'#', bytes).find(|index| *index > 0 && bytes[index - 1] == b' ');
    comment.map_or(value, |comment| without_end_spaces(&value[..comment]))
}

fn plain(value: &str) -> Option<()> {
    let text = without_comment(value);
    let bytes = text.as_bytes();
    let begins = match *bytes.first()? {
        b'-' => bytes.get(1).is_some_and(|next| *next != b' '),
        first => !first.is_ascii() || first.is_ascii_alphanumeric() || b"_/.($+~".contains(&first),
    };
    // A colon may stand within a word only.
    let ends_key = |index: usize| bytes.get(index + 1).is_none_or(|next| *next == b' ');
    (begins && !memchr_iter(b':', bytes).any(ends_key) && is_plain_value(text, Style::Plain)).then_some(())
}

/// Passes over a block scalar whose header has no numbers.
fn block(column: usize, header: &str, lines: &mut Lines<'_>) -> Option<()> {
    let rest = header[1..].trim_start_matches(['+', '-']);
    if !is_end(rest) || header.len() - rest.len() > 2 {
        return None;
    }
    let mut depth = None;
    let mut widest = 0;
    while let Some((_, line)) = lines.peek() {
        let indent = indent(line);
        if indent == line.len() {
            widest = widest.max(indent);
        } else {
            let depth = match depth {
                Some(depth) => depth,
                None if indent <= column => return Some(()),
                None if line[indent..].starts_with('\t') => return None,
                // Blank lines before the text must not be deeper than it.
                None if widest > indent => return None,
                None => *depth.insert(indent),
            };
            if indent < depth {
                // Text that is less deep than the first line, yet part of the value, is an error.
                return (indent <= column).then_some(());
            }
        }
        lines.next();
    }
    Some(())
}

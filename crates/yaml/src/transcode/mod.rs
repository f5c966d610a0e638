//! Block YAML straight to JSON, for large documents of the common form: no events, no tree.
//!
//! What is accepted here has the JSON that [`crate::read_strict`] gives it; anything else is left to the reader.

mod scalars;
#[cfg(test)]
mod tests;

use crate::scanner::Style;
use crate::skim::is_plain_key;

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

//! Comments and the tokens that they belong to, as yaml.v3 sees it: above, beside or below a node.

use super::{Mark, Scanner, TokenKind};

/// The comments of a node, each with its `#`, lines separated by breaks; and what else only matters when the node
/// is written as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comments {
    /// Above the node.
    pub head: String,
    /// On the line of the node.
    pub line: String,
    /// Below the node.
    pub foot: String,
    /// Those of the document, if the node is its root.
    pub document: Option<Box<Comments>>,
    /// The tag as written, of a collection or if YAML does not know it.
    pub tag: Option<Box<str>>,
    /// The name under which the node can be referred to.
    pub anchor: Option<Box<str>>,
    /// The anchor that stands here in the place of a node.
    pub alias: Option<Box<str>>,
}

impl Comments {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.line.is_empty() && self.foot.is_empty()
    }
}

/// A comment that waits for its token.
#[derive(Default)]
struct Waiting {
    /// Where the search for the next token began.
    scan: usize,
    /// The first token from here on takes the comment.
    token: usize,
    /// Where it starts; the column from 1.
    start: Mark,
    end: usize,
    text: Comments,
}

/// What a scanner that keeps comments has found.
#[derive(Default)]
pub(super) struct Found {
    waiting: Vec<Waiting>,
    /// How many of them have been handed out.
    taken: usize,
    /// For the next event.
    next: Comments,
    /// For the collection that begins below a dash.
    stem: Option<String>,
}

fn append(text: &mut String, more: &str) {
    if more.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(more);
}

impl Scanner<'_> {
    /// How many lines have ended since the last character that is no blank.
    fn breaks_before(&self) -> usize {
        let before = self.bytes.get(..self.mark.offset).unwrap_or_default();
        let blank = before.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        let from = before.len() - blank.count();
        String::from_utf8_lossy(&before[from..]).replace("\r\n", "\n").matches(['\n', '\r']).count()
    }

    /// A comment on the same line, for the token at a place.
    pub(super) fn scan_line_comment(&mut self, token: Mark) {
        if self.comments.is_none() || self.breaks_before() > 0 {
            return;
        }
        let mut ahead = 0;
        while self.is_blank(ahead) {
            ahead += 1;
        }
        if self.byte(ahead) != b'#' {
            return;
        }
        self.skip_ascii(ahead);
        let start = self.mark;
        while !self.is_breakz(0) {
            self.skip();
        }
        let text = Comments { line: self.slice(start.offset).to_owned(), ..Comments::default() };
        if let Some(found) = &mut self.comments {
            found.waiting.push(Waiting { token: token.index, start, text, ..Waiting::default() });
        }
    }

    /// A comment behind the dash of a sequence's first element heads what follows.
    pub(super) fn lift_comment_behind_dash(&mut self) {
        let (Some(found), [.., before, last]) = (&mut self.comments, self.tokens.make_contiguous()) else {
            return;
        };
        let at_dash = matches!(before.kind, TokenKind::BlockSequenceStart)
            && matches!(last.kind, TokenKind::BlockEntry);
        let at_break = matches!(self.bytes.get(self.mark.offset), Some(b'\r' | b'\n'));
        let Some(comment) = found.waiting.last_mut().filter(|_| at_dash && !at_break) else { return };
        if !comment.text.line.is_empty() {
            comment.text.head = std::mem::take(&mut comment.text.line);
            if comment.start.line + 1 == self.mark.line {
                comment.token = self.mark.index;
            }
        }
    }

    /// The comments from here on, up to the next token: some are feet of what came before.
    pub(super) fn scan_comments(&mut self, scan_from: Mark) {
        let last = match self.tokens.len().checked_sub(2) {
            Some(at) if matches!(self.tokens.back().map(|last| &last.kind), Some(TokenKind::FlowEntry)) => {
                self.tokens.get(at)
            }
            _ => self.tokens.back(),
        };
        let mut token = last.map_or(0, |last| last.start.index);
        let after_colon = matches!(last.map(|last| &last.kind), Some(TokenKind::Value));
        let mut scan = scan_from.index;
        let breaks = self.breaks_before();
        let mut next_indent = self.indent.max(0) as usize;
        let mut recent_empty = false;
        let mut first_empty = breaks <= 1;
        let (mut line, mut column) = (self.mark.line, self.mark.column);
        // Where a foot of the content before has to start.
        let foot_line = (scan_from.line > 0).then(|| {
            let below = self.mark.line as isize - breaks as isize + 1;
            below + isize::from(breaks == 0 && self.mark.column > 1)
        });
        let mut text = String::new();
        let mut start = Mark::default();
        let mut ahead = 0;
        while ahead < 512 {
            column += 1;
            if self.is_blank(ahead) {
                ahead += 1;
                continue;
            }
            let byte = self.byte(ahead);
            let here = self.mark.index + ahead;
            let dedented = start.column < next_indent + 1;
            let close_flow = self.flow_level > 0 && matches!(byte, b']' | b'}');
            if close_flow || self.is_breakz(ahead) {
                let is_foot = close_flow
                    || (first_empty
                        && ((foot_line == Some(start.line as isize) && !after_colon) || dedented));
                if is_foot && !text.is_empty() {
                    if dedented {
                        token = start.index;
                    }
                    self.push_foot(&mut text, scan, token, start, here);
                    (scan, token) = (here, here);
                } else if !is_foot && !recent_empty && !text.is_empty() && byte != 0 {
                    text.push('\n');
                }
                if !self.is_break(ahead) {
                    break;
                }
                first_empty = false;
                recent_empty = true;
                column = 0;
                line += 1;
                ahead += 1;
                continue;
            }
            if !text.is_empty() && column < next_indent + 1 && column != start.column {
                self.push_foot(&mut text, scan, token, start, here);
                (scan, token) = (here, here);
            }
            if byte != b'#' {
                break;
            }
            if text.is_empty() {
                start = Mark { offset: self.mark.offset + ahead, index: here, line, column };
            } else {
                text.push('\n');
            }
            recent_empty = false;
            while self.mark.index < here {
                if self.is_break(0) { self.skip_line() } else { self.skip() }
            }
            let from = self.mark.offset;
            while !self.is_breakz(0) {
                self.skip();
            }
            text.push_str(self.slice(from));
            // The break behind the comment is stepped over unseen.
            ahead = 1;
            column = 0;
            line = self.mark.line;
            next_indent = self.indent.max(0) as usize;
        }
        if text.is_empty() {
            return;
        }
        let end = (self.mark.index + ahead).saturating_sub(1);
        if let Some(found) = &mut self.comments {
            let text = Comments { head: text, ..Comments::default() };
            found.waiting.push(Waiting { scan, token: start.index, start, end, text });
        }
    }

    fn push_foot(&mut self, text: &mut String, scan: usize, token: usize, start: Mark, end: usize) {
        let text = Comments { foot: std::mem::take(text), ..Comments::default() };
        if let Some(found) = &mut self.comments {
            found.waiting.push(Waiting { scan, token, start, end, text });
        }
    }

    /// Where a block ends: before the comments that are indented as its parent.
    pub(super) fn end_of_block(&self, mut mark: Mark) -> Mark {
        let Some(found) = &self.comments else { return mark };
        let mut stop = mark.index;
        for comment in found.waiting.iter().rev() {
            if comment.end < stop {
                break;
            }
            if comment.start.column as isize == self.indent + 1 {
                mark = comment.start;
            }
            stop = comment.scan;
        }
        mark
    }

    /// Gathers the comments that belong to the head token or what is before it.
    pub(super) fn unfold_comments(&mut self) {
        let (Some(found), Some(token)) = (&mut self.comments, self.tokens.front()) else { return };
        while let Some(comment) = found.waiting.get_mut(found.taken) {
            let ends = matches!(token.kind, TokenKind::BlockEnd);
            if token.start.index < comment.token || (ends && !comment.text.head.is_empty()) {
                break;
            }
            let text = std::mem::take(comment).text;
            append(&mut found.next.head, &text.head);
            append(&mut found.next.foot, &text.foot);
            append(&mut found.next.line, &text.line);
            found.taken += 1;
        }
    }

    /// The comments for an event.
    pub(crate) fn take_comments(&mut self) -> Option<Box<Comments>> {
        let found = self.comments.as_mut()?;
        found.stem = None;
        let comments = std::mem::take(&mut found.next);
        (!comments.is_empty()).then(|| Box::new(comments))
    }

    /// The comment above the dash before a collection.
    pub(crate) fn take_stem(&mut self) -> Option<Box<Comments>> {
        let head = self.comments.as_mut()?.stem.take()?;
        Some(Box::new(Comments { head, ..Comments::default() }))
    }

    /// How much of a comment stands above what comes.
    pub(crate) fn head_length(&self) -> usize {
        self.comments.as_ref().map_or(0, |found| found.next.head.len())
    }

    /// Sets the comment above a dash aside if a block collection begins behind it.
    pub(crate) fn split_stem(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        let starts = matches!(
            self.peek().map(|token| &token.kind),
            Ok(TokenKind::BlockSequenceStart | TokenKind::BlockMappingStart)
        );
        let Some(found) = self.comments.as_mut().filter(|_| starts) else { return };
        let rest = found.next.head.get(length + 1..).unwrap_or_default().to_owned();
        found.next.head.truncate(length);
        found.stem = Some(std::mem::replace(&mut found.next.head, rest));
    }

    /// The comment above a document: what stands before the last empty line.
    pub(crate) fn take_document_head(&mut self) -> Option<Box<Comments>> {
        let found = self.comments.as_mut()?;
        let head = &found.next.head;
        let bytes = head.as_bytes();
        let at = (1..bytes.len())
            .rev()
            .find(|at| bytes[*at] == b'\n' && (at + 1 == bytes.len() || bytes[at - 1] == b'\n'))?;
        let end = if at + 1 == bytes.len() { at } else { at - 1 };
        let document = head[..end].to_owned();
        let rest = head[at + 1..].to_owned();
        found.next.head = rest;
        (!document.is_empty()).then(|| Box::new(Comments { head: document, ..Comments::default() }))
    }
}

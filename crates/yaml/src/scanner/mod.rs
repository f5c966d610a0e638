//! Characters to tokens, by the rules of the libyaml family that the Go libraries belong to.

mod block;
mod comments;
mod plain;
mod quoted;
mod tag;

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::error::{Origin, Problem};
use crate::read::Dialect;

pub use comments::Comments;

/// A place in the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Offset in bytes.
    pub offset: usize,
    /// Offset in characters.
    pub index: usize,
    /// Line, from 0.
    pub line: usize,
    /// Column in characters, from 0.
    pub column: usize,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    #[default]
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// A literal block (`|`).
    Literal,
    /// A folded block (`>`).
    Folded,
}

#[derive(Debug)]
pub(crate) enum TokenKind<'a> {
    StreamStart,
    StreamEnd,
    VersionDirective { major: u8, minor: u8 },
    TagDirective { handle: &'a str, prefix: Cow<'a, str> },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'a str),
    Anchor(&'a str),
    Tag { handle: &'a str, suffix: Cow<'a, str> },
    Scalar { value: Cow<'a, str>, style: Style },
}

#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind<'a>,
    pub(crate) start: Mark,
    pub(crate) end: Mark,
}

#[derive(Clone, Copy)]
struct SimpleKey {
    possible: bool,
    required: bool,
    token_number: usize,
    mark: Mark,
}

/// Collections within collections: deeper nesting than this is refused, since everything that walks the tree recurses.
pub const MAX_DEPTH: usize = 512;

pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    mark: Mark,
    flow_level: usize,
    indent: isize,
    indents: Vec<isize>,
    simple_key_allowed: bool,
    simple_keys: Vec<SimpleKey>,
    /// Token number to index in `simple_keys`: the head token that may still become a key.
    pending_keys: VecDeque<(usize, usize)>,
    tokens: VecDeque<Token<'a>>,
    tokens_parsed: usize,
    token_available: bool,
    started: bool,
    /// yaml.v3 reads two tokens ahead for the sake of comments; it shows in a few odd inputs.
    lookahead: usize,
    /// Present if comments are kept.
    comments: Option<Box<comments::Found>>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            mark: Mark::default(),
            flow_level: 0,
            indent: -1,
            indents: Vec::new(),
            simple_key_allowed: true,
            simple_keys: Vec::new(),
            pending_keys: VecDeque::new(),
            tokens: VecDeque::new(),
            tokens_parsed: 0,
            token_available: false,
            started: false,
            lookahead: match dialect {
                Dialect::Sigs => 0,
                Dialect::V3 => 2,
            },
            comments: None,
        }
    }

    /// Hands out comments with the events.
    pub(crate) fn keep_comments(&mut self) {
        self.comments = Some(Box::default());
    }

    /// The head token, fetched if need be.
    pub(crate) fn peek(&mut self) -> Result<&Token<'a>, Problem> {
        if !self.token_available {
            self.fetch_more_tokens()?;
        }
        if self.comments.is_some() {
            self.unfold_comments();
        }
        self.tokens.front().ok_or_else(|| self.problem(self.mark, "attempted to go past the end of stream"))
    }

    pub(crate) fn next(&mut self) -> Result<Token<'a>, Problem> {
        self.peek()?;
        self.token_available = false;
        self.tokens_parsed += 1;
        self.tokens
            .pop_front()
            .ok_or_else(|| self.problem(self.mark, "attempted to go past the end of stream"))
    }

    fn problem(&self, context: Mark, problem: &'static str) -> Problem {
        Problem {
            origin: Origin::Scanner,
            problem: problem.into(),
            context: Some(context),
            mark: Some(self.mark),
        }
    }

    /// The byte `ahead` of here, 0 past the end.
    #[inline]
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.mark.offset + ahead).copied().unwrap_or(0)
    }

    /// Length in bytes of the line break that starts `ahead` of here; 0 if there is none.
    #[inline]
    fn break_at(&self, ahead: usize) -> usize {
        match self.byte(ahead) {
            b'\r' | b'\n' => 1,
            0xC2 if self.byte(ahead + 1) == 0x85 => 2,
            0xE2 if self.byte(ahead + 1) == 0x80 && matches!(self.byte(ahead + 2), 0xA8 | 0xA9) => 3,
            _ => 0,
        }
    }

    #[inline]
    fn is_break(&self, ahead: usize) -> bool {
        self.break_at(ahead) > 0
    }

    #[inline]
    fn is_end(&self) -> bool {
        self.mark.offset >= self.bytes.len()
    }

    #[inline]
    fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    #[inline]
    fn is_breakz(&self, ahead: usize) -> bool {
        self.byte(ahead) == 0 || self.is_break(ahead)
    }

    #[inline]
    fn is_blankz(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_breakz(ahead)
    }

    #[inline]
    fn width(byte: u8) -> usize {
        match byte {
            0..=0xBF => 1,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
        }
    }

    /// Step over one character that is no line break.
    #[inline]
    fn skip(&mut self) {
        self.mark.offset += Self::width(self.byte(0));
        self.mark.index += 1;
        self.mark.column += 1;
    }

    /// Step over `count` characters of one byte each.
    #[inline]
    fn skip_ascii(&mut self, count: usize) {
        self.mark.offset += count;
        self.mark.index += count;
        self.mark.column += count;
    }

    /// Step over a line break, if there is one.
    fn skip_line(&mut self) {
        let length = self.break_at(0);
        if length == 0 {
            return;
        }
        if self.byte(0) == b'\r' && self.byte(1) == b'\n' {
            self.mark.offset += 2;
            self.mark.index += 2;
        } else {
            self.mark.offset += length;
            self.mark.index += 1;
        }
        self.mark.column = 0;
        self.mark.line += 1;
    }

    /// Append a character and step over it.
    #[inline]
    fn read(&mut self, out: &mut String) {
        let start = self.mark.offset;
        self.skip();
        if let Some(text) = self.text.get(start..self.mark.offset) {
            out.push_str(text);
        }
    }

    /// Append a line break in normal form and step over it.
    fn read_line(&mut self, out: &mut String) {
        match self.byte(0) {
            b'\r' | b'\n' | 0xC2 => out.push('\n'),
            _ => {
                let start = self.mark.offset;
                if let Some(text) = self.text.get(start..start + 3) {
                    out.push_str(text);
                }
            }
        }
        self.skip_line();
    }

    fn slice(&self, start: usize) -> &'a str {
        self.text.get(start..self.mark.offset).unwrap_or("")
    }

    fn fetch_more_tokens(&mut self) -> Result<(), Problem> {
        loop {
            if self.tokens.len() > self.lookahead {
                // Numbers grow: what stood before the next token is no key any more.
                while self.pending_keys.front().is_some_and(|(number, _)| *number < self.tokens_parsed) {
                    self.pending_keys.pop_front();
                }
                let Some(&(number, index)) = self.pending_keys.front() else { break };
                if number != self.tokens_parsed {
                    break;
                }
                if !self.key_is_valid(index)? {
                    break;
                }
            } else if matches!(self.tokens.back(), Some(Token { kind: TokenKind::StreamEnd, .. })) {
                break;
            }
            self.fetch_next_token()?;
        }
        self.token_available = true;
        Ok(())
    }

    fn fetch_next_token(&mut self) -> Result<(), Problem> {
        if !self.started {
            self.started = true;
            self.simple_keys.push(SimpleKey {
                possible: false,
                required: false,
                token_number: 0,
                mark: self.mark,
            });
            self.push(TokenKind::StreamStart, self.mark, self.mark);
            return Ok(());
        }
        let before = self.mark;
        self.scan_to_next_token();
        self.unroll_indent(self.mark.column as isize, before);
        if self.is_end() {
            return self.fetch_stream_end();
        }
        let byte = self.byte(0);
        if self.mark.column == 0 {
            if byte == b'%' {
                return self.fetch_directive();
            }
            if self.at_document_indicator() {
                let kind = if byte == b'-' { TokenKind::DocumentStart } else { TokenKind::DocumentEnd };
                return self.fetch_document_indicator(kind);
            }
        }
        if self.comments.is_none() {
            return self.fetch_content(byte);
        }
        let belongs_before = byte == if self.flow_level == 0 { b':' } else { b',' };
        let token = self.tokens.back().filter(|_| belongs_before).map_or(self.mark, |last| last.start);
        self.fetch_content(byte)?;
        // Behind a dash it heads what follows.
        if !matches!(self.tokens.back(), Some(Token { kind: TokenKind::BlockEntry, .. })) {
            self.scan_line_comment(token);
        }
        Ok(())
    }

    fn fetch_content(&mut self, byte: u8) -> Result<(), Problem> {
        let in_flow = self.flow_level > 0;
        match byte {
            b'[' => self.fetch_flow_start(TokenKind::FlowSequenceStart),
            b'{' => self.fetch_flow_start(TokenKind::FlowMappingStart),
            b']' => self.fetch_flow_end(TokenKind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(TokenKind::FlowMappingEnd),
            b',' => {
                self.remove_simple_key()?;
                self.simple_key_allowed = true;
                self.push_indicator(TokenKind::FlowEntry);
                Ok(())
            }
            b'-' if self.is_blankz(1) => self.fetch_block_entry(),
            b'?' if in_flow || self.is_blankz(1) => self.fetch_key(),
            b':' if in_flow || self.is_blankz(1) => self.fetch_value(),
            b'*' => self.fetch_anchor(true),
            b'&' => self.fetch_anchor(false),
            b'!' => {
                self.save_simple_key()?;
                self.simple_key_allowed = false;
                self.scan_tag()
            }
            b'|' | b'>' if !in_flow => {
                self.remove_simple_key()?;
                self.simple_key_allowed = true;
                self.scan_block_scalar(byte == b'|')
            }
            b'\'' | b'"' => {
                self.save_simple_key()?;
                self.simple_key_allowed = false;
                self.scan_quoted_scalar(byte == b'\'')
            }
            _ if self.may_start_plain(byte) => {
                self.save_simple_key()?;
                self.simple_key_allowed = false;
                self.scan_plain_scalar()
            }
            _ => Err(self.problem(self.mark, "found character that cannot start any token")),
        }
    }

    fn may_start_plain(&self, byte: u8) -> bool {
        match byte {
            b'-' => !self.is_blank(1),
            b'?' | b':' => self.flow_level == 0 && !self.is_blankz(1),
            b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"'
            | b'%' | b'@' | b'`' => false,
            _ => !self.is_blankz(0),
        }
    }

    fn at_document_indicator(&self) -> bool {
        let byte = self.byte(0);
        (byte == b'-' || byte == b'.') && self.byte(1) == byte && self.byte(2) == byte && self.is_blankz(3)
    }

    fn push(&mut self, kind: TokenKind<'a>, start: Mark, end: Mark) {
        self.tokens.push_back(Token { kind, start, end });
    }

    fn push_indicator(&mut self, kind: TokenKind<'a>) {
        let start = self.mark;
        self.skip();
        self.push(kind, start, self.mark);
    }

    fn forget_pending(&mut self, token_number: usize) {
        self.pending_keys.retain(|(number, _)| *number != token_number);
    }

    fn key_is_valid(&mut self, index: usize) -> Result<bool, Problem> {
        let Some(key) = self.simple_keys.get(index).copied() else { return Ok(false) };
        if !key.possible {
            return Ok(false);
        }
        if key.mark.line < self.mark.line || key.mark.index + 1024 < self.mark.index {
            if key.required {
                return Err(self.problem(key.mark, "could not find expected ':'"));
            }
            self.simple_keys[index].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    fn save_simple_key(&mut self) -> Result<(), Problem> {
        if !self.simple_key_allowed {
            return Ok(());
        }
        let required = self.flow_level == 0 && self.indent == self.mark.column as isize;
        self.remove_simple_key()?;
        let token_number = self.tokens_parsed + self.tokens.len();
        let index = self.simple_keys.len() - 1;
        self.simple_keys[index] = SimpleKey { possible: true, required, token_number, mark: self.mark };
        self.forget_pending(token_number);
        self.pending_keys.push_back((token_number, index));
        Ok(())
    }

    fn remove_simple_key(&mut self) -> Result<(), Problem> {
        let index = self.simple_keys.len() - 1;
        let key = self.simple_keys[index];
        if key.possible {
            if key.required {
                return Err(self.problem(key.mark, "could not find expected ':'"));
            }
            self.simple_keys[index].possible = false;
            self.forget_pending(key.token_number);
        }
        Ok(())
    }

    fn roll_indent(
        &mut self,
        column: usize,
        number: Option<usize>,
        kind: TokenKind<'a>,
        mark: Mark,
    ) -> Result<(), Problem> {
        if self.flow_level > 0 || self.indent >= column as isize {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column as isize;
        if self.indents.len() > MAX_DEPTH {
            return Err(self.problem(mark, "exceeded max depth of 512"));
        }
        let token = Token { kind, start: mark, end: mark };
        match number {
            Some(number) => self.insert(number, token),
            None => self.tokens.push_back(token),
        }
        Ok(())
    }

    /// Puts a token before the one with this number; behind all if that one is gone already.
    fn insert(&mut self, number: usize, token: Token<'a>) {
        match number.checked_sub(self.tokens_parsed) {
            Some(at) if at <= self.tokens.len() => self.tokens.insert(at, token),
            _ => self.tokens.push_back(token),
        }
    }

    fn unroll_indent(&mut self, column: isize, before: Mark) {
        if self.flow_level > 0 {
            return;
        }
        // yaml.v3 places the end of a block before the blanks that follow it.
        let mut mark = if self.lookahead > 0 { before } else { self.mark };
        if self.comments.is_some() {
            mark.index = mark.index.saturating_sub(1);
        }
        while self.indent > column {
            mark = self.end_of_block(mark);
            self.push(TokenKind::BlockEnd, mark, mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn fetch_stream_end(&mut self) -> Result<(), Problem> {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
        self.unroll_indent(-1, self.mark);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        self.push(TokenKind::StreamEnd, self.mark, self.mark);
        Ok(())
    }

    fn fetch_document_indicator(&mut self, kind: TokenKind<'a>) -> Result<(), Problem> {
        self.unroll_indent(-1, self.mark);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        self.skip_ascii(3);
        self.push(kind, start, self.mark);
        Ok(())
    }

    fn fetch_flow_start(&mut self, kind: TokenKind<'a>) -> Result<(), Problem> {
        self.save_simple_key()?;
        self.simple_keys.push(SimpleKey {
            possible: false,
            required: false,
            token_number: self.tokens_parsed + self.tokens.len(),
            mark: self.mark,
        });
        self.flow_level += 1;
        if self.flow_level > MAX_DEPTH {
            return Err(self.problem(self.mark, "exceeded max depth of 512"));
        }
        self.simple_key_allowed = true;
        self.push_indicator(kind);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: TokenKind<'a>) -> Result<(), Problem> {
        self.remove_simple_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            if let Some(last) = self.simple_keys.pop() {
                self.forget_pending(last.token_number);
            }
        }
        self.simple_key_allowed = false;
        self.push_indicator(kind);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), Problem> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(self.problem(self.mark, "block sequence entries are not allowed in this context"));
            }
            self.roll_indent(self.mark.column, None, TokenKind::BlockSequenceStart, self.mark)?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.push_indicator(TokenKind::BlockEntry);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Problem> {
        if self.flow_level == 0 {
            if !self.simple_key_allowed {
                return Err(self.problem(self.mark, "mapping keys are not allowed in this context"));
            }
            self.roll_indent(self.mark.column, None, TokenKind::BlockMappingStart, self.mark)?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = self.flow_level == 0;
        self.push_indicator(TokenKind::Key);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), Problem> {
        let index = self.simple_keys.len() - 1;
        if self.key_is_valid(index)? {
            let key = self.simple_keys[index];
            let token = Token { kind: TokenKind::Key, start: key.mark, end: key.mark };
            self.insert(key.token_number, token);
            self.roll_indent(
                key.mark.column,
                Some(key.token_number),
                TokenKind::BlockMappingStart,
                key.mark,
            )?;
            self.simple_keys[index].possible = false;
            self.forget_pending(key.token_number);
            self.simple_key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.simple_key_allowed {
                    return Err(self.problem(self.mark, "mapping values are not allowed in this context"));
                }
                self.roll_indent(self.mark.column, None, TokenKind::BlockMappingStart, self.mark)?;
            }
            self.simple_key_allowed = self.flow_level == 0;
        }
        self.push_indicator(TokenKind::Value);
        Ok(())
    }

    fn fetch_anchor(&mut self, alias: bool) -> Result<(), Problem> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        self.skip();
        let name_start = self.mark.offset;
        while is_alpha(self.byte(0)) {
            self.skip();
        }
        let name = self.slice(name_start);
        let ends = self.is_blankz(0)
            || matches!(self.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !ends {
            return Err(self.problem(start, "did not find expected alphabetic or numeric character"));
        }
        let kind = if alias { TokenKind::Alias(name) } else { TokenKind::Anchor(name) };
        self.push(kind, start, self.mark);
        Ok(())
    }

    fn scan_to_next_token(&mut self) {
        let from = self.mark;
        loop {
            while self.byte(0) == b' '
                || (self.byte(0) == b'\t' && (self.flow_level > 0 || !self.simple_key_allowed))
            {
                self.skip_ascii(1);
            }
            if self.comments.is_some() {
                self.lift_comment_behind_dash();
                if self.byte(0) == b'#' {
                    self.scan_comments(from);
                }
            } else if self.byte(0) == b'#' {
                while !self.is_breakz(0) {
                    self.skip();
                }
            }
            if !self.is_break(0) {
                return;
            }
            self.skip_line();
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }
}

pub(crate) fn is_alpha(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Scanner, TokenKind};

    #[test]
    fn entries_of_a_long_list_are_not_remembered_as_keys() {
        let text = format!("a:\n{}", "- b\n".repeat(1000));
        let mut scanner = Scanner::new(&text, Dialect::Sigs);
        let mut entries = 0;
        loop {
            match scanner.next().expect("a token").kind {
                TokenKind::StreamEnd => break,
                TokenKind::BlockEntry => entries += 1,
                _ => {}
            }
            assert!(
                scanner.pending_keys.len() < 4,
                "{} keys after {entries} entries",
                scanner.pending_keys.len()
            );
        }
        assert_eq!(entries, 1000);
    }
}

//! From text to tokens.

use memchr::memmem::Finder;

use super::token::{Keyword, Kind, Token};

/// Splits a template into tokens. Outside of actions all is text; inside, Go's rules hold.
pub(super) struct Lexer<'t> {
    input: &'t [u8],
    left: &'t [u8],
    left_finder: Finder<'t>,
    right: &'t [u8],
    pos: usize,
    start: usize,
    parens: u32,
    inside: bool,
    /// Whether `break` and `continue` are keywords: no functions of these names exist.
    pub(super) break_is_keyword: bool,
    pub(super) continue_is_keyword: bool,
    /// What is wrong, once an error was met.
    pub(super) message: String,
}

const LEFT: &[u8] = b"{{";
const RIGHT: &[u8] = b"}}";
const SPACES: &[u8] = b" \t\r\n";
/// A trim marker and the space beside it.
const MARKER: usize = 2;

impl<'t> Lexer<'t> {
    pub(super) fn new(input: &'t [u8], left: &'t [u8], right: &'t [u8]) -> Self {
        let left = if left.is_empty() { LEFT } else { left };
        let right = if right.is_empty() { RIGHT } else { right };
        Self {
            input,
            left,
            left_finder: Finder::new(left),
            right,
            pos: 0,
            start: 0,
            parens: 0,
            inside: false,
            break_is_keyword: true,
            continue_is_keyword: true,
            message: String::new(),
        }
    }

    pub(super) fn next_token(&mut self) -> Token<'t> {
        if self.inside { self.inside_action() } else { self.text() }
    }

    /// How far the input was read.
    pub(super) fn position(&self) -> usize {
        self.pos
    }

    /// Right behind a left delimiter: what stands before the right delimiter, unless it is quoted strangely. Nothing where
    /// delimiters are unusual: such may look like what they delimit.
    pub(super) fn upcoming(&self) -> Option<&'t [u8]> {
        if self.right != RIGHT {
            return None;
        }
        let rest = self.rest();
        let mut at = 0;
        loop {
            at += memchr::memchr3(b'}', b'"', b'`', &rest[at..])?;
            match rest[at] {
                b'`' => at += 1 + memchr::memchr(b'`', &rest[at + 1..])?,
                b'"' => at += closing_quote(&rest[at..])?,
                _ if rest[at..].starts_with(RIGHT) => return Some(&rest[..at]),
                _ => {}
            }
            at += 1;
        }
    }

    /// Whether the next word begins as a definition does.
    pub(super) fn may_define(&self) -> bool {
        self.rest()[leading_spaces(self.rest())..].starts_with(b"define")
    }

    /// Passes over what is upcoming, if it is known to be a whole action; gives the delimiter behind it.
    pub(super) fn pass(&mut self, upcoming: &[u8]) -> Token<'t> {
        let marker = if matches!(upcoming, [.., space, b'-'] if SPACES.contains(space)) { MARKER } else { 0 };
        self.pos += upcoming.len() - marker;
        self.ignore();
        self.right_delimiter()
    }

    fn rest(&self) -> &'t [u8] {
        &self.input[self.pos..]
    }

    fn token(&mut self, kind: Kind) -> Token<'t> {
        let token = Token { kind, pos: self.start, text: &self.input[self.start..self.pos] };
        self.start = self.pos;
        token
    }

    /// Skips what was read without being taken.
    fn ignore(&mut self) {
        self.start = self.pos;
    }

    /// An error ends the input: nothing follows it.
    fn error(&mut self, message: impl Into<String>) -> Token<'t> {
        let token = Token { kind: Kind::Error, pos: self.start, text: b"" };
        self.message = message.into();
        self.pos = self.start;
        self.input = &self.input[..self.start];
        self.inside = false;
        token
    }

    fn peek(&self) -> Option<char> {
        first_char(self.rest()).map(|(c, _)| c)
    }

    fn next(&mut self) -> Option<char> {
        let (c, width) = first_char(self.rest())?;
        self.pos += width;
        Some(c)
    }

    fn text(&mut self) -> Token<'t> {
        loop {
            let Some(at) = self.left_finder.find(self.rest()) else {
                self.pos = self.input.len();
                if self.pos > self.start {
                    return self.token(Kind::Text);
                }
                return self.token(Kind::End);
            };
            if at > 0 {
                let delimiter = self.pos + at;
                let mut end = delimiter;
                if trims_left(&self.input[delimiter + self.left.len()..]) {
                    end = self.start + trimmed_end(&self.input[self.start..delimiter]).len();
                }
                self.pos = end;
                let token = self.token(Kind::Text);
                self.pos = delimiter;
                self.ignore();
                if !token.text.is_empty() {
                    return token;
                }
            }
            if let Some(token) = self.left_delimiter() {
                return token;
            }
        }
    }

    /// The delimiter, or nothing where a comment was skipped.
    fn left_delimiter(&mut self) -> Option<Token<'t>> {
        self.pos += self.left.len();
        let marker = if trims_left(self.rest()) { MARKER } else { 0 };
        if self.rest()[marker..].starts_with(b"/*") {
            self.pos += marker;
            self.ignore();
            return self.comment();
        }
        let token = self.token(Kind::LeftDelimiter);
        self.inside = true;
        self.pos += marker;
        self.ignore();
        self.parens = 0;
        Some(token)
    }

    fn comment(&mut self) -> Option<Token<'t>> {
        let Some(end) = find(&self.rest()[2..], b"*/") else {
            return Some(self.error("unclosed comment"));
        };
        self.pos += 2 + end + 2;
        let Some(trim) = self.at_right_delimiter() else {
            return Some(self.error("comment ends before closing delimiter"));
        };
        self.pos += self.right.len();
        if trim {
            self.pos += MARKER;
            self.pos += leading_spaces(self.rest());
        }
        self.ignore();
        None
    }

    /// Whether the right delimiter follows, and whether it has a trim marker.
    fn at_right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if trims_right(rest) && rest[MARKER..].starts_with(self.right) {
            Some(true)
        } else if rest.starts_with(self.right) {
            Some(false)
        } else {
            None
        }
    }

    fn right_delimiter(&mut self) -> Token<'t> {
        let trim = self.at_right_delimiter() == Some(true);
        if trim {
            self.pos += MARKER;
            self.ignore();
        }
        self.pos += self.right.len();
        let token = self.token(Kind::RightDelimiter);
        if trim {
            self.pos += leading_spaces(self.rest());
            self.ignore();
        }
        self.inside = false;
        token
    }

    fn inside_action(&mut self) -> Token<'t> {
        if self.at_right_delimiter().is_some() {
            if self.parens == 0 {
                return self.right_delimiter();
            }
            return self.error("unclosed left paren");
        }
        let Some(c) = self.peek() else {
            return self.error("unclosed action");
        };
        if is_space(c) {
            return self.space();
        }
        if c == '+' || c == '-' || c.is_ascii_digit() {
            return self.number();
        }
        if is_alphanumeric(c) {
            return self.identifier();
        }
        self.next();
        match c {
            '=' => self.token(Kind::Assign),
            ':' => {
                if self.next() == Some('=') {
                    self.token(Kind::Declare)
                } else {
                    self.error("expected :=")
                }
            }
            '|' => self.token(Kind::Pipe),
            '"' => self.quoted(b'"', "unterminated quoted string", Kind::String),
            '\'' => self.quoted(b'\'', "unterminated character constant", Kind::CharConstant),
            '`' => self.raw(),
            '$' => self.field_or_variable(Kind::Variable),
            '.' => {
                // At the very end it is read as a number, which it is not.
                if self.rest().first().is_none_or(u8::is_ascii_digit) {
                    self.pos -= 1;
                    return self.number();
                }
                self.field_or_variable(Kind::Field)
            }
            '(' => {
                self.parens += 1;
                self.token(Kind::LeftParen)
            }
            ')' => match self.parens.checked_sub(1) {
                Some(parens) => {
                    self.parens = parens;
                    self.token(Kind::RightParen)
                }
                None => self.error("unexpected right paren"),
            },
            _ if c.is_ascii() && !c.is_ascii_control() => self.token(Kind::Char),
            _ => self.error(format!("unrecognized character in action: {}", crate::fmt::code_point(c))),
        }
    }

    fn space(&mut self) -> Token<'t> {
        let mut count = 0;
        while self.peek().is_some_and(is_space) {
            self.next();
            count += 1;
        }
        // The last space may belong to a trim marker.
        let last = &self.input[self.pos - 1..];
        if trims_right(last) && last[MARKER..].starts_with(self.right) {
            self.pos -= 1;
            if count == 1 {
                return self.right_delimiter();
            }
        }
        self.token(Kind::Space)
    }

    /// Passes over letters, digits and underscores.
    fn word(&mut self) {
        loop {
            let rest = self.rest();
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            self.pos += rest.iter().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
            if self.peek().is_none_or(|c| c.is_ascii() || !is_alphanumeric(c)) {
                return;
            }
            self.next();
        }
    }

    fn identifier(&mut self) -> Token<'t> {
        self.word();
        if !self.at_terminator() {
            return self.bad_character();
        }
        let word = &self.input[self.start..self.pos];
        let kind = match word {
            b"true" | b"false" => Kind::Bool,
            b"nil" => Kind::Nil,
            _ => match Keyword::of(word) {
                Some(Keyword::Break) if !self.break_is_keyword => Kind::Identifier,
                Some(Keyword::Continue) if !self.continue_is_keyword => Kind::Identifier,
                Some(keyword) => Kind::Keyword(keyword),
                None => Kind::Identifier,
            },
        };
        self.token(kind)
    }

    fn bad_character(&mut self) -> Token<'t> {
        let shown = match self.peek() {
            Some(c) => crate::fmt::code_point(c),
            None => "U+FFFFFFFFFFFFFFFF".to_owned(),
        };
        self.error(format!("bad character {shown}"))
    }

    /// The `.` or `$` is read.
    fn field_or_variable(&mut self, kind: Kind) -> Token<'t> {
        if self.at_terminator() {
            let bare = if kind == Kind::Variable { Kind::Variable } else { Kind::Dot };
            return self.token(bare);
        }
        self.word();
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.token(kind)
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with(self.right),
        }
    }

    /// The opening quote is read.
    fn quoted(&mut self, quote: u8, unterminated: &str, kind: Kind) -> Token<'t> {
        loop {
            let Some(at) = memchr::memchr3(quote, b'\\', b'\n', self.rest()) else {
                return self.error(unterminated);
            };
            let found = self.rest()[at];
            self.pos += at + 1;
            match found {
                b'\\' if !matches!(self.rest().first(), None | Some(b'\n')) => self.pos += 1,
                b'\\' | b'\n' => return self.error(unterminated),
                _ => return self.token(kind),
            }
        }
    }

    fn raw(&mut self) -> Token<'t> {
        let Some(at) = memchr::memchr(b'`', self.rest()) else {
            return self.error("unterminated raw quoted string");
        };
        self.pos += at + 1;
        self.token(Kind::RawString)
    }

    fn number(&mut self) -> Token<'t> {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            // 1+2i: without spaces, and an i at the end.
            if !self.scan_number() || self.input[self.pos - 1] != b'i' {
                return self.bad_number();
            }
            return self.token(Kind::Complex);
        }
        self.token(Kind::Number)
    }

    fn bad_number(&mut self) -> Token<'t> {
        let shown = crate::fmt::quoted(&self.input[self.start..self.pos]);
        self.error(format!("bad number syntax: {shown}"))
    }

    fn accept(&mut self, valid: &[u8]) -> bool {
        let found = self.rest().first().is_some_and(|byte| valid.contains(byte));
        if found {
            self.pos += 1;
        }
        found
    }

    fn accept_run(&mut self, valid: &[u8]) {
        while self.accept(valid) {}
    }

    /// Not strict: what it lets through wrongly does not parse later.
    fn scan_number(&mut self) -> bool {
        self.accept(b"+-");
        let mut digits: &[u8] = b"0123456789_";
        let mut exponent: &[u8] = b"eE";
        if self.accept(b"0") {
            if self.accept(b"xX") {
                digits = b"0123456789abcdefABCDEF_";
                exponent = b"pP";
            } else if self.accept(b"oO") {
                digits = b"01234567_";
                exponent = b"";
            } else if self.accept(b"bB") {
                digits = b"01_";
                exponent = b"";
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        if self.accept(exponent) {
            self.accept(b"+-");
            self.accept_run(b"0123456789_");
        }
        self.accept(b"i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

fn first_char(bytes: &[u8]) -> Option<(char, usize)> {
    let first = *bytes.first()?;
    if first.is_ascii() {
        return Some((char::from(first), 1));
    }
    let window = &bytes[..bytes.len().min(4)];
    let chunk = window.utf8_chunks().next()?;
    Some(match chunk.valid().chars().next() {
        Some(c) => (c, c.len_utf8()),
        None => ('\u{fffd}', 1),
    })
}

/// Where the string ends that begins here, if it does on its line.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr3(b'"', b'\\', b'\n', text.get(at..)?)?;
        match text[at] {
            b'"' => return Some(at),
            b'\n' => return None,
            _ => at += 2,
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

fn trims_left(rest: &[u8]) -> bool {
    matches!(rest, [b'-', space, ..] if SPACES.contains(space))
}

fn trims_right(rest: &[u8]) -> bool {
    matches!(rest, [space, b'-', ..] if SPACES.contains(space))
}

fn trimmed_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !SPACES.contains(byte)).map_or(0, |at| at + 1);
    &text[..end]
}

fn leading_spaces(text: &[u8]) -> usize {
    text.iter().position(|byte| !SPACES.contains(byte)).unwrap_or(text.len())
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || crate::unicode::is_letter(c) || crate::unicode::is_digit(c)
}

//! Tags and directives.

use std::borrow::Cow;

use super::{Mark, Scanner, TokenKind, is_alpha};
use crate::error::Problem;

/// A longer prefix is refused: each tag that uses it has a copy.
const LONGEST_PREFIX: usize = 1024;

impl<'a> Scanner<'a> {
    pub(super) fn fetch_directive(&mut self) -> Result<(), Problem> {
        self.unroll_indent(-1, self.mark);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        self.skip();
        let name_start = self.mark.offset;
        while is_alpha(self.byte(0)) {
            self.skip();
        }
        let name = self.slice(name_start);
        if name.is_empty() {
            return Err(self.problem(start, "could not find expected directive name"));
        }
        if !self.is_blankz(0) {
            return Err(self.problem(start, "found unexpected non-alphabetical character"));
        }
        let kind = match name {
            "YAML" => {
                self.skip_blanks();
                let major = self.version_number(start)?;
                if self.byte(0) != b'.' {
                    return Err(self.problem(start, "did not find expected digit or '.' character"));
                }
                self.skip();
                let minor = self.version_number(start)?;
                TokenKind::VersionDirective { major, minor }
            }
            "TAG" => {
                self.skip_blanks();
                let handle = self.tag_handle(true, start)?;
                if !self.is_blank(0) {
                    return Err(self.problem(start, "did not find expected whitespace"));
                }
                self.skip_blanks();
                let prefix = self.tag_uri(None, start)?;
                if !self.is_blankz(0) {
                    return Err(self.problem(start, "did not find expected whitespace or line break"));
                }
                if prefix.len() > LONGEST_PREFIX {
                    return Err(self.problem(start, "found extremely long tag prefix"));
                }
                TokenKind::TagDirective { handle, prefix }
            }
            _ => return Err(self.problem(start, "found unknown directive name")),
        };
        let end = self.mark;
        self.skip_blanks();
        if self.byte(0) == b'#' {
            while !self.is_breakz(0) {
                self.skip();
            }
        }
        if !self.is_breakz(0) {
            return Err(self.problem(start, "did not find expected comment or line break"));
        }
        self.skip_line();
        self.push(kind, start, end);
        Ok(())
    }

    fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.skip();
        }
    }

    fn version_number(&mut self, start: Mark) -> Result<u8, Problem> {
        let mut value = 0;
        let mut length = 0;
        while self.byte(0).is_ascii_digit() {
            length += 1;
            if length > 2 {
                return Err(self.problem(start, "found extremely long version number"));
            }
            value = value * 10 + (self.byte(0) - b'0');
            self.skip();
        }
        if length == 0 {
            return Err(self.problem(start, "did not find expected version number"));
        }
        Ok(value)
    }

    pub(super) fn scan_tag(&mut self) -> Result<(), Problem> {
        let start = self.mark;
        let (handle, suffix) = if self.byte(1) == b'<' {
            self.skip_ascii(2);
            let suffix = self.tag_uri(None, start)?;
            if self.byte(0) != b'>' {
                return Err(self.problem(start, "did not find the expected '>'"));
            }
            self.skip();
            ("", suffix)
        } else {
            let handle = self.tag_handle(false, start)?;
            if handle.len() > 1 && handle.ends_with('!') {
                (handle, self.tag_uri(None, start)?)
            } else {
                let suffix = self.tag_uri(Some(handle), start)?;
                if suffix.is_empty() { ("", Cow::Borrowed("!")) } else { ("!", suffix) }
            }
        };
        if !self.is_blankz(0) {
            return Err(self.problem(start, "did not find expected whitespace or line break"));
        }
        self.push(TokenKind::Tag { handle, suffix }, start, self.mark);
        Ok(())
    }

    fn tag_handle(&mut self, directive: bool, start: Mark) -> Result<&'a str, Problem> {
        if self.byte(0) != b'!' {
            return Err(self.problem(start, "did not find expected '!'"));
        }
        let from = self.mark.offset;
        self.skip();
        while is_alpha(self.byte(0)) {
            self.skip();
        }
        if self.byte(0) == b'!' {
            self.skip();
        } else if directive && self.slice(from) != "!" {
            return Err(self.problem(start, "did not find expected '!'"));
        }
        Ok(self.slice(from))
    }

    fn tag_uri(&mut self, head: Option<&'a str>, start: Mark) -> Result<Cow<'a, str>, Problem> {
        let mut found = head.is_some_and(|head| !head.is_empty());
        let mut bytes = head.and_then(|head| head.get(1..)).unwrap_or("").as_bytes().to_vec();
        loop {
            let byte = self.byte(0);
            let allowed = is_alpha(byte)
                || matches!(
                    byte,
                    b';' | b'/'
                        | b'?'
                        | b':'
                        | b'@'
                        | b'&'
                        | b'='
                        | b'+'
                        | b'$'
                        | b','
                        | b'.'
                        | b'!'
                        | b'~'
                        | b'*'
                        | b'\''
                        | b'('
                        | b')'
                        | b'['
                        | b']'
                        | b'%'
                );
            if !allowed {
                break;
            }
            if byte == b'%' {
                self.uri_escape(start, &mut bytes)?;
            } else {
                bytes.push(byte);
                self.skip();
            }
            found = true;
        }
        if !found {
            return Err(self.problem(start, "did not find expected tag URI"));
        }
        Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn uri_escape(&mut self, start: Mark, bytes: &mut Vec<u8>) -> Result<(), Problem> {
        let mut remaining = 0;
        loop {
            let high = char::from(self.byte(1)).to_digit(16);
            let low = char::from(self.byte(2)).to_digit(16);
            let (b'%', Some(high), Some(low)) = (self.byte(0), high, low) else {
                return Err(self.problem(start, "did not find URI escaped octet"));
            };
            let octet = (high * 16 + low) as u8;
            if remaining == 0 {
                remaining = match octet {
                    0..=0x7F => 1,
                    0xC0..=0xDF => 2,
                    0xE0..=0xEF => 3,
                    0xF0..=0xF7 => 4,
                    _ => return Err(self.problem(start, "found an incorrect leading UTF-8 octet")),
                };
            } else if octet & 0xC0 != 0x80 {
                return Err(self.problem(start, "found an incorrect trailing UTF-8 octet"));
            }
            bytes.push(octet);
            self.skip_ascii(3);
            remaining -= 1;
            if remaining == 0 {
                return Ok(());
            }
        }
    }
}

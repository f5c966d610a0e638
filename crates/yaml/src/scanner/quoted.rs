//! Scalars in single and double quotes.

use std::borrow::Cow;

use super::{Scanner, Style, TokenKind};
use crate::error::Problem;

impl<'a> Scanner<'a> {
    pub(super) fn scan_quoted_scalar(&mut self, single: bool) -> Result<(), Problem> {
        let start = self.mark;
        let quote = self.byte(0);
        self.skip();
        if let Some(value) = self.quoted_without_escapes(quote) {
            let style = if single { Style::Single } else { Style::Double };
            self.push(TokenKind::Scalar { value: Cow::Borrowed(value), style }, start, self.mark);
            return Ok(());
        }
        let mut text = String::new();
        let mut leading_break = String::new();
        let mut trailing_breaks = String::new();
        let mut whitespaces = String::new();
        loop {
            if self.mark.column == 0 && self.at_document_indicator() {
                return Err(self.problem(start, "found unexpected document indicator"));
            }
            // A NUL is the end to every check below: were it passed here, nothing would step over it.
            if self.byte(0) == 0 {
                return Err(self.problem(start, "found unexpected end of stream"));
            }
            let mut leading_blanks = false;
            while !self.is_blankz(0) {
                let byte = self.byte(0);
                if single && byte == b'\'' {
                    if self.byte(1) != b'\'' {
                        break;
                    }
                    text.push('\'');
                    self.skip_ascii(2);
                } else if byte == quote {
                    break;
                } else if !single && byte == b'\\' {
                    if self.is_break(1) {
                        self.skip();
                        self.skip_line();
                        leading_blanks = true;
                        break;
                    }
                    self.scan_escape(start, &mut text)?;
                } else {
                    self.read(&mut text);
                }
            }
            if self.byte(0) == quote && !self.is_end() {
                break;
            }
            while self.is_blank(0) || self.is_break(0) {
                if self.is_blank(0) {
                    if leading_blanks {
                        self.skip();
                    } else {
                        self.read(&mut whitespaces);
                    }
                } else if leading_blanks {
                    self.read_line(&mut trailing_breaks);
                } else {
                    whitespaces.clear();
                    self.read_line(&mut leading_break);
                    leading_blanks = true;
                }
            }
            if leading_blanks {
                if leading_break.starts_with('\n') {
                    if trailing_breaks.is_empty() {
                        text.push(' ');
                    } else {
                        text.push_str(&trailing_breaks);
                    }
                } else {
                    text.push_str(&leading_break);
                    text.push_str(&trailing_breaks);
                }
                trailing_breaks.clear();
                leading_break.clear();
            } else {
                text.push_str(&whitespaces);
                whitespaces.clear();
            }
        }
        self.skip();
        let style = if single { Style::Single } else { Style::Double };
        self.push(TokenKind::Scalar { value: Cow::Owned(text), style }, start, self.mark);
        Ok(())
    }

    /// The usual case: closes on the same line and holds nothing to unescape. Ends after the quote.
    fn quoted_without_escapes(&mut self, quote: u8) -> Option<&'a str> {
        let from = self.mark.offset;
        let mut length = 0;
        loop {
            match self.byte(length) {
                byte if byte == quote => break,
                0 | b'\\' | b'\r' | b'\n' | 0x80.. => return None,
                _ => length += 1,
            }
        }
        if quote == b'\'' && self.byte(length + 1) == quote {
            return None;
        }
        let value = self.text.get(from..from + length)?;
        self.skip_ascii(length + 1);
        Some(value)
    }

    fn scan_escape(&mut self, start: super::Mark, text: &mut String) -> Result<(), Problem> {
        let digits = match self.byte(1) {
            b'0' => Ok('\0'),
            b'a' => Ok('\x07'),
            b'b' => Ok('\x08'),
            b't' | b'\t' => Ok('\t'),
            b'n' => Ok('\n'),
            b'v' => Ok('\x0B'),
            b'f' => Ok('\x0C'),
            b'r' => Ok('\r'),
            b'e' => Ok('\x1B'),
            b' ' => Ok(' '),
            b'"' => Ok('"'),
            b'\'' => Ok('\''),
            b'\\' => Ok('\\'),
            b'N' => Ok('\u{85}'),
            b'_' => Ok('\u{A0}'),
            b'L' => Ok('\u{2028}'),
            b'P' => Ok('\u{2029}'),
            b'x' => Err(2),
            b'u' => Err(4),
            b'U' => Err(8),
            _ => return Err(self.problem(start, "found unknown escape character")),
        };
        self.skip_ascii(2);
        match digits {
            Ok(character) => text.push(character),
            Err(length) => {
                let mut value = 0_u64;
                for ahead in 0..length {
                    let Some(digit) = char::from(self.byte(ahead)).to_digit(16) else {
                        return Err(self.problem(start, "did not find expected hexdecimal number"));
                    };
                    value = value * 16 + u64::from(digit);
                }
                let Some(character) = u32::try_from(value).ok().and_then(char::from_u32) else {
                    return Err(self.problem(start, "found invalid Unicode character escape code"));
                };
                text.push(character);
                self.skip_ascii(length);
            }
        }
        Ok(())
    }
}

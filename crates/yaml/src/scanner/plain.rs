//! Plain scalars.

use std::borrow::Cow;

use super::{Scanner, Style, TokenKind};
use crate::error::Problem;

impl Scanner<'_> {
    pub(super) fn scan_plain_scalar(&mut self) -> Result<(), Problem> {
        let start = self.mark;
        let mut end = self.mark;
        let indent = self.indent + 1;
        let in_flow = self.flow_level > 0;
        // Most plain scalars sit on one line: those are borrowed from the input.
        let mut owned: Option<String> = None;
        let mut segment = self.mark.offset;
        let mut leading_break = String::new();
        let mut trailing_breaks = String::new();
        let mut leading_blanks = false;
        loop {
            if self.mark.column == 0 && self.at_document_indicator() {
                break;
            }
            if self.byte(0) == b'#' {
                break;
            }
            let mut consumed = false;
            while !self.is_blankz(0) {
                let byte = self.byte(0);
                if byte == b':' && self.is_blankz(1) {
                    break;
                }
                if in_flow && matches!(byte, b',' | b'?' | b'[' | b']' | b'{' | b'}') {
                    break;
                }
                if leading_blanks {
                    // A fold: join what went before with what follows.
                    let text = owned.get_or_insert_with(String::new);
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
                    leading_break.clear();
                    trailing_breaks.clear();
                    leading_blanks = false;
                    segment = self.mark.offset;
                }
                self.skip();
                consumed = true;
            }
            if consumed {
                end = self.mark;
            }
            if !(self.is_blank(0) || self.is_break(0)) {
                break;
            }
            while self.is_blank(0) || self.is_break(0) {
                if self.is_blank(0) {
                    if leading_blanks && (self.mark.column as isize) < indent && self.byte(0) == b'\t' {
                        return Err(self.problem(start, "found a tab character that violates indentation"));
                    }
                    self.skip();
                } else if leading_blanks {
                    self.read_line(&mut trailing_breaks);
                } else {
                    let text = owned.get_or_insert_with(String::new);
                    text.push_str(self.text.get(segment..end.offset).unwrap_or(""));
                    segment = end.offset;
                    self.read_line(&mut leading_break);
                    leading_blanks = true;
                }
            }
            if !in_flow && (self.mark.column as isize) < indent {
                break;
            }
        }
        let value = match owned {
            None => Cow::Borrowed(self.text.get(start.offset..end.offset).unwrap_or("")),
            Some(mut text) => {
                if !leading_blanks {
                    text.push_str(self.text.get(segment..end.offset).unwrap_or(""));
                }
                Cow::Owned(text)
            }
        };
        if leading_blanks {
            self.simple_key_allowed = true;
        }
        self.push(TokenKind::Scalar { value, style: Style::Plain }, start, end);
        Ok(())
    }
}

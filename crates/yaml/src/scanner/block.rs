//! Literal and folded block scalars.

use std::borrow::Cow;

use super::{Mark, Scanner, Style, TokenKind};
use crate::error::Problem;

#[derive(Clone, Copy, PartialEq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}

impl Scanner<'_> {
    pub(super) fn scan_block_scalar(&mut self, literal: bool) -> Result<(), Problem> {
        let start = self.mark;
        self.skip();
        let mut chomping = Chomping::Clip;
        let increment;
        // The two hints may come in either order.
        if let Some(found) = self.chomping_hint() {
            chomping = found;
            increment = self.indentation_hint(start)?;
        } else {
            increment = self.indentation_hint(start)?;
            if increment > 0
                && let Some(found) = self.chomping_hint()
            {
                chomping = found;
            }
        }
        while self.is_blank(0) {
            self.skip();
        }
        if self.byte(0) == b'#' {
            self.scan_line_comment(start);
            while !self.is_breakz(0) {
                self.skip();
            }
        }
        if !self.is_breakz(0) {
            return Err(self.problem(start, "did not find expected comment or line break"));
        }
        self.skip_line();
        let mut end = self.mark;
        let mut indent = 0;
        if increment > 0 {
            indent = if self.indent >= 0 { self.indent as usize + increment } else { increment };
        }
        let mut text = String::new();
        let mut leading_break = String::new();
        let mut trailing_breaks = String::new();
        self.scan_breaks(&mut indent, &mut trailing_breaks, start, &mut end)?;
        let mut leading_blank = false;
        while self.mark.column == indent && !self.is_end() {
            let trailing_blank = self.is_blank(0);
            if !literal && !leading_blank && !trailing_blank && leading_break.starts_with('\n') {
                if trailing_breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(&leading_break);
            }
            leading_break.clear();
            text.push_str(&trailing_breaks);
            trailing_breaks.clear();
            leading_blank = self.is_blank(0);
            let line = self.mark.offset;
            while !self.is_breakz(0) {
                self.skip();
            }
            text.push_str(self.slice(line));
            if self.is_break(0) {
                self.read_line(&mut leading_break);
            }
            self.scan_breaks(&mut indent, &mut trailing_breaks, start, &mut end)?;
        }
        if chomping != Chomping::Strip {
            text.push_str(&leading_break);
        }
        if chomping == Chomping::Keep {
            text.push_str(&trailing_breaks);
        }
        let style = if literal { Style::Literal } else { Style::Folded };
        self.push(TokenKind::Scalar { value: Cow::Owned(text), style }, start, end);
        Ok(())
    }

    fn chomping_hint(&mut self) -> Option<Chomping> {
        let chomping = match self.byte(0) {
            b'+' => Chomping::Keep,
            b'-' => Chomping::Strip,
            _ => return None,
        };
        self.skip();
        Some(chomping)
    }

    fn indentation_hint(&mut self, start: Mark) -> Result<usize, Problem> {
        let byte = self.byte(0);
        if !byte.is_ascii_digit() {
            return Ok(0);
        }
        if byte == b'0' {
            return Err(self.problem(start, "found an indentation indicator equal to 0"));
        }
        self.skip();
        Ok(usize::from(byte - b'0'))
    }

    /// Indentation and empty lines; finds the indentation where no hint gave it.
    fn scan_breaks(
        &mut self,
        indent: &mut usize,
        breaks: &mut String,
        start: Mark,
        end: &mut Mark,
    ) -> Result<(), Problem> {
        *end = self.mark;
        let mut widest = 0;
        loop {
            while (*indent == 0 || self.mark.column < *indent) && self.byte(0) == b' ' {
                self.skip_ascii(1);
            }
            widest = widest.max(self.mark.column);
            if (*indent == 0 || self.mark.column < *indent) && self.byte(0) == b'\t' {
                return Err(
                    self.problem(start, "found a tab character where an indentation space is expected")
                );
            }
            if !self.is_break(0) {
                break;
            }
            self.read_line(breaks);
            *end = self.mark;
        }
        if *indent == 0 {
            *indent = widest.max((self.indent + 1).max(1) as usize);
        }
        Ok(())
    }
}

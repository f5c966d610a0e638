//! Format strings.

use super::printer::Printer;
use super::scalar::Flags;
use crate::error::Failure;
use crate::value::Value;

/// The largest width or precision.
const LARGE: usize = 1_000_000;

/// Go's `Sprintf`.
pub(crate) fn printf(format: &[u8], args: &[Value], limit: usize) -> Result<Vec<u8>, Failure> {
    let mut formatter = Formatter {
        printer: Printer::new(limit),
        format,
        at: 0,
        args,
        next: 0,
        good: true,
        reordered: false,
        after_index: false,
    };
    formatter.run();
    formatter.printer.finish()
}

struct Formatter<'f> {
    printer: Printer,
    format: &'f [u8],
    at: usize,
    args: &'f [Value],
    next: usize,
    /// Whether the argument numbers of the current verb make sense.
    good: bool,
    reordered: bool,
    after_index: bool,
}

impl Formatter<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn run(&mut self) {
        while self.at < self.format.len() {
            let rest = &self.format[self.at..];
            let text = memchr::memchr(b'%', rest).unwrap_or(rest.len());
            self.printer.write(&rest[..text]);
            self.at += text;
            if self.at >= self.format.len() {
                break;
            }
            self.at += 1;
            if !self.verb() {
                break;
            }
        }
        if !self.reordered && self.next < self.args.len() {
            self.extra();
        }
    }

    /// Gives whether the format goes on.
    fn verb(&mut self) -> bool {
        self.good = true;
        self.after_index = false;
        self.flags();
        self.index();
        self.width();
        self.precision();
        if !self.after_index {
            self.index();
        }
        let Some((verb, width)) = self.character() else {
            self.printer.write(b"%!(NOVERB)");
            return false;
        };
        self.at += width;
        if verb == '%' {
            self.printer.write(b"%");
        } else if !self.good {
            self.complain(verb, b"(BADINDEX)");
        } else if let Some(arg) = self.args.get(self.next) {
            let flags = &mut self.printer.flags;
            if verb == 'v' || verb == 'w' {
                flags.syntax = std::mem::take(&mut flags.sharp);
                flags.names = std::mem::take(&mut flags.plus);
            }
            if verb == 'w' {
                self.printer.bad_verb(arg, verb);
            } else {
                self.printer.argument(arg, verb);
            }
            self.next += 1;
        } else {
            self.complain(verb, b"(MISSING)");
        }
        true
    }

    fn character(&self) -> Option<(char, usize)> {
        let rest = &self.format[self.at..];
        let window = &rest[..rest.len().min(4)];
        let chunk = window.utf8_chunks().next()?;
        Some(chunk.valid().chars().next().map_or(('\u{fffd}', 1), |c| (c, c.len_utf8())))
    }

    fn complain(&mut self, verb: char, what: &[u8]) {
        self.printer.write(b"%!");
        self.printer.write_char(verb);
        self.printer.write(what);
    }

    fn flags(&mut self) {
        self.printer.flags = Flags::default();
        while let Some(byte) = self.peek() {
            let flags = &mut self.printer.flags;
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
    }

    /// `[n]`: the next argument is the nth.
    fn index(&mut self) {
        self.after_index = false;
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let close = if rest.len() < 3 { None } else { rest.iter().position(|byte| *byte == b']') };
        let Some(close) = close else {
            self.good = false;
            self.at += 1;
            return;
        };
        self.at += close + 1;
        let number = &rest[1..close];
        match number_of(number) {
            Some((value, used)) if used == number.len() => {
                self.after_index = true;
                match value.checked_sub(1) {
                    Some(index) if index < self.args.len() => self.next = index,
                    _ => self.good = false,
                }
            }
            _ => self.good = false,
        }
    }

    fn width(&mut self) {
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.int_argument() {
                Some(width) => {
                    let flags = &mut self.printer.flags;
                    if width < 0 {
                        flags.minus = true;
                        flags.zero = false;
                    }
                    flags.width = Some(width.unsigned_abs() as usize);
                }
                None => self.printer.write(b"%!(BADWIDTH)"),
            }
            self.after_index = false;
            return;
        }
        self.printer.flags.width = self.number();
        if self.after_index && self.printer.flags.width.is_some() {
            self.good = false;
        }
    }

    fn precision(&mut self) {
        if self.peek() != Some(b'.') || self.at + 1 >= self.format.len() {
            return;
        }
        self.at += 1;
        if self.after_index {
            self.good = false;
        }
        self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            let precision = self.int_argument();
            self.printer.flags.precision = precision.and_then(|value| usize::try_from(value).ok());
            if self.printer.flags.precision.is_none() {
                self.printer.write(b"%!(BADPREC)");
            }
            self.after_index = false;
        } else {
            self.printer.flags.precision = Some(self.number().unwrap_or(0));
        }
    }

    fn int_argument(&mut self) -> Option<i64> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        match arg {
            Value::Int(int) => {
                let value = i64::try_from(int.wide()).ok()?;
                (value.unsigned_abs() <= LARGE as u64).then_some(value)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<usize> {
        let rest = &self.format[self.at..];
        if !rest.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        match number_of(rest) {
            Some((value, used)) => {
                self.at += used;
                Some(value)
            }
            // Absurdly large: Go gives up on the rest of the format.
            None => {
                self.at = self.format.len();
                None
            }
        }
    }

    fn extra(&mut self) {
        self.printer.flags = Flags::default();
        self.printer.write(b"%!(EXTRA ");
        for (index, arg) in self.args[self.next..].iter().enumerate() {
            if index > 0 {
                self.printer.write(b", ");
            }
            if arg.is_nil() {
                self.printer.write(b"<nil>");
            } else {
                self.printer.write(arg.type_name().as_bytes());
                self.printer.write(b"=");
                self.printer.argument(arg, 'v');
            }
        }
        self.printer.write(b")");
    }
}

/// The number at the start and how many bytes it takes; `None` if there is none or it is absurd.
fn number_of(text: &[u8]) -> Option<(usize, usize)> {
    let mut value: usize = 0;
    let mut used = 0;
    while let Some(digit) = text.get(used).filter(|byte| byte.is_ascii_digit()) {
        if value > LARGE {
            return None;
        }
        value = value * 10 + usize::from(digit - b'0');
        used += 1;
    }
    (used > 0).then_some((value, used))
}

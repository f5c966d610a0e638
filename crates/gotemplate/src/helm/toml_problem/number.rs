//! Numbers and moments.

use super::{Read, Reader, quoted, shown};

impl Reader {
    /// From behind the sign on.
    pub(super) fn signed(&mut self, start: usize) -> Read {
        let second = self.next()?;
        match second {
            Some(c @ ('i' | 'n')) => {
                let rest: &[char] = if c == 'i' { &['n', 'f'] } else { &['a', 'n'] };
                for wanted in rest {
                    if self.peek() != Some(*wanted) {
                        return self.fail(&format!("invalid float: '{}'", self.since(start)));
                    }
                    self.next()?;
                }
                Ok(())
            }
            Some('0') if matches!(self.peek(), Some('b' | 'o' | 'x')) => {
                let base = self.peek().unwrap_or_default();
                let number = format!("{}{base}", self.since(start));
                self.fail(&format!("cannot use sign with non-decimal numbers: '{number}'"))
            }
            Some('.') => self.fail("floats must start with a digit, not '.'"),
            Some('0'..='9') => self.number(start),
            other => self.fail(&format!("expected a digit but got {}", shown(other))),
        }
    }

    /// From behind the first digit on.
    pub(super) fn number(&mut self, start: usize) -> Read {
        if self.text[self.at - 1] == '0' && start + 1 == self.at {
            let (is_digit, name): (fn(char) -> bool, _) = match self.peek() {
                Some('b') => (|c| matches!(c, '0' | '1'), "a binary"),
                Some('o') => (|c| matches!(c, '0'..='7'), "an octal"),
                Some('x') => (|c| c.is_ascii_hexdigit(), "a hexadecimal"),
                _ => return self.decimal(start),
            };
            self.next()?;
            if !self.peek().is_some_and(is_digit) {
                let got = self.peek().unwrap_or('\0');
                let number = self.since(start);
                return self.fail(&format!("not {name} number: '{number}{got}'"));
            }
            self.skip(|c| is_digit(c) || c == '_');
            return self.integer(&self.since(start));
        }
        self.decimal(start)
    }

    fn decimal(&mut self, start: usize) -> Read {
        self.skip(|c| c.is_ascii_digit());
        let signed = !self.text[start].is_ascii_digit();
        match self.peek() {
            Some('-' | ':') if !(signed || self.text[start] == '0' && self.at == start + 1) => {
                let part = |c: char| c.is_ascii_digit() || "-:Tt .Zz+".contains(c);
                self.skip(part);
                let moment = self.since(start);
                let moment = moment.trim();
                if toml::from_str::<toml::Table>(&format!("a = {moment}")).is_err() {
                    let moment = moment.replace('z', "Z").replace(['t', ' '], "T");
                    return self.fail(&format!("invalid datetime: {}", quoted(&moment)));
                }
                return Ok(());
            }
            Some('_') => self.skip(|c| c.is_ascii_digit() || c == '_'),
            _ => {}
        }
        if matches!(self.peek(), Some('.' | 'e' | 'E')) {
            self.skip(|c| c.is_ascii_digit() || "_.-+eE".contains(c));
            return self.float(&self.since(start));
        }
        self.integer(&self.since(start))
    }

    fn integer(&self, number: &str) -> Read {
        let shown = quoted(number);
        if !underscores_between_digits(number) {
            return self.fail(&format!("Invalid integer {shown}: underscores must be surrounded by digits"));
        }
        if has_leading_zero(number) {
            return self.fail(&format!("Invalid integer {shown}: cannot have leading zeroes"));
        }
        let digits = number.replace('_', "");
        let parsed = match digits.get(..2) {
            Some("0x") => i64::from_str_radix(&digits[2..], 16),
            Some("0o") => i64::from_str_radix(&digits[2..], 8),
            Some("0b") => i64::from_str_radix(&digits[2..], 2),
            _ => digits.parse(),
        };
        match parsed {
            Ok(_) => Ok(()),
            Err(_) => self.fail(&format!("{number} is out of range for int64")),
        }
    }

    fn float(&self, number: &str) -> Read {
        let shown = quoted(number);
        let mut parts = number.split(['.', 'e', 'E']).filter(|part| !part.is_empty());
        if !parts.clone().all(underscores_between_digits) {
            return self.fail(&format!("Invalid float {shown}: underscores must be surrounded by digits"));
        }
        if parts.next().is_some_and(has_leading_zero) {
            return self.fail(&format!("Invalid float {shown}: cannot have leading zeroes"));
        }
        let bytes = number.as_bytes();
        let dot =
            |index: usize| bytes[index] == b'.' && !bytes.get(index + 1).is_some_and(u8::is_ascii_digit);
        if (0..bytes.len()).any(dot) {
            return self.fail(&format!("Invalid float {shown}: '.' must be followed by one or more digits"));
        }
        match number.replace('_', "").parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(()),
            Ok(_) => self.fail(&format!("{number} is out of range for float64")),
            Err(_) => self.fail(&format!("Invalid float value: {shown}")),
        }
    }
}

fn underscores_between_digits(number: &str) -> bool {
    let mut accept = false;
    for c in number.chars() {
        if c == '_' && !accept {
            return false;
        }
        accept = c.is_ascii_hexdigit();
    }
    accept
}

fn has_leading_zero(number: &str) -> bool {
    let bytes = number.as_bytes();
    match bytes {
        [b'0', second, ..] => !matches!(second, b'b' | b'o' | b'x'),
        [b'-' | b'+', b'0', _, ..] => true,
        _ => false,
    }
}

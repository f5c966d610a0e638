//! Numbers, strings and booleans under flags, width and precision.

use super::float::format_float;
use super::printer::Printer;
use super::quote::{can_backquote, is_printable, quote, quote_char};

/// What stands between `%` and the verb.
#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%#v`
    pub(super) syntax: bool,
    /// `%+v`
    pub(super) names: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// What an integer's sign and digits are made from.
#[derive(Clone, Copy)]
pub(super) struct Integer {
    pub(super) negative: bool,
    pub(super) magnitude: u64,
    pub(super) unsigned: bool,
}

impl Printer {
    fn padding(&mut self, count: usize) {
        let byte = if self.flags.zero && !self.flags.minus { b'0' } else { b' ' };
        self.fill(byte, count);
    }

    pub(super) fn pad(&mut self, text: &[u8]) {
        let Some(width) = self.flags.width else {
            self.write(text);
            return;
        };
        let missing = width.saturating_sub(rune_count(text));
        if self.flags.minus {
            self.write(text);
            self.padding(missing);
        } else {
            self.padding(missing);
            self.write(text);
        }
    }

    fn pad_without_zeros(&mut self, text: &[u8]) {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(text);
        self.flags.zero = zero;
    }

    pub(super) fn boolean(&mut self, value: bool, verb: char) -> bool {
        if !matches!(verb, 't' | 'v') {
            return false;
        }
        self.pad(if value { b"true" } else { b"false" });
        true
    }

    /// Gives whether the verb fits.
    pub(super) fn integer(&mut self, value: Integer, verb: char) -> bool {
        match verb {
            'v' if self.flags.syntax && value.unsigned => self.hexadecimal(value.magnitude, true),
            'v' | 'd' => self.based(value, 10, verb),
            'b' => self.based(value, 2, verb),
            'o' | 'O' => self.based(value, 8, verb),
            'x' | 'X' => self.based(value, 16, verb),
            'c' => {
                let c = code(value);
                self.pad(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            'q' => {
                let text = quote_char(code(value), self.flags.plus);
                self.pad(text.as_bytes());
            }
            'U' => self.unicode(value),
            _ => return false,
        }
        true
    }

    pub(super) fn hexadecimal(&mut self, value: u64, prefix: bool) {
        let sharp = std::mem::replace(&mut self.flags.sharp, prefix);
        self.based(Integer { negative: false, magnitude: value, unsigned: true }, 16, 'v');
        self.flags.sharp = sharp;
    }

    fn based(&mut self, value: Integer, base: u32, verb: char) {
        let flags = self.flags;
        let mut least = 0;
        if let Some(precision) = flags.precision {
            least = precision;
            if precision == 0 && value.magnitude == 0 {
                self.flags.zero = false;
                self.padding(flags.width.unwrap_or(0));
                self.flags.zero = flags.zero;
                return;
            }
        } else if let Some(width) = flags.width
            && flags.zero
            && !flags.minus
        {
            let sign = value.negative || flags.plus || flags.space;
            least = width.saturating_sub(usize::from(sign));
        }
        let digits = match base {
            2 => format!("{:b}", value.magnitude),
            8 => format!("{:o}", value.magnitude),
            16 if verb == 'X' => format!("{:X}", value.magnitude),
            16 => format!("{:x}", value.magnitude),
            _ => value.magnitude.to_string(),
        };
        let zeros = least.saturating_sub(digits.len());
        let mut text = String::new();
        if value.negative {
            text.push('-');
        } else if flags.plus {
            text.push('+');
        } else if flags.space {
            text.push(' ');
        }
        if verb == 'O' {
            text.push_str("0o");
        }
        if flags.sharp {
            match base {
                2 => text.push_str("0b"),
                8 if zeros == 0 && !digits.starts_with('0') => text.push('0'),
                16 => text.push_str(if verb == 'X' { "0X" } else { "0x" }),
                _ => {}
            }
        }
        text.extend(std::iter::repeat_n('0', zeros));
        text.push_str(&digits);
        self.pad_without_zeros(text.as_bytes());
    }

    fn unicode(&mut self, value: Integer) {
        let number = if value.negative { value.magnitude.wrapping_neg() } else { value.magnitude };
        let least = self.flags.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{number:0least$X}");
        if self.flags.sharp
            && let Some(c) = u32::try_from(number).ok().and_then(char::from_u32)
            && is_printable(c)
        {
            text.push_str(&format!(" '{c}'"));
        }
        self.pad_without_zeros(text.as_bytes());
    }

    pub(super) fn float(&mut self, value: f64, verb: char) -> bool {
        let (style, default) = match verb {
            'v' => ('g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
            'f' | 'e' | 'E' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            _ => return false,
        };
        let precision = self.flags.precision.or(default);
        let mut text = format_float(value, style, precision);
        let flags = self.flags;
        if !text.starts_with(['-', '+']) {
            text.insert(0, if flags.space && !flags.plus { ' ' } else { '+' });
        } else if text.starts_with('+') && flags.space && !flags.plus {
            text.replace_range(..1, " ");
        }
        if !value.is_finite() {
            let drop_sign = if value.is_nan() {
                !flags.space && !flags.plus
            } else {
                text.starts_with('+') && !flags.plus
            };
            let shown = if drop_sign && value.is_nan() { &text[1..] } else { &text[..] };
            self.pad_without_zeros(shown.as_bytes());
            return true;
        }
        if flags.sharp && style != 'b' {
            text = keep_zeros(&text, style, precision);
        }
        if !flags.plus && text.starts_with('+') {
            self.pad(&text.as_bytes()[1..]);
            return true;
        }
        match flags.width {
            Some(width) if flags.zero && !flags.minus && width > text.len() => {
                self.write(&text.as_bytes()[..1]);
                self.padding(width - text.len());
                self.write(&text.as_bytes()[1..]);
            }
            _ => self.pad(text.as_bytes()),
        }
        true
    }

    pub(super) fn complex(&mut self, real: f64, imaginary: f64, verb: char) -> bool {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') {
            return false;
        }
        self.write(b"(");
        self.float(real, verb);
        let plus = std::mem::replace(&mut self.flags.plus, true);
        self.float(imaginary, verb);
        self.write(b"i)");
        self.flags.plus = plus;
        true
    }

    pub(super) fn string(&mut self, text: &[u8], verb: char) -> bool {
        match verb {
            'v' if self.flags.syntax => self.quoted_string(text),
            'v' | 's' => {
                let text = self.truncated(text);
                self.pad(text);
            }
            'x' | 'X' => self.hex_bytes(text, verb == 'X'),
            'q' => self.quoted_string(text),
            _ => return false,
        }
        true
    }

    fn quoted_string(&mut self, text: &[u8]) {
        let text = self.truncated(text);
        if self.flags.sharp && can_backquote(text) {
            let raw = [b"`", text, b"`"].concat();
            self.pad(&raw);
        } else {
            let text = quote(text, self.flags.plus);
            self.pad(text.as_bytes());
        }
    }

    pub(super) fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else {
            return text;
        };
        let mut end = 0;
        for _ in 0..precision {
            if end >= text.len() {
                break;
            }
            end += rune_width(&text[end..]);
        }
        &text[..end]
    }

    fn hex_bytes(&mut self, text: &[u8], upper: bool) {
        let flags = self.flags;
        let length = flags.precision.map_or(text.len(), |precision| precision.min(text.len()));
        if length == 0 {
            self.padding(flags.width.unwrap_or(0));
            return;
        }
        let prefix: &[u8] = if upper { b"0X" } else { b"0x" };
        let mut out = Vec::with_capacity(length * 2 + 2);
        if flags.sharp {
            out.extend_from_slice(prefix);
        }
        for (index, byte) in text[..length].iter().enumerate() {
            if flags.space && index > 0 {
                out.push(b' ');
                if flags.sharp {
                    out.extend_from_slice(prefix);
                }
            }
            let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
            out.push(digits[usize::from(byte >> 4)]);
            out.push(digits[usize::from(byte & 15)]);
        }
        self.pad(&out);
    }
}

fn code(value: Integer) -> char {
    if value.negative {
        return '\u{fffd}';
    }
    u32::try_from(value.magnitude).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
}

/// `%#g` and its kin: a point always, and the zeros that `%g` would drop.
fn keep_zeros(text: &str, style: char, precision: Option<usize>) -> String {
    let mut digits: i64 = match style {
        'g' | 'G' | 'x' => precision.map_or(6, |precision| precision as i64),
        _ => 0,
    };
    if style == 'x' && precision.is_none() {
        digits = 6;
    }
    let at_exponent = |c: char| match c {
        'p' | 'P' => true,
        'e' | 'E' => !matches!(style, 'x' | 'X'),
        _ => false,
    };
    let split = text.find(at_exponent).unwrap_or(text.len());
    let (number, tail) = text.split_at(split);
    let mut seen = false;
    for c in number.chars().skip(1).filter(|c| *c != '.') {
        seen |= c != '0';
        if seen {
            digits -= 1;
        }
    }
    let mut out = number.to_owned();
    if !number.contains('.') {
        if number.len() == 2 && number.ends_with('0') {
            digits -= 1;
        }
        out.push('.');
    }
    out.extend((0..digits.max(0)).map(|_| '0'));
    out.push_str(tail);
    out
}

fn rune_width(text: &[u8]) -> usize {
    if text[0].is_ascii() {
        return 1;
    }
    let window = &text[..text.len().min(4)];
    let valid = window.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    valid.map_or(1, char::len_utf8)
}

/// Characters, each invalid byte being one.
pub(crate) fn rune_count(text: &[u8]) -> usize {
    text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

use std::fmt;

use crate::{HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND};

/// Why a text is not a Go duration. Printed with Go's words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No duration at all, or one that does not fit into 64 bits.
    Invalid {
        /// The whole text.
        text: String,
    },
    /// A number that no unit follows.
    MissingUnit {
        /// The whole text.
        text: String,
    },
    /// A number followed by something that is no unit.
    UnknownUnit {
        /// What stands in the place of the unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { text } => write!(f, "time: invalid duration {}", Quoted(text)),
            Self::MissingUnit { text } => write!(f, "time: missing unit in duration {}", Quoted(text)),
            Self::UnknownUnit { unit, text } => {
                write!(f, "time: unknown unit {} in duration {}", Quoted(unit), Quoted(text))
            }
        }
    }
}

impl std::error::Error for Error {}

/// Quotes as the Go time package does: printable ASCII as it is, every other byte in hex.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for byte in self.0.bytes() {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                // DEL is below 0x80, so Go leaves it alone.
                0x20..=0x7f => write!(f, "{}", char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_str("\"")
    }
}

/// The most that a magnitude may reach: 2^63, which only a negative duration can use in full.
const LIMIT: u64 = 1 << 63;

/// Reads a Go duration such as `1h30m`, `-1.5h` or `0` into nanoseconds.
///
/// Digits below a nanosecond are cut off. As in Go, `0` alone needs no unit, units may repeat and
/// come in any order.
pub fn parse(text: &str) -> Result<i64, Error> {
    let invalid = || Error::Invalid { text: text.to_owned() };
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if unsigned == "0" {
        return Ok(0);
    }
    if unsigned.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let whole_len = digits(rest);
        let whole: u64 = whole_number(&rest[..whole_len]).ok_or_else(invalid)?;
        rest = &rest[whole_len..];
        let mut fraction = "";
        if let Some(after) = rest.strip_prefix('.') {
            let len = digits(after);
            fraction = &after[..len];
            rest = &after[len..];
        }
        if whole_len == 0 && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_len = rest.bytes().take_while(|b| *b != b'.' && !b.is_ascii_digit()).count();
        let unit = &rest[..unit_len];
        if unit.is_empty() {
            return Err(Error::MissingUnit { text: text.to_owned() });
        }
        let scale = scale_of(unit)
            .ok_or_else(|| Error::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() })?;
        rest = &rest[unit_len..];
        let amount = whole
            .checked_mul(scale)
            .filter(|amount| *amount <= LIMIT)
            .map(|amount| amount + part_of(fraction, scale))
            .filter(|amount| *amount <= LIMIT)
            .ok_or_else(invalid)?;
        total = total.checked_add(amount).filter(|total| *total <= LIMIT).ok_or_else(invalid)?;
    }
    if negative {
        // Two's complement reaches one further below zero: 2^63 wraps to exactly i64::MIN.
        return Ok((total as i64).wrapping_neg());
    }
    i64::try_from(total).map_err(|_| invalid())
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The value of ASCII digits, or nothing above 2^63. No digits are zero.
fn whole_number(digits: &str) -> Option<u64> {
    let mut value: u64 = 0;
    for digit in digits.bytes() {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        if value > LIMIT {
            return None;
        }
    }
    Some(value)
}

/// Nanoseconds in `0.<digits>` of a unit. Digits that no longer fit into 63 bits are dropped, and
/// the product is taken in floating point: both as Go does, since the last digit shows it.
fn part_of(digits: &str, unit: u64) -> u64 {
    const MAX: u64 = i64::MAX as u64;
    let mut value: u64 = 0;
    let mut scale = 1_f64;
    for digit in digits.bytes() {
        if value > MAX / 10 {
            break;
        }
        let next = value * 10 + u64::from(digit - b'0');
        if next > LIMIT {
            break;
        }
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

fn scale_of(unit: &str) -> Option<u64> {
    let scale = match unit {
        "ns" => 1,
        // The micro sign and the Greek letter mu.
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    };
    Some(scale.unsigned_abs())
}

//! Number literals: one text may serve as several types.

use super::tree::Number;
use crate::num;

/// Reads a number, its text as found.
pub(super) fn simple(text: &str) -> Result<Number, String> {
    if let Some(imaginary) = text.strip_suffix('i')
        && let Some(value) = num::parse_float(imaginary)
    {
        return Ok(from_complex(0.0, value));
    }
    let mut number = Number { unsigned: num::parse_uint(text, 0, 64).ok(), ..Number::default() };
    if let Ok(value) = num::parse_int(text, 0, 64) {
        number.int = Some(value);
        if value == 0 {
            number.unsigned = Some(0);
        }
    }
    if let Some(value) = number.int {
        number.float = Some(value as f64);
    } else if let Some(value) = number.unsigned {
        number.float = Some(value as f64);
    } else if let Some(value) = num::parse_float(text) {
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", crate::fmt::quoted(text.as_bytes())));
        }
        number = from_float(value);
    }
    if number.int.is_none() && number.unsigned.is_none() && number.float.is_none() {
        return Err(format!("illegal number syntax: {}", crate::fmt::quoted(text.as_bytes())));
    }
    number.is_fraction = is_fraction(text);
    Ok(number)
}

/// Reads `1+2i`.
pub(super) fn complex(text: &str) -> Result<Number, String> {
    let body = text.strip_suffix('i').ok_or("syntax error scanning complex number")?;
    // The sign between the parts: not the first, and not that of an exponent.
    let bytes = body.as_bytes();
    let split = (1..bytes.len())
        .rev()
        .find(|&at| matches!(bytes[at], b'+' | b'-') && !matches!(bytes[at - 1], b'e' | b'E' | b'p' | b'P'))
        .ok_or("syntax error scanning complex number")?;
    let parts = (num::parse_float(&body[..split]), num::parse_float(&body[split..]));
    match parts {
        (Some(real), Some(imaginary)) => Ok(from_complex(real, imaginary)),
        _ => Err("syntax error scanning complex number".to_owned()),
    }
}

/// A character constant counts as an int first.
pub(super) fn character(value: u32) -> Number {
    Number {
        int: Some(i64::from(value)),
        unsigned: Some(u64::from(value)),
        float: Some(f64::from(value)),
        ..Number::default()
    }
}

fn from_complex(real: f64, imaginary: f64) -> Number {
    let mut number = if imaginary == 0.0 { from_float(real) } else { Number::default() };
    number.complex = Some((real, imaginary));
    number
}

fn from_float(value: f64) -> Number {
    let mut number = Number { float: Some(value), ..Number::default() };
    if value as i64 as f64 == value {
        number.int = Some(value as i64);
    }
    if value as u64 as f64 == value {
        number.unsigned = Some(value as u64);
    }
    number
}

/// Whether the notation makes it a float where no type is asked for.
fn is_fraction(text: &str) -> bool {
    let is_hex =
        text.len() > 2 && (text.starts_with("0x") || text.starts_with("0X")) && !text.contains(['p', 'P']);
    !is_hex && text.contains(['.', 'e', 'E', 'p', 'P'])
}

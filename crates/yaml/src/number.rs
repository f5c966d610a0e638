//! Numbers read and printed as Go's strconv and encoding/json do.

/// `strconv.ParseInt(text, 0, 64)` or, where that overflows, `ParseUint`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Integer {
    /// Fits in 64 bits with a sign.
    Signed(i64),
    /// Above that, up to 2^64-1.
    Unsigned(u64),
}

/// An integer with Go's prefixes: `0x`, `0b`, `0o` and a leading zero for octal. No underscores.
pub fn parse_integer(text: &str) -> Option<Integer> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let signed = digits.len() != text.len();
    let (radix, digits) = radix_of(digits);
    let magnitude = parse_magnitude(digits, radix)?;
    if negative {
        return i64::try_from(-i128::from(magnitude)).ok().map(Integer::Signed);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Integer::Signed(value)),
        // ParseUint takes no sign.
        Err(_) if !signed => Some(Integer::Unsigned(magnitude)),
        Err(_) => None,
    }
}

fn radix_of(digits: &str) -> (u32, &str) {
    let bytes = digits.as_bytes();
    if bytes.len() >= 2 && bytes[0] == b'0' {
        if bytes.len() >= 3 {
            match bytes[1] {
                b'x' | b'X' => return (16, &digits[2..]),
                b'b' | b'B' => return (2, &digits[2..]),
                b'o' | b'O' => return (8, &digits[2..]),
                _ => {}
            }
        }
        return (8, &digits[1..]);
    }
    (10, digits)
}

fn parse_magnitude(digits: &str, radix: u32) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// `strconv.ParseInt(text, radix, 64)`, else `ParseUint`: digits with an optional sign.
pub(crate) fn parse_radix(text: &str, radix: u32) -> Option<Integer> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let signed = digits.len() != text.len();
    let magnitude = parse_magnitude(digits, radix)?;
    if negative {
        return i64::try_from(-i128::from(magnitude)).ok().map(Integer::Signed);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Integer::Signed(value)),
        Err(_) if !signed => Some(Integer::Unsigned(magnitude)),
        Err(_) => None,
    }
}

/// Whether the text is `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
pub(crate) fn is_yaml_float(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(at);
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if whole == 0 && fraction == 0 {
            return false;
        }
        at += 1 + fraction;
    } else if whole == 0 {
        return false;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
        let exponent = digits(at);
        if exponent == 0 {
            return false;
        }
        at += exponent;
    }
    at == bytes.len()
}

/// `strconv.ParseFloat(text, 64)` for plain decimal forms; out of range is an error there.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Shortest digits and decimal exponent: 1.5 is ("15", 0).
fn shortest(value: &str) -> (String, i32) {
    let (mantissa, exponent) = value.split_once('e').unwrap_or((value, "0"));
    let digits = mantissa.chars().filter(char::is_ascii_digit).collect();
    (digits, exponent.parse().unwrap_or(0))
}

fn scientific(digits: &str, exponent: i32, two_digits: bool) -> String {
    let mut out = String::new();
    out.push_str(&digits[..1]);
    if digits.len() > 1 {
        out.push('.');
        out.push_str(&digits[1..]);
    }
    out.push('e');
    out.push(if exponent < 0 { '-' } else { '+' });
    let exponent = exponent.unsigned_abs();
    if two_digits && exponent < 10 {
        out.push('0');
    }
    out.push_str(&exponent.to_string());
    out
}

fn positional(digits: &str, exponent: i32) -> String {
    if exponent < 0 {
        let zeros = "0".repeat((-exponent - 1) as usize);
        return format!("0.{zeros}{digits}");
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        return format!("{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{}.{}", &digits[..whole], &digits[whole..])
}

/// `%g` with the shortest digits: an exponent below -4 or from 6 on.
fn general(digits: &str, exponent: i32) -> String {
    if (-4..6).contains(&exponent) {
        positional(digits, exponent)
    } else {
        scientific(digits, exponent, true)
    }
}

/// `strconv.FormatFloat(value, 'g', -1, 64)`.
pub fn format_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let (digits, exponent) = shortest(&format!("{:e}", value.abs()));
    signed(value, general(&digits, exponent))
}

/// `strconv.FormatFloat(value, 'g', -1, 32)`.
pub(crate) fn format_float32(value: f64) -> String {
    let narrow = value as f32;
    if narrow.is_nan() || narrow.is_infinite() {
        return format_float(f64::from(narrow));
    }
    let (digits, exponent) = shortest(&format!("{:e}", narrow.abs()));
    signed(value, general(&digits, exponent))
}

fn signed(value: f64, text: String) -> String {
    if value.is_sign_negative() { format!("-{text}") } else { text }
}

/// A float as encoding/json prints it; `None` for what JSON lacks.
pub fn format_json_float(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let magnitude = value.abs();
    let (digits, exponent) = shortest(&format!("{magnitude:e}"));
    let text = if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        // Go cleans e-09 up to e-9 and leaves e+09, which cannot occur, alone.
        scientific(&digits, exponent, false)
    } else {
        positional(&digits, exponent)
    };
    Some(signed(value, text))
}

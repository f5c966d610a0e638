//! Numbers from text as Go's `strconv` reads them.

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumError {
    Syntax,
    /// Too large: the nearest value that fits.
    Range(i64),
}

/// Whether underscores stand only between digits or after a base prefix.
fn underscores_fit(text: &str) -> bool {
    let mut last = b'^';
    let mut bytes = text.as_bytes();
    if let [b'+' | b'-', rest @ ..] = bytes {
        bytes = rest;
    }
    let mut hex = false;
    if let [b'0', prefix, rest @ ..] = bytes
        && matches!(prefix.to_ascii_lowercase(), b'b' | b'o' | b'x')
    {
        hex = prefix.eq_ignore_ascii_case(&b'x');
        last = b'0';
        bytes = rest;
    }
    for byte in bytes {
        if byte.is_ascii_digit() || hex && byte.is_ascii_hexdigit() {
            last = b'0';
        } else if *byte == b'_' {
            if last != b'0' {
                return false;
            }
            last = b'_';
        } else {
            if last == b'_' {
                return false;
            }
            last = b'!';
        }
    }
    last != b'_'
}

/// Go's `ParseUint`; a base of 0 goes by the prefix and allows underscores.
pub(crate) fn parse_uint(text: &str, base: u32, bits: u32) -> Result<u64, NumError> {
    if text.is_empty() {
        return Err(NumError::Syntax);
    }
    let mut digits = text;
    let mut radix = base;
    if base == 0 {
        radix = 10;
        if let Some(after) = text.strip_prefix('0') {
            let prefix = after.as_bytes().first().map(u8::to_ascii_lowercase);
            (radix, digits) = match prefix {
                Some(b'b') if text.len() >= 3 => (2, &text[2..]),
                Some(b'o') if text.len() >= 3 => (8, &text[2..]),
                Some(b'x') if text.len() >= 3 => (16, &text[2..]),
                _ => (8, after),
            };
        }
    }
    let mut value: u64 = 0;
    let mut overflow = false;
    let mut underscores = false;
    for c in digits.chars() {
        if c == '_' && base == 0 {
            underscores = true;
            continue;
        }
        let digit = c.to_digit(radix).ok_or(NumError::Syntax)?;
        match value.checked_mul(u64::from(radix)).and_then(|value| value.checked_add(u64::from(digit))) {
            Some(next) => value = next,
            None => overflow = true,
        }
    }
    if underscores && !underscores_fit(text) {
        return Err(NumError::Syntax);
    }
    if overflow || bits < 64 && value >> bits != 0 {
        return Err(NumError::Range(-1));
    }
    Ok(value)
}

/// Go's `ParseInt`.
pub(crate) fn parse_int(text: &str, base: u32, bits: u32) -> Result<i64, NumError> {
    let (negative, digits) = match text.as_bytes().first() {
        None => return Err(NumError::Syntax),
        Some(b'-') => (true, text.strip_prefix('-').unwrap_or(text)),
        _ => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let largest = if bits >= 64 { i64::MAX } else { (1 << (bits - 1)) - 1 };
    let magnitude = match parse_uint(digits, base, 64) {
        Ok(magnitude) => magnitude,
        Err(NumError::Syntax) => return Err(NumError::Syntax),
        Err(NumError::Range(_)) => u64::MAX,
    };
    let bound = largest as u64;
    match (negative, magnitude) {
        (false, value) if value <= bound => Ok(value as i64),
        (true, value) if value <= bound + 1 => Ok((value as i64).wrapping_neg()),
        (false, _) => Err(NumError::Range(largest)),
        (true, _) => Err(NumError::Range(-largest - 1)),
    }
}

/// Go's `Atoi`.
pub(crate) fn parse_decimal(text: &str) -> Result<i64, NumError> {
    parse_int(text, 10, 64)
}

/// Go's `ParseFloat`, or nothing where that is an error.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let value = parse_float_or_infinity(text)?;
    let unsigned = text.trim_start_matches(['+', '-']);
    (value.is_finite() || unsigned.starts_with(['i', 'I', 'n', 'N'])).then_some(value)
}

/// Go's `ParseFloat` without its range check: what is too large is infinite.
pub(crate) fn parse_float_or_infinity(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let negative = text.starts_with('-');
    let sign = if negative { -1.0 } else { 1.0 };
    match lower.as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" => return (unsigned.len() == text.len()).then_some(f64::NAN),
        _ => {}
    }
    if lower.contains('_') && !underscores_fit(text) {
        return None;
    }
    let digits = lower.replace('_', "");
    if let Some(hex) = digits.strip_prefix("0x") {
        return parse_hex_float(hex).map(|value| sign * value);
    }
    let plausible = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'+' | b'-'));
    let has_digit = digits.split('e').next().is_some_and(|m| m.bytes().any(|byte| byte.is_ascii_digit()));
    if !plausible || !has_digit || digits.starts_with(['+', '-']) {
        return None;
    }
    digits.parse::<f64>().ok().map(|value| sign * value)
}

/// The part after `0x`; the exponent is required.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let mut exponent: i32 = exponent.parse::<i32>().ok()?.clamp(-10_000, 10_000);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    let mut sticky = false;
    for (index, c) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(c.to_digit(16)?);
        let in_fraction = index >= whole.len();
        if value >> 58 == 0 {
            value = value << 4 | digit;
            if in_fraction {
                exponent -= 4;
            }
        } else {
            sticky |= digit != 0;
            if !in_fraction {
                exponent += 4;
            }
        }
    }
    let value = (value | u64::from(sticky)) as f64;
    // Two steps, so that neither power leaves the range.
    let half = exponent / 2;
    Some(value * 2.0_f64.powi(half) * 2.0_f64.powi(exponent - half))
}

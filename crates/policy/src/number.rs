//! Decimal numbers as Go's `strconv.ParseFloat` reads them.

/// The value; `None` where Go reports an error: no number, or one that is too large. Hexadecimal ones are not read.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let stray = bytes
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'_' && !(at > 0 && digit(at - 1) && digit(at + 1)));
    if stray {
        return None;
    }
    let value: f64 = text.replace('_', "").parse().ok()?;
    let named = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    (value.is_finite() || value.is_nan() || named).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_go() {
        for (text, value) in
            [("1_000", 1000.0), ("+5", 5.0), ("1.", 1.0), (".5", 0.5), ("1e-400", 0.0), ("007", 7.0)]
        {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        assert_eq!(parse("Infinity"), Some(f64::INFINITY));
        assert!(parse("nan").is_some_and(f64::is_nan));
        for text in ["", " 1", "1e400", "0x10", "1__0", "_1", "1_", "v1", "1.2.3"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

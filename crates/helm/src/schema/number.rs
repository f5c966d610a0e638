//! Numbers compared by their decimal digits, and printed as English texts.

use std::cmp::Ordering;

use serde_json::Number;

/// A decimal: digits times a power of ten.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    /// The digits of a number, unless there are too many.
    fn of(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}").parse().ok()?;
        Some(Decimal { digits, exponent: exponent - fraction.len() as i32 })
    }

    /// Both with the same power of ten.
    fn aligned(self, other: Self) -> Option<(i128, i128)> {
        let exponent = self.exponent.min(other.exponent);
        let scaled = |decimal: Decimal| {
            let power = u32::try_from(decimal.exponent - exponent).ok().filter(|power| *power < 39)?;
            decimal.digits.checked_mul(10_i128.checked_pow(power)?)
        };
        Some((scaled(self)?, scaled(other)?))
    }
}

fn both(a: &Number, b: &Number) -> Option<(i128, i128)> {
    Decimal::of(a)?.aligned(Decimal::of(b)?)
}

fn floats(a: &Number, b: &Number) -> (f64, f64) {
    (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN))
}

/// Which is larger.
pub(super) fn compare(a: &Number, b: &Number) -> Ordering {
    match both(a, b) {
        Some((a, b)) => a.cmp(&b),
        None => {
            let (a, b) = floats(a, b);
            a.partial_cmp(&b).unwrap_or(Ordering::Equal)
        }
    }
}

/// Whether `a` is a whole number times `b`.
pub(super) fn is_multiple(a: &Number, b: &Number) -> bool {
    match both(a, b) {
        Some((_, 0)) => false,
        Some((a, b)) => a % b == 0,
        None => {
            let (a, b) = floats(a, b);
            (a / b).fract() == 0.0
        }
    }
}

/// Whether there is nothing behind the point.
pub(super) fn is_integer(number: &Number) -> bool {
    !number.is_f64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

/// A whole number with commas.
pub(super) fn grouped(number: usize) -> String {
    group(&number.to_string())
}

fn group(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with commas, or with a power of ten.
pub(super) fn shown(number: &Number) -> String {
    let float = number.as_f64().unwrap_or_default();
    let text = format!("{float:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if float != 0.0 && !(-4..6).contains(&exponent) {
        const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
        let sign = if exponent < 0 { "⁻" } else { "" };
        let raised: String = format!("{:02}", exponent.abs())
            .bytes()
            .filter_map(|digit| RAISED.get(usize::from(digit.wrapping_sub(b'0'))))
            .collect();
        return format!("{mantissa}×10{sign}{raised}");
    }
    let plain = format!("{float}");
    let (sign, plain) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("-", rest));
    match plain.split_once('.') {
        Some((whole, fraction)) => format!("{sign}{}.{fraction}", group(whole)),
        None => format!("{sign}{}", group(plain)),
    }
}

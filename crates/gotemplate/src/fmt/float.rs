//! Floats as Go's `strconv.FormatFloat` writes them.

/// Significant decimal digits without trailing zeros, and the place of the point among them.
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

/// Formats a float; a precision of `None` asks for the fewest digits that read back the same.
pub(crate) fn format_float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-Inf".to_owned() } else { "+Inf".to_owned() };
    }
    match verb {
        'b' => return binary(value),
        'x' | 'X' => return hexadecimal(value, verb == 'X', precision),
        _ => {}
    }
    let mut out = String::new();
    if value.is_sign_negative() {
        out.push('-');
    }
    let value = value.abs();
    match verb {
        'e' | 'E' => exponential(&mut out, &decimal(value, precision.map(|p| p + 1)), precision, verb),
        'f' | 'F' => match precision {
            Some(precision) => out.push_str(&format!("{value:.precision$}")),
            None => fixed(&mut out, &decimal(value, None)),
        },
        _ => {
            let wanted = precision.map(|precision| precision.max(1));
            let digits = decimal(value, wanted);
            let count = digits.digits.len() as i32;
            let mut threshold = wanted.unwrap_or(6) as i32;
            if wanted.is_some() && threshold > count && count >= digits.point {
                threshold = count;
            }
            let exponent = digits.point - 1;
            if value != 0.0 && (exponent < -4 || exponent >= threshold) {
                let verb = if verb == 'G' { 'E' } else { 'e' };
                let fraction = digits.digits.len().saturating_sub(1);
                exponential(&mut out, &digits, Some(fraction), verb);
            } else {
                fixed(&mut out, &digits);
            }
        }
    }
    out
}

fn decimal(value: f64, significant: Option<usize>) -> Decimal {
    let text = match significant {
        Some(count) => format!("{value:.*e}", count.saturating_sub(1)),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    let point = if digits.is_empty() { 0 } else { exponent.parse::<i32>().unwrap_or(0) + 1 };
    Decimal { digits, point }
}

fn exponential(out: &mut String, decimal: &Decimal, precision: Option<usize>, verb: char) {
    let digit = |at: usize| char::from(decimal.digits.get(at).copied().unwrap_or(b'0'));
    out.push(digit(0));
    let fraction = precision.unwrap_or(decimal.digits.len().saturating_sub(1));
    if fraction > 0 {
        out.push('.');
        out.extend((1..=fraction).map(digit));
    }
    let exponent = if decimal.digits.is_empty() { 0 } else { decimal.point - 1 };
    let sign = if exponent < 0 { '-' } else { '+' };
    out.push_str(&format!("{verb}{sign}{:02}", exponent.abs()));
}

fn fixed(out: &mut String, decimal: &Decimal) {
    let digit = |at: i32| {
        let at = usize::try_from(at).ok();
        char::from(at.and_then(|at| decimal.digits.get(at).copied()).unwrap_or(b'0'))
    };
    if decimal.point > 0 {
        out.extend((0..decimal.point).map(digit));
    } else {
        out.push('0');
    }
    let fraction = decimal.digits.len() as i32 - decimal.point;
    if fraction > 0 && !decimal.digits.is_empty() {
        out.push('.');
        out.extend((decimal.point..decimal.digits.len() as i32).map(digit));
    }
}

const MANTISSA_BITS: u32 = 52;
const BIAS: i32 = 1023;

fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let exponent = ((bits >> MANTISSA_BITS) & 0x7ff) as i32;
    let mantissa = bits & ((1 << MANTISSA_BITS) - 1);
    match exponent {
        0 => (mantissa, 1 - BIAS),
        _ => (mantissa | (1 << MANTISSA_BITS), exponent - BIAS),
    }
}

fn binary(value: f64) -> String {
    let (mantissa, exponent) = parts(value);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    format!("{sign}{mantissa}p{:+}", exponent - MANTISSA_BITS as i32)
}

fn hexadecimal(value: f64, upper: bool, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(value);
    if mantissa == 0 {
        exponent = 0;
    }
    // One bit before the point, sixty after it.
    mantissa <<= 60 - MANTISSA_BITS;
    while mantissa != 0 && mantissa & (1 << 60) == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(precision) = precision
        && precision < 15
    {
        let shift = (precision * 4) as u32;
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut out = String::new();
    if value.is_sign_negative() {
        out.push('-');
    }
    out.push_str("0x");
    out.push(char::from(b'0' + ((mantissa >> 60) & 1) as u8));
    mantissa <<= 4;
    let is_whole = mantissa == 0;
    let mut digit = || {
        let digit = char::from_digit((mantissa >> 60) as u32, 16).unwrap_or('0');
        mantissa <<= 4;
        (digit, mantissa)
    };
    match precision {
        None if is_whole => {}
        None => {
            out.push('.');
            loop {
                let (next, left) = digit();
                out.push(next);
                if left == 0 {
                    break;
                }
            }
        }
        Some(0) => {}
        Some(precision) => {
            out.push('.');
            for _ in 0..precision {
                out.push(digit().0);
            }
        }
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    out.push_str(&format!("p{sign}{:02}", exponent.abs()));
    if upper { out.to_ascii_uppercase() } else { out }
}

#[cfg(test)]
mod tests {
    use super::format_float;

    #[track_caller]
    fn check(value: f64, verb: char, precision: Option<usize>, expected: &str) {
        assert_eq!(format_float(value, verb, precision), expected);
    }

    #[test]
    fn floats_print_as_in_go() {
        check(1_000_000.0, 'g', None, "1e+06");
        check(100_000.0, 'g', None, "100000");
        check(0.0001, 'g', None, "0.0001");
        check(0.00001, 'g', None, "1e-05");
        check(0.0, 'g', None, "0");
        check(-0.0, 'g', None, "-0");
        check(123_456_789_012_345_678.0, 'g', None, "1.2345678901234568e+17");
        check(100.0, 'g', Some(3), "100");
        check(1234.5678, 'g', Some(3), "1.23e+03");
        check(2.5, 'f', Some(0), "2");
        check(3.0, 'e', Some(6), "3.000000e+00");
        check(1e21, 'f', None, "1000000000000000000000");
        check(1.5, 'x', None, "0x1.8p+00");
        check(1.0, 'x', None, "0x1p+00");
        check(1.0, 'b', None, "4503599627370496p-52");
        check(f64::NEG_INFINITY, 'g', None, "-Inf");
    }
}

use std::fmt::Write as _;
use std::time::Duration;

use crate::{HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND, from_std};

/// Prints nanoseconds as Go does: `1h30m0s`, `1.5s`, `100ms`, `0s`.
pub fn format(nanoseconds: i64) -> String {
    let mut out = String::with_capacity(16);
    if nanoseconds < 0 {
        out.push('-');
    }
    let rest = nanoseconds.unsigned_abs();
    if rest < SECOND.unsigned_abs() {
        let (unit, name) = match rest {
            0 => {
                out.push_str("0s");
                return out;
            }
            1..1_000 => (1, "ns"),
            1_000..1_000_000 => (MICROSECOND.unsigned_abs(), "\u{b5}s"),
            _ => (MILLISECOND.unsigned_abs(), "ms"),
        };
        push_decimal(&mut out, rest, unit);
        out.push_str(name);
        return out;
    }
    let hours = rest / HOUR.unsigned_abs();
    let minutes = rest / MINUTE.unsigned_abs() % 60;
    if hours > 0 {
        let _ = write!(out, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(out, "{minutes}m");
    }
    push_decimal(&mut out, rest % MINUTE.unsigned_abs(), SECOND.unsigned_abs());
    out.push('s');
    out
}

/// Prints a standard duration as Go does.
pub fn format_std(duration: Duration) -> String {
    format(from_std(duration))
}

/// Pushes `value / unit`, `unit` being a power of ten, without zeros at the end.
fn push_decimal(out: &mut String, value: u64, unit: u64) {
    let _ = write!(out, "{}", value / unit);
    let mut fraction = value % unit;
    if fraction == 0 {
        return;
    }
    let mut width = unit.ilog10() as usize;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    let _ = write!(out, ".{fraction:0width$}");
}

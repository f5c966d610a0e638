//! Numbers from anything, as spf13/cast reads them: what does not fit is 0.

use crate::num;
use crate::value::{Int, IntKind, Value};

/// Go's conversion of a float64 on the platforms that matter: what does not fit is the least value.
pub(crate) fn float_to_int(value: f64) -> i64 {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if (-BOUND..BOUND).contains(&value) { value as i64 } else { i64::MIN }
}

/// Go's `strval` of sprig, as text.
pub(crate) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(int) if int.kind() == IntKind::Duration => 0,
        Value::Int(int) => int.signed(),
        Value::Float(value) => float_to_int(*value),
        Value::Bool(value) => i64::from(*value),
        Value::String(text) => {
            let text = text.to_text();
            num::parse_int(without_zero_fraction(&text), 0, 64).unwrap_or(0)
        }
        _ => 0,
    }
}

pub(crate) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Float(value) => *value,
        Value::Int(int) if int.kind() == IntKind::Duration => 0.0,
        Value::Int(int) => Int::float(*int),
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::String(text) => num::parse_float(&text.to_text()).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// `12.00` is `12`.
fn without_zero_fraction(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

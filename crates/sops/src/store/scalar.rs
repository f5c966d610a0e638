//! Values as text, for formats that know nothing else.

use sluice_yaml::number::format_float;

use crate::tree::Value;

/// What Go prints for a float that has no digits.
pub(crate) fn infinite(value: f64) -> Option<&'static str> {
    match value {
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ if value.is_nan() => Some("NaN"),
        _ => None,
    }
}

/// The value as Go prints it; `None` for maps and lists.
pub(super) fn to_text(value: &Value) -> Option<Vec<u8>> {
    let text = match value {
        Value::Text(text) => return Some(text.clone()),
        Value::List(_) | Value::Map(_) | Value::Foreign(_) => return None,
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) if !value.is_finite() => infinite(*value)?.to_owned(),
        Value::Float(value) => {
            let text = format_float(*value).replace('e', "E");
            if text.contains(['.', 'E']) { text } else { format!("{value:.1}") }
        }
        Value::Time(text) => text.clone(),
    };
    Some(text.into_bytes())
}

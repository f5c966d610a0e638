//! Reading fields as the Go libraries do, with their error texts.

use crate::Error;
use serde_json::{Number, Value};

/// A value under a path: absent where a step is missing or null, an error where a step is no map.
pub(crate) fn nested<'o>(object: &'o Value, path: &[&str]) -> Result<Option<&'o Value>, Error> {
    let mut value = object;
    for (depth, step) in path.iter().enumerate() {
        match value {
            Value::Null => return Ok(None),
            Value::Object(map) => match map.get(*step) {
                Some(next) => value = next,
                None => return Ok(None),
            },
            other => return Err(accessor(&path[..=depth], other, "map[string]interface{}")),
        }
    }
    Ok(Some(value))
}

/// A string that must be one if it is there.
pub(crate) fn string<'o>(object: &'o Value, path: &[&str]) -> Result<Option<&'o str>, Error> {
    match nested(object, path)? {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(accessor(path, other, "string")),
    }
}

/// An integer that must be one if it is there.
pub(crate) fn integer(object: &Value, path: &[&str]) -> Result<Option<i64>, Error> {
    match nested(object, path)? {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| accessor(path, value, "int64")),
    }
}

/// A string, or the default where there is none.
pub(crate) fn string_or<'o>(object: &'o Value, path: &[&str], default: &'o str) -> &'o str {
    nested(object, path).ok().flatten().and_then(Value::as_str).unwrap_or(default)
}

/// An integer, or the default where there is none.
pub(crate) fn integer_or(object: &Value, path: &[&str], default: i64) -> i64 {
    nested(object, path).ok().flatten().and_then(Value::as_i64).unwrap_or(default)
}

/// What the rules read of a condition.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Condition<'o> {
    pub(crate) type_: &'o str,
    pub(crate) status: &'o str,
    pub(crate) reason: &'o str,
    pub(crate) message: &'o str,
}

/// `status.conditions`.
pub(crate) struct Conditions<'o>(Vec<Condition<'o>>);

impl<'o> Conditions<'o> {
    pub(crate) fn read(object: &'o Value) -> Result<Self, Error> {
        let status = match object.get("status") {
            None | Some(Value::Null) => return Ok(Self(Vec::new())),
            Some(Value::Object(status)) => status,
            Some(other) => return Err(Error(format!("cannot restore struct from: {}", kind(other)))),
        };
        let items = match status.get("conditions") {
            None | Some(Value::Null) => return Ok(Self(Vec::new())),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(Error(format!("cannot restore slice from {}", kind(other)))),
        };
        items.iter().map(condition).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Condition<'o>> {
        self.0.iter()
    }

    pub(crate) fn find(&self, type_: &str, status: &str) -> Option<&Condition<'o>> {
        self.iter().find(|condition| condition.type_ == type_ && condition.status == status)
    }
}

fn condition(item: &Value) -> Result<Condition<'_>, Error> {
    let fields = match item {
        Value::Null => return Ok(Condition::default()),
        Value::Object(fields) => fields,
        other => return Err(Error(format!("cannot restore struct from: {}", kind(other)))),
    };
    let text = |name: &str, type_: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(Error(format!("cannot convert {} to {type_}", go_type(other)))),
    };
    Ok(Condition {
        type_: text("type", "string")?,
        status: text("status", "v1.ConditionStatus")?,
        reason: text("reason", "string")?,
        message: text("message", "string")?,
    })
}

fn accessor(path: &[&str], value: &Value, expected: &str) -> Error {
    let (value, type_) = (go_value(value), go_type(value));
    Error(format!(".{} accessor error: {value} is of the type {type_}, expected {expected}", path.join(".")))
}

/// As [`accessor`], for a list.
pub(crate) fn not_a_list(path: &[&str], value: &Value) -> Error {
    accessor(path, value, "[]interface{}")
}

/// Says what was looked up.
pub(crate) fn looking_up(path: &str) -> impl Fn(Error) -> Error + '_ {
    move |error| Error(format!("looking up {path} from resource: {error}"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "map",
        Value::Array(_) => "slice",
        other => go_type(other),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go prints it with `%v`.
fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => go_number(number),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_value).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{key}:{}", go_value(value)));
            format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
        }
    }
}

fn go_number(number: &Number) -> String {
    if let Some(integer) = number.as_i64() {
        return integer.to_string();
    }
    let float = number.as_f64().unwrap_or_default();
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..21).contains(&exponent) || exponent >= 6 && digits.len() > 1 => {
            format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        _ => float.to_string(),
    }
}

//! Functions and methods.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Type;
use crate::evaluate::{MAX_SIZE, no_overload};
use crate::value::Value;

type Outcome = Result<Value, String>;

/// The type of a call's result. `None`: there is no such function for these types.
pub(crate) fn result_type(target: Option<Type>, name: &str, arguments: &[Type]) -> Option<Type> {
    let count = arguments.len();
    let receiver = |wanted: Type| target.is_some_and(|target| target == wanted || target == Type::Dyn);
    Some(match (target.is_some(), name, count) {
        (false, "size", 1) | (true, "size", 0) => Type::Int,
        (false, "int", 1) => Type::Int,
        (false, "uint", 1) => Type::Uint,
        (false, "double", 1) => Type::Double,
        (false, "string", 1) => Type::String,
        (false, "bool", 1) => Type::Bool,
        (false, "bytes", 1) => Type::Bytes,
        (false, "type" | "dyn", 1) => Type::Dyn,
        (false, "duration", 1) => Type::Duration,
        (false, "timestamp", 1) => Type::Timestamp,
        (false, "matches", 2) => Type::Bool,
        (false, "optional.of" | "optional.ofNonZeroValue", 1) | (false, "optional.none", 0) => Type::Optional,
        (false, "base64.encode", 1) => Type::String,
        (false, "base64.decode", 1) => Type::Bytes,
        (false, "sets.contains" | "sets.equivalent" | "sets.intersects", 2) => Type::Bool,
        (true, "hasValue", 0) if receiver(Type::Optional) => Type::Bool,
        (true, "value", 0) if receiver(Type::Optional) => Type::Dyn,
        (true, "orValue", 1) if receiver(Type::Optional) => match arguments {
            [only] if target == Some(Type::Optional) && *only == Type::Bool => Type::Bool,
            _ => Type::Dyn,
        },
        (true, "or", 1) if receiver(Type::Optional) => Type::Optional,
        (true, "contains" | "startsWith" | "endsWith" | "matches", 1) if receiver(Type::String) => Type::Bool,
        (true, "lowerAscii" | "upperAscii" | "trim", 0) if receiver(Type::String) => Type::String,
        (true, "reverse", 0) if receiver(Type::String) => Type::String,
        (true, "charAt", 1) | (true, "substring", 1 | 2) | (true, "replace", 2 | 3)
            if receiver(Type::String) =>
        {
            Type::String
        }
        (true, "indexOf" | "lastIndexOf", 1 | 2) if receiver(Type::String) => Type::Int,
        (true, "split", 1 | 2) if receiver(Type::String) => Type::List,
        (true, "format", 1) if receiver(Type::String) => Type::String,
        (true, "join", 0 | 1) if receiver(Type::List) => Type::String,
        (true, "first" | "last", 0) if receiver(Type::List) => Type::Optional,
        (
            true,
            "getFullYear" | "getMonth" | "getDate" | "getDayOfMonth" | "getDayOfWeek" | "getDayOfYear",
            0,
        ) if receiver(Type::Timestamp) => Type::Int,
        (true, "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds", 0)
            if receiver(Type::Timestamp) || receiver(Type::Duration) =>
        {
            Type::Int
        }
        _ => return None,
    })
}

/// How many steps a call takes: in proportion to its texts.
pub(crate) fn cost(target: Option<&Value>, arguments: &[Value]) -> usize {
    let size = |value: &Value| match value {
        Value::Text(text) => text.len() / 10,
        Value::Bytes(bytes) => bytes.len() / 10,
        Value::List(items) => items.len(),
        _ => 0,
    };
    target.into_iter().chain(arguments).map(size).sum::<usize>() + 1
}

/// The type that a name stands for.
pub(crate) fn type_value(name: &str) -> Value {
    let known = ["int", "uint", "double", "bool", "string", "bytes", "list", "map", "type", "null_type"];
    Value::Type(known.into_iter().find(|known| *known == name).unwrap_or("type"))
}

/// Calls a function or a method.
pub(crate) fn call(target: Option<&Value>, name: &str, arguments: &[Value]) -> Outcome {
    let fault = || {
        let all: Vec<_> = target.into_iter().chain(arguments).collect();
        no_overload(name, &all)
    };
    match (target, arguments) {
        (None, [value]) | (Some(value), []) if name == "size" => size(value).ok_or_else(fault),
        (None, [text, pattern]) if name == "matches" => {
            matches(text, pattern).unwrap_or_else(|| Err(fault()))
        }
        (None, []) if name == "optional.none" => Ok(Value::Optional(None)),
        (None, [value]) => function(name, value).unwrap_or_else(|| Err(fault())),
        (None, [Value::List(a), Value::List(b)]) => {
            let within =
                |a: &[Value], b: &[Value]| b.iter().all(|item| a.iter().any(|other| other.equals(item)));
            match name {
                "sets.contains" => Ok(Value::Bool(within(a, b))),
                "sets.equivalent" => Ok(Value::Bool(within(a, b) && within(b, a))),
                "sets.intersects" => {
                    Ok(Value::Bool(b.iter().any(|item| a.iter().any(|other| other.equals(item)))))
                }
                _ => Err(fault()),
            }
        }
        (Some(Value::Optional(inner)), arguments) => {
            optional(inner.as_ref(), name, arguments).unwrap_or_else(|| Err(fault()))
        }
        (Some(Value::Text(text)), arguments) => {
            of_text(text, name, arguments).unwrap_or_else(|| Err(fault()))
        }
        (Some(Value::List(items)), []) if matches!(name, "first" | "last") => {
            let found = if name == "first" { items.first() } else { items.last() };
            Ok(Value::Optional(found.map(|item| Arc::new(item.clone()))))
        }
        (Some(Value::List(items)), arguments) if name == "join" => {
            let separator = match arguments {
                [] => "",
                [Value::Text(separator)] => separator,
                _ => return Err(fault()),
            };
            let texts: Option<Vec<_>> = items
                .iter()
                .map(|item| if let Value::Text(text) = item { Some(&**text) } else { None })
                .collect();
            bounded(texts.ok_or_else(fault)?.join(separator))
        }
        (Some(Value::Timestamp(time)), []) => {
            let time = time.to_zoned(jiff::tz::TimeZone::UTC);
            Ok(Value::Int(match name {
                "getFullYear" => time.year().into(),
                "getMonth" => i64::from(time.month()) - 1,
                "getDate" => time.day().into(),
                "getDayOfMonth" => i64::from(time.day()) - 1,
                "getDayOfWeek" => time.weekday().to_sunday_zero_offset().into(),
                "getDayOfYear" => i64::from(time.day_of_year()) - 1,
                "getHours" => time.hour().into(),
                "getMinutes" => time.minute().into(),
                "getSeconds" => time.second().into(),
                "getMilliseconds" => time.millisecond().into(),
                _ => return Err(fault()),
            }))
        }
        (Some(Value::Duration(span)), []) => Ok(Value::Int(match name {
            "getHours" => span / sluice_duration::HOUR,
            "getMinutes" => span / sluice_duration::MINUTE,
            "getSeconds" => span / sluice_duration::SECOND,
            "getMilliseconds" => span / sluice_duration::MILLISECOND % 1000,
            _ => return Err(fault()),
        })),
        _ => Err(fault()),
    }
}

fn size(value: &Value) -> Option<Value> {
    Some(Value::Int(match value {
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        _ => return None,
    } as i64))
}

fn matches(text: &Value, pattern: &Value) -> Option<Outcome> {
    let (Value::Text(text), Value::Text(pattern)) = (text, pattern) else { return None };
    let regex = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build();
    Some(match regex {
        Ok(regex) => Ok(Value::Bool(regex.is_match(text))),
        Err(error) => Err(format!("invalid regular expression: {error}")),
    })
}

/// Functions of one argument, conversions above all.
fn function(name: &str, value: &Value) -> Option<Outcome> {
    let range = || Err("range error".to_owned());
    Some(match (name, value) {
        ("dyn", value) => Ok(value.clone()),
        ("type", value) => Ok(Value::Type(value.type_name())),
        ("string", value) => Ok(Value::text(value.to_text()?)),
        ("bool", Value::Bool(truth)) => Ok(Value::Bool(*truth)),
        ("bool", Value::Text(text)) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            other => Err(format!("type conversion error from '{other}' to bool")),
        },
        ("int", Value::Int(number)) => Ok(Value::Int(*number)),
        ("int", Value::Uint(number)) => i64::try_from(*number).map(Value::Int).or_else(|_| range()),
        ("int", Value::Double(number)) if number.abs() < 9.3e18 => Ok(Value::Int(*number as i64)),
        ("int", Value::Text(text)) => {
            text.parse().map(Value::Int).map_err(|_| format!("type conversion error from '{text}' to int"))
        }
        ("int", Value::Timestamp(time)) => Ok(Value::Int(time.as_second())),
        ("uint", Value::Uint(number)) => Ok(Value::Uint(*number)),
        ("uint", Value::Int(number)) => u64::try_from(*number).map(Value::Uint).or_else(|_| range()),
        ("uint", Value::Double(number)) if (0.0..1.8e19).contains(number) => Ok(Value::Uint(*number as u64)),
        ("uint", Value::Text(text)) => {
            text.parse().map(Value::Uint).map_err(|_| format!("type conversion error from '{text}' to uint"))
        }
        ("double", Value::Double(number)) => Ok(Value::Double(*number)),
        ("double", Value::Int(number)) => Ok(Value::Double(*number as f64)),
        ("double", Value::Uint(number)) => Ok(Value::Double(*number as f64)),
        ("double", Value::Text(text)) => text
            .parse()
            .map(Value::Double)
            .map_err(|_| format!("type conversion error from '{text}' to double")),
        ("int" | "uint", Value::Double(_)) => range(),
        ("bytes", Value::Bytes(_)) => Ok(value.clone()),
        ("bytes", Value::Text(text)) => Ok(Value::Bytes(text.as_bytes().into())),
        ("duration", Value::Duration(_)) | ("timestamp", Value::Timestamp(_)) => Ok(value.clone()),
        ("duration", Value::Text(text)) => {
            sluice_duration::parse(text).map(Value::Duration).map_err(|error| error.to_string())
        }
        ("timestamp", Value::Text(text)) => text
            .parse()
            .map(Value::Timestamp)
            .map_err(|_| format!("type conversion error from '{text}' to timestamp")),
        ("timestamp", Value::Int(second)) => {
            jiff::Timestamp::from_second(*second).map(Value::Timestamp).or_else(|_| range())
        }
        ("optional.of", value) => Ok(Value::Optional(Some(Arc::new(value.clone())))),
        ("optional.ofNonZeroValue", value) => {
            Ok(Value::Optional(if is_zero(value) { None } else { Some(Arc::new(value.clone())) }))
        }
        ("base64.encode", Value::Bytes(bytes)) => bounded(STANDARD.encode(bytes)),
        ("base64.decode", Value::Text(text)) => match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Value::Bytes(bytes.into())),
            Err(error) => Err(format!("invalid base64: {error}")),
        },
        _ => return None,
    })
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) | Value::Uint(0) | Value::Duration(0) => true,
        Value::Double(number) => *number == 0.0,
        Value::Text(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

fn optional(inner: Option<&Arc<Value>>, name: &str, arguments: &[Value]) -> Option<Outcome> {
    Some(match (name, arguments) {
        ("hasValue", []) => Ok(Value::Bool(inner.is_some())),
        ("value", []) => {
            inner.map(|value| (**value).clone()).ok_or_else(|| "optional.none() dereference".to_owned())
        }
        ("orValue", [default]) => Ok(inner.map_or_else(|| default.clone(), |value| (**value).clone())),
        ("or", [other @ Value::Optional(_)]) => {
            Ok(inner.map_or_else(|| other.clone(), |value| Value::Optional(Some(value.clone()))))
        }
        _ => return None,
    })
}

fn bounded(text: String) -> Outcome {
    if text.len() > MAX_SIZE { Err("the result is too large".to_owned()) } else { Ok(Value::text(text)) }
}

fn of_text(text: &str, name: &str, arguments: &[Value]) -> Option<Outcome> {
    let characters = || text.chars().collect::<Vec<_>>();
    Some(match (name, arguments) {
        ("contains", [Value::Text(part)]) => Ok(Value::Bool(text.contains(&**part))),
        ("startsWith", [Value::Text(part)]) => Ok(Value::Bool(text.starts_with(&**part))),
        ("endsWith", [Value::Text(part)]) => Ok(Value::Bool(text.ends_with(&**part))),
        ("matches", [pattern]) => return matches(&Value::text(text), pattern),
        ("lowerAscii", []) => Ok(Value::text(text.to_ascii_lowercase())),
        ("upperAscii", []) => Ok(Value::text(text.to_ascii_uppercase())),
        ("trim", []) => Ok(Value::text(text.trim())),
        ("reverse", []) => Ok(Value::text(text.chars().rev().collect::<String>())),
        ("charAt", [Value::Int(at)]) => {
            let characters = characters();
            match usize::try_from(*at) {
                Ok(at) if at < characters.len() => Ok(Value::text(characters[at].to_string())),
                Ok(at) if at == characters.len() => Ok(Value::text("")),
                _ => Err(format!("index out of range: {at}")),
            }
        }
        ("substring", [Value::Int(from)]) => {
            return of_text(text, name, &[Value::Int(*from), Value::Int(text.chars().count() as i64)]);
        }
        ("substring", [Value::Int(from), Value::Int(to)]) => {
            let characters = characters();
            match (usize::try_from(*from), usize::try_from(*to)) {
                (Ok(from), Ok(to)) if from <= to && to <= characters.len() => {
                    Ok(Value::text(characters[from..to].iter().collect::<String>()))
                }
                _ => Err(format!("invalid substring range. start: {from}, end: {to}")),
            }
        }
        ("indexOf" | "lastIndexOf", [Value::Text(part)]) => {
            let found = if name == "indexOf" { text.find(&**part) } else { text.rfind(&**part) };
            Ok(Value::Int(found.map_or(-1, |at| text[..at].chars().count() as i64)))
        }
        ("replace", [Value::Text(old), Value::Text(new)]) => {
            let longest = text.len().saturating_add((text.len() + 1).saturating_mul(new.len()));
            let count = text.matches(&**old).count();
            if longest > MAX_SIZE && count.saturating_mul(new.len()) > MAX_SIZE {
                return Some(Err("the result is too large".to_owned()));
            }
            bounded(text.replace(&**old, new))
        }
        ("replace", [Value::Text(old), Value::Text(new), Value::Int(count)]) => match usize::try_from(*count)
        {
            Ok(count) if count.saturating_mul(new.len()) <= MAX_SIZE => {
                bounded(text.replacen(&**old, new, count))
            }
            Ok(_) => Err("the result is too large".to_owned()),
            Err(_) => return of_text(text, name, &arguments[..2]),
        },
        ("split", [Value::Text(separator)]) => {
            Ok(Value::List(pieces(text, separator).into_iter().map(Value::text).collect()))
        }
        ("split", [Value::Text(separator), Value::Int(limit)]) => {
            let pieces: Vec<_> = match usize::try_from(*limit) {
                Ok(0) => Vec::new(),
                Ok(limit) if !separator.is_empty() => text.splitn(limit, &**separator).collect(),
                _ => pieces(text, separator),
            };
            Ok(Value::List(pieces.into_iter().map(Value::text).collect()))
        }
        _ => return None,
    })
}

fn pieces<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    if separator.is_empty() {
        return text.char_indices().map(|(at, character)| &text[at..at + character.len_utf8()]).collect();
    }
    text.split(separator).collect()
}

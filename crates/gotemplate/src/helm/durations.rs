//! Durations from anything.

use sluice_duration::{HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND};

use crate::cast::float_to_int;
use crate::func::Func;
use crate::num;
use crate::time::{duration, in_units, round, truncate};
use crate::value::{Class, IntKind, Type, Value};

const ANY: Type = Type::ANY;
const DURATION: Type = Type::new("time.Duration", Class::Int(IntKind::Duration));

macro_rules! float_units {
    ($name:literal, $unit:expr, $parts:expr) => {
        Func::new($name, &[ANY], Type::FLOAT, |_, args| {
            Ok(Value::Float(read(&args[0]).map_or(0.0, |value| {
                let parts: &[f64] = $parts;
                parts.iter().fold(in_units(value, $unit), |value, part| value / part)
            })))
        })
    };
}

macro_rules! int_units {
    ($name:literal, $unit:expr) => {
        Func::new($name, &[ANY], Type::INT64, |_, args| {
            Ok(Value::int64(read(&args[0]).map_or(0, |value| value / $unit)))
        })
    };
}

pub(super) static FUNCS: &[Func] = &[
    Func::new("mustToDuration", &[ANY], DURATION, |_, args| Ok(duration(read(&args[0])?))),
    float_units!("durationSeconds", SECOND, &[]),
    float_units!("durationMinutes", MINUTE, &[]),
    float_units!("durationHours", HOUR, &[]),
    float_units!("durationDays", HOUR, &[24.0]),
    float_units!("durationWeeks", HOUR, &[24.0, 7.0]),
    int_units!("durationMilliseconds", MILLISECOND),
    int_units!("durationMicroseconds", MICROSECOND),
    int_units!("durationNanoseconds", 1),
    Func::new("durationRoundTo", &[ANY, ANY], DURATION, |_, args| {
        let Ok(value) = read(&args[0]) else { return Ok(duration(0)) };
        Ok(duration(read(&args[1]).map_or(value, |unit| round(value, unit))))
    }),
    Func::new("durationTruncateTo", &[ANY, ANY], DURATION, |_, args| {
        let Ok(value) = read(&args[0]) else { return Ok(duration(0)) };
        Ok(duration(read(&args[1]).map_or(value, |unit| truncate(value, unit))))
    }),
];

/// A duration from text, or from a number of seconds.
fn read(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(int) if int.kind() == IntKind::Duration => Ok(int.signed()),
        Value::Int(int) => i64::try_from(int.wide() * i128::from(SECOND))
            .map_err(|_| format!("duration seconds overflow: {int}")),
        Value::Float(value) => from_float(*value),
        Value::String(text) => {
            let whole = text.to_text();
            let text = whole.trim_matches(crate::unicode::is_space);
            if text.is_empty() {
                return Err("empty duration".to_owned());
            }
            if let Ok(value) = sluice_duration::parse(text) {
                return Ok(value);
            }
            match num::parse_float(text) {
                Some(seconds) => from_float(seconds),
                None => Err(format!("could not parse duration {}", crate::fmt::quoted(whole.as_bytes()))),
            }
        }
        Value::Missing | Value::Nil => Err("invalid duration".to_owned()),
        other => Err(format!("unsupported duration type {}", other.type_name())),
    }
}

fn from_float(seconds: f64) -> Result<i64, String> {
    const MOST: f64 = i64::MAX as f64 / SECOND as f64;
    let shown = || crate::fmt::format_float(seconds, 'g', None);
    if !seconds.is_finite() {
        return Err(format!("invalid duration seconds: {}", shown()));
    }
    if seconds.abs() > MOST {
        return Err(format!("duration seconds overflow: {}", shown()));
    }
    Ok(float_to_int(seconds * SECOND as f64))
}

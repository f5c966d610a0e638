//! What can be called on times and durations.

use jiff::tz::TimeZone;

use super::{Time, as_time, duration, format};
use crate::args::{int, text};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::value::{Class, Int, IntKind, Method, Type, Value};

type Call = fn(&mut Ctx<'_>, &Value, &mut [Value]) -> Result<Value, Failure>;

const fn method(name: &'static str, params: &'static [Type], result: Type, call: Call) -> Method {
    Method { name, params, variadic: false, result, call }
}

const DURATION_TYPE: Type = Type::new("time.Duration", Class::Int(IntKind::Duration));

macro_rules! of_time {
    ($name:literal, $result:expr, |$time:ident| $body:expr) => {
        method($name, &[], $result, |_, receiver, _| {
            let Some($time) = as_time(receiver) else {
                return Ok(Value::Missing);
            };
            Ok($body)
        })
    };
}

pub(super) const TIME: &[Method] = &[
    of_time!("Year", Type::INT, |time| Value::int(i64::from(time.civil().year()))),
    of_time!("Month", Type::new("time.Month", Class::Int(IntKind::Month)), |time| {
        Value::Int(Int::new(IntKind::Month, i64::from(time.civil().month())))
    }),
    of_time!("Day", Type::INT, |time| Value::int(i64::from(time.civil().day()))),
    of_time!("Hour", Type::INT, |time| Value::int(i64::from(time.civil().hour()))),
    of_time!("Minute", Type::INT, |time| Value::int(i64::from(time.civil().minute()))),
    of_time!("Second", Type::INT, |time| Value::int(i64::from(time.civil().second()))),
    of_time!("Nanosecond", Type::INT, |time| Value::int(i64::from(time.civil().subsec_nanosecond()))),
    of_time!("YearDay", Type::INT, |time| Value::int(i64::from(time.civil().day_of_year()))),
    of_time!("Weekday", Type::new("time.Weekday", Class::Int(IntKind::Weekday)), |time| {
        Value::Int(Int::new(IntKind::Weekday, i64::from(time.civil().weekday().to_sunday_zero_offset())))
    }),
    of_time!("Unix", Type::INT64, |time| Value::int64(time.at.as_second())),
    of_time!("UnixMilli", Type::INT64, |time| Value::int64(time.at.as_millisecond())),
    of_time!("UnixMicro", Type::INT64, |time| Value::int64(time.at.as_microsecond())),
    of_time!("UnixNano", Type::INT64, |time| Value::int64(time.at.as_nanosecond() as i64)),
    of_time!("IsZero", Type::BOOL, |time| Value::Bool(time.at == Time::zero().at)),
    of_time!("String", Type::STRING, |time| Value::String(crate::value::Object::print(time))),
    of_time!("UTC", super::TIME, |time| Time::new(time.at, TimeZone::UTC).into()),
    method("Local", &[], super::TIME, |ctx, receiver, _| {
        let zone = ctx.host().time_zone();
        Ok(as_time(receiver).map_or(Value::Missing, |time| Time::new(time.at, zone).into()))
    }),
    method("Format", &[Type::STRING], Type::STRING, |_, receiver, args| {
        let layout = text(&args[0]).to_text();
        Ok(as_time(receiver).map_or(Value::Missing, |time| format(time, &layout).into()))
    }),
    method("Add", &[DURATION_TYPE], super::TIME, |_, receiver, args| {
        Ok(as_time(receiver).map_or(Value::Missing, |time| time.add(int(&args[0])).into()))
    }),
    method("AddDate", &[Type::INT, Type::INT, Type::INT], super::TIME, |_, receiver, args| {
        let Some(time) = as_time(receiver) else {
            return Ok(Value::Missing);
        };
        Ok(add_date(time, int(&args[0]), int(&args[1]), int(&args[2])).into())
    }),
    method("Sub", &[super::TIME], DURATION_TYPE, |_, receiver, args| {
        Ok(match (as_time(receiver), as_time(&args[0])) {
            (Some(left), Some(right)) => duration(left.since(right.at)),
            _ => Value::Missing,
        })
    }),
    method("After", &[super::TIME], Type::BOOL, |_, receiver, args| {
        compare(receiver, args, |order| order > 0)
    }),
    method("Before", &[super::TIME], Type::BOOL, |_, receiver, args| {
        compare(receiver, args, |order| order < 0)
    }),
    method("Equal", &[super::TIME], Type::BOOL, |_, receiver, args| {
        compare(receiver, args, |order| order == 0)
    }),
    method("Truncate", &[DURATION_TYPE], super::TIME, |_, receiver, args| {
        let unit = i128::from(int(&args[0]));
        Ok(as_time(receiver).map_or(Value::Missing, |time| {
            // Go counts from year 1.
            let since = time.at.as_nanosecond() - Time::zero().at.as_nanosecond();
            let back = if unit > 0 { since.rem_euclid(unit) } else { 0 };
            time.add(-(back as i64)).into()
        }))
    }),
];

fn compare(receiver: &Value, args: &[Value], test: fn(i8) -> bool) -> Result<Value, Failure> {
    Ok(match (as_time(receiver), as_time(&args[0])) {
        (Some(left), Some(right)) => Value::Bool(test(left.at.cmp(&right.at) as i8)),
        _ => Value::Missing,
    })
}

/// Go's `AddDate`: the 31st of a month that has none is the first of the next.
fn add_date(time: &Time, years: i64, months: i64, days: i64) -> Time {
    let civil = time.civil();
    let month_index = i64::from(civil.month()) - 1 + months;
    let year = i64::from(civil.year()) + years + month_index.div_euclid(12);
    let month = month_index.rem_euclid(12) + 1;
    let first = i16::try_from(year).ok().and_then(|year| jiff::civil::Date::new(year, month as i8, 1).ok());
    let offset = i64::from(civil.day()) - 1 + days;
    let date = first.and_then(|first| {
        let span = jiff::Span::new().try_days(offset).ok()?;
        first.checked_add(span).ok()
    });
    let moved = date.and_then(|date| date.to_datetime(civil.time()).to_zoned(time.zone.clone()).ok());
    match moved {
        Some(zoned) => Time { at: zoned.timestamp(), ..time.clone() },
        None => time.clone(),
    }
}

macro_rules! of_duration {
    ($name:literal, $result:expr, |$value:ident| $body:expr) => {
        method($name, &[], $result, |_, receiver, _| {
            let $value = int(receiver);
            Ok($body)
        })
    };
}

fn float_units(value: i64, unit: i64) -> f64 {
    let whole = value / unit;
    let rest = value % unit;
    whole as f64 + rest as f64 / unit as f64
}

/// A duration in hours, minutes or seconds, as Go divides.
pub(crate) fn in_units(value: i64, unit: i64) -> f64 {
    float_units(value, unit)
}

pub(super) const DURATION: &[Method] = &[
    of_duration!("Hours", Type::FLOAT, |value| Value::Float(float_units(value, sluice_duration::HOUR))),
    of_duration!("Minutes", Type::FLOAT, |value| Value::Float(float_units(value, sluice_duration::MINUTE))),
    of_duration!("Seconds", Type::FLOAT, |value| Value::Float(float_units(value, sluice_duration::SECOND))),
    of_duration!("Milliseconds", Type::INT64, |value| Value::int64(value / sluice_duration::MILLISECOND)),
    of_duration!("Microseconds", Type::INT64, |value| Value::int64(value / sluice_duration::MICROSECOND)),
    of_duration!("Nanoseconds", Type::INT64, |value| Value::int64(value)),
    of_duration!("Abs", DURATION_TYPE, |value| duration(value.saturating_abs())),
    of_duration!("String", Type::STRING, |value| Value::from(sluice_duration::format(value))),
    method("Round", &[DURATION_TYPE], DURATION_TYPE, |_, receiver, args| {
        Ok(duration(super::round(int(receiver), int(&args[0]))))
    }),
    method("Truncate", &[DURATION_TYPE], DURATION_TYPE, |_, receiver, args| {
        Ok(duration(super::truncate(int(receiver), int(&args[0]))))
    }),
];

pub(super) const NAMED: &[Method] = &[method("String", &[], Type::STRING, |_, receiver, _| {
    Ok(match receiver {
        Value::Int(int) => super::named_int(*int).unwrap_or_default().into(),
        _ => Value::Missing,
    })
})];

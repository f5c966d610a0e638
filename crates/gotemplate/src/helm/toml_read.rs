//! TOML to values: integers stay `int64`, dates become times.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use toml::Value as Toml;

use crate::time::Time;
use crate::value::{List, Map, Value};

/// Reads a document.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| message(text, &error))?;
    Ok(convert(Toml::Table(table)))
}

/// The error as one line that says where.
fn message(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text[..at].matches('\n').count() + 1;
    format!("toml: line {line}: {}", error.message())
}

fn convert(value: Toml) -> Value {
    match value {
        Toml::String(text) => text.into(),
        Toml::Integer(value) => Value::int64(value),
        Toml::Float(value) => Value::Float(value),
        Toml::Boolean(value) => Value::Bool(value),
        Toml::Datetime(value) => time(&value).map_or_else(|| value.to_string().into(), Value::from),
        Toml::Array(items) => {
            let tables = !items.is_empty() && items.iter().all(Toml::is_table);
            let values = items.into_iter().map(convert).collect();
            if tables {
                Value::List(List::of(&crate::value::list::MAPS, values))
            } else {
                Value::list(values)
            }
        }
        Toml::Table(entries) => {
            Value::Map(Map::from_entries(entries.into_iter().map(|(key, value)| (key, convert(value)))))
        }
    }
}

fn time(value: &toml::value::Datetime) -> Option<Time> {
    let (year, month, day) =
        value.date.map_or((0, 1, 1), |date| (date.year as i16, date.month as i8, date.day as i8));
    let (hour, minute, second, nanosecond) = value.time.map_or((0, 0, 0, 0), |time| {
        let second = time.second as i8;
        (time.hour as i8, time.minute as i8, second, time.nanosecond as i32)
    });
    let civil = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
    let zone = match value.offset {
        Some(toml::value::Offset::Custom { minutes }) => {
            TimeZone::fixed(Offset::from_seconds(i32::from(minutes) * 60).ok()?)
        }
        _ => TimeZone::UTC,
    };
    let zoned = civil.to_zoned(zone.clone()).ok()?;
    // What has no offset is in a zone of its own.
    let zone_name = match (value.date, value.time, value.offset) {
        (_, _, Some(_)) => None,
        (Some(_), Some(_), None) => Some("datetime-local".into()),
        (Some(_), None, None) => Some("date-local".into()),
        (None, _, None) => Some("time-local".into()),
    };
    Some(Time { at: zoned.timestamp(), zone, zone_name })
}

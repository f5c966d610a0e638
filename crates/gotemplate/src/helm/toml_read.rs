//! TOML to values: integers stay `int64`, dates become times.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use toml::Value as Toml;

use super::toml_problem::problem;
use crate::time::Time;
use crate::value::{List, Map, Value};

/// Reads a document.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| message(text, &error))?;
    Ok(convert(Toml::Table(table)))
}

/// The error as one line that says where.
fn message(text: &str, error: &toml::de::Error) -> String {
    if let Some(problem) = problem(text, error) {
        return problem;
    }
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

#[cfg(test)]
mod tests {
    use super::read;

    /// Made with helm 4.3.1.
    #[test]
    fn what_is_no_toml_is_told_as_helm_tells_it() {
        for (document, expected) in [
            ("a", "toml: line 1: unexpected EOF; expected key separator '='"),
            ("= 1", "toml: line 1: unexpected '=': key name appears blank"),
            ("a = 01", "toml: line 1 (last key \"a\"): Invalid integer \"01\": cannot have leading zeroes"),
            ("a = tru", "toml: line 1 (last key \"a\"): expected value but found \"tru\" instead"),
            (
                "a = [1, \"x\"",
                "toml: line 1 (last key \"a\"): expected a comma (',') or array terminator (']'), but got end of file",
            ),
            (
                "a = { b = 1",
                "toml: line 1 (last key \"a.b\"): expected a comma or an inline table terminator '}', but got end of file instead",
            ),
            ("[a", "toml: line 1: expected '.' or ']' to end table name, but got '\\x00' instead"),
            ("a = \"\\q\"", "toml: line 1 (last key \"a\"): invalid escape in string '\\q'"),
            ("a = 1979-13-01", "toml: line 1 (last key \"a\"): invalid datetime: \"1979-13-01\""),
            (
                "a = 1__0",
                "toml: line 1 (last key \"a\"): Invalid integer \"1__0\": underscores must be surrounded by digits",
            ),
            (
                "a = 99999999999999999999",
                "toml: line 1 (last key \"a\"): 99999999999999999999 is out of range for int64",
            ),
            (
                "a = 1.",
                "toml: line 1 (last key \"a\"): Invalid float \"1.\": '.' must be followed by one or more digits",
            ),
            ("a = ", "toml: line 1 (last key \"a\"): unexpected EOF; expected value"),
            ("a = foo", "toml: line 1 (last key \"a\"): expected value but found \"foo\" instead"),
            ("a = [1,, 2]", "toml: line 1 (last key \"a\"): unexpected comma"),
            ("[a]\n[a]", "toml: line 2: Key 'a' has already been defined."),
            ("a = \"x", "toml: line 1 (last key \"a\"): unexpected EOF; expected '\"'"),
            ("a = 'x", "toml: line 1 (last key \"a\"): unexpected EOF; expected \"'\""),
            ("a = .5", "toml: line 1 (last key \"a\"): floats must start with a digit, not '.'"),
            ("a = 1e", "toml: line 1 (last key \"a\"): Invalid float value: \"1e\""),
            ("a b = 1", "toml: line 1: expected '.' or '=', but got 'b' instead"),
            ("a: 1", "toml: line 1: expected '.' or '=', but got ':' instead"),
            (
                "a = 1 b = 2",
                "toml: line 1: expected a top-level item to end with a newline, comment, or EOF, but got 'b' instead",
            ),
            ("- a", "toml: line 1: expected '.' or '=', but got 'a' instead"),
            ("{\"a\": 1}", "toml: line 1: expected '.' or '=', but got '{' instead"),
            (
                "a = \"x\" y",
                "toml: line 1: expected a top-level item to end with a newline, comment, or EOF, but got 'y' instead",
            ),
            ("[[a]\n", "toml: line 2: expected end of table array name delimiter ']', but got '\\n' instead"),
            (
                "[a]]",
                "toml: line 1 (last key \"a\"): expected a top-level item to end with a newline, comment, or EOF, but got ']' instead",
            ),
            ("a = 2020-01-01T", "toml: line 1 (last key \"a\"): invalid datetime: \"2020-01-01T\""),
            ("a. = 1", "toml: line 1: unexpected '='"),
            (".a = 1", "toml: line 1: unexpected '.': keys cannot start with a '.'"),
            ("a = +", "toml: line 1 (last key \"a\"): expected a digit but got '\\x00'"),
            ("a = _1", "toml: line 1 (last key \"a\"): expected value but found '_' instead"),
            (
                "a = true1",
                "toml: line 1: expected a top-level item to end with a newline, comment, or EOF, but got '1' instead",
            ),
            (
                "a = [1 2]",
                "toml: line 1 (last key \"a\"): expected a comma (',') or array terminator (']'), but got '2'",
            ),
            ("# c\n\na = x", "toml: line 3 (last key \"a\"): expected value but found \"x\" instead"),
            ("a = \"\"\"x", "toml: line 1 (last key \"a\"): unexpected EOF; expected '\"\"\"'"),
            (
                "a = \"\\u00\"",
                "toml: line 1 (last key \"a\"): expected four hexadecimal digits after '\\u', but got \"\\\\u00\\\"\" instead",
            ),
            ("a\n= 1", "toml: line 1: expected '.' or '=', but got '\\n' instead"),
            ("a = null", "toml: line 1 (last key \"a\"): expected value but found \"null\" instead"),
            ("key = value", "toml: line 1 (last key \"key\"): expected value but found \"value\" instead"),
            ("a = nil", "toml: line 1 (last key \"a\"): expected value but found \"nil\" instead"),
            ("name: x\nb = 1", "toml: line 1: expected '.' or '=', but got ':' instead"),
            ("[ ]", "toml: line 1: unexpected end of table name (table names cannot be empty)"),
            ("[a.]", "toml: line 1: unexpected end of table name (table names cannot be empty)"),
            ("[[a]]\n[a]", "toml: line 2: Key 'a' has already been defined."),
            ("a = 1\n[a]", "toml: line 2: Key 'a' has already been defined."),
            ("a = [1]\n[[a]]", "toml: line 2: Key 'a' was already created and cannot be used as an array."),
            ("a = 0b2", "toml: line 1 (last key \"a\"): not a binary number: '0b2'"),
            ("a = 0o8", "toml: line 1 (last key \"a\"): not an octal number: '0o8'"),
            (
                "a = 1_",
                "toml: line 1 (last key \"a\"): Invalid integer \"1_\": underscores must be surrounded by digits",
            ),
            ("a = --1", "toml: line 1 (last key \"a\"): expected a digit but got '-'"),
            ("a = 1.2.3", "toml: line 1 (last key \"a\"): Invalid float value: \"1.2.3\""),
            ("a = 24:00:00", "toml: line 1 (last key \"a\"): invalid datetime: \"24:00:00\""),
            (
                "[t]\nd = { e = 1,  = 2 }",
                "toml: line 2 (last key \"t.d.e\"): unexpected '=': key name appears blank",
            ),
            (
                "d = 2020-01-01t0:00:00z",
                "toml: line 1 (last key \"d\"): invalid datetime: \"2020-01-01T0:00:00Z\"",
            ),
            ("k = 1-z", "toml: line 1 (last key \"k\"): invalid datetime: \"1-Z\""),
        ] {
            assert_eq!(read(document).err().as_deref(), Some(expected), "{document}");
        }
    }
}

//! Go's `time.Time`, `time.Duration` and their kin.

mod format;
mod methods;
mod parse;

use std::any::Any;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub(crate) use format::format;
pub(crate) use methods::in_units;
pub(crate) use parse::parse;

use crate::value::{Int, IntKind, Method, Object, Str, Type, Value};

/// `time.Time`
pub(crate) const TIME: Type = Type::new("time.Time", crate::value::Class::Struct);

/// A moment in a zone.
#[derive(Clone)]
pub(crate) struct Time {
    pub(crate) at: Timestamp,
    pub(crate) zone: TimeZone,
    /// The name of a zone that was made up for an abbreviation that is not known.
    pub(crate) zone_name: Option<Str>,
}

impl Time {
    /// The moment in a zone.
    pub(crate) const fn new(at: Timestamp, zone: TimeZone) -> Self {
        Self { at, zone, zone_name: None }
    }

    /// The abbreviation of the zone; where it has none the offset.
    fn abbreviation(&self) -> String {
        if let Some(name) = &self.zone_name {
            return name.to_text().into_owned();
        }
        let info = self.zone.to_offset_info(self.at);
        let name = info.abbreviation();
        if self.zone.iana_name().is_none() && name.starts_with(['+', '-']) {
            let minutes = info.offset().seconds() / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            return format!("{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60);
        }
        name.to_owned()
    }

    /// Go's zero time.
    pub(crate) fn zero() -> Self {
        let at = DateTime::new(1, 1, 1, 0, 0, 0, 0).and_then(|civil| civil.to_zoned(TimeZone::UTC));
        Self::new(at.map(|zoned| zoned.timestamp()).unwrap_or_default(), TimeZone::UTC)
    }

    /// The moment so many seconds after 1970; nothing if that is out of range.
    pub(crate) fn unix(seconds: i64, zone: TimeZone) -> Option<Self> {
        Some(Self::new(Timestamp::from_second(seconds).ok()?, zone))
    }

    pub(crate) fn civil(&self) -> DateTime {
        self.zone.to_datetime(self.at)
    }

    /// Nanoseconds from the other moment to this one, as far as a `Duration` goes.
    pub(crate) fn since(&self, other: Timestamp) -> i64 {
        let difference = self.at.as_nanosecond() - other.as_nanosecond();
        difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// The moment so many nanoseconds later.
    pub(crate) fn add(&self, nanoseconds: i64) -> Self {
        let at = Timestamp::from_nanosecond(self.at.as_nanosecond() + i128::from(nanoseconds));
        Self { at: at.unwrap_or(self.at), ..self.clone() }
    }
}

impl From<Time> for Value {
    fn from(time: Time) -> Self {
        Self::object(time)
    }
}

/// The time in a value, if it is one.
pub(crate) fn as_time(value: &Value) -> Option<&Time> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref(),
        _ => None,
    }
}

impl Object for Time {
    fn type_name(&self) -> &'static str {
        TIME.name
    }

    fn methods(&self) -> &'static [Method] {
        methods::TIME
    }

    fn print(&self) -> Str {
        let mut layout = String::from("2006-01-02 15:04:05.999999999 -0700 MST");
        if self.civil().year() < 0 {
            layout.insert(0, '-');
        }
        format(self, &layout).into()
    }

    fn has_string_method(&self) -> bool {
        true
    }

    fn to_plain(&self) -> Value {
        Value::string(format(self, "2006-01-02T15:04:05.999999999Z07:00"))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.at == other.at)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(crate) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The text of an integer whose type has a `String` method.
pub(crate) fn named_int(int: Int) -> Option<String> {
    let named = |names: &[&str], first: i64, kind: &str| {
        let at = usize::try_from(int.signed() - first).ok();
        let name = at.and_then(|at| names.get(at)).map(|name| (*name).to_owned());
        name.unwrap_or_else(|| format!("%!{kind}({})", int.signed()))
    };
    match int.kind() {
        IntKind::Duration => Some(sluice_duration::format(int.signed())),
        IntKind::Month => Some(named(&MONTHS, 1, "Month")),
        IntKind::Weekday => Some(named(&DAYS, 0, "Weekday")),
        _ => None,
    }
}

/// The methods of integers of that type.
pub(crate) const fn int_methods(kind: IntKind) -> &'static [Method] {
    match kind {
        IntKind::Duration => methods::DURATION,
        IntKind::Month | IntKind::Weekday => methods::NAMED,
        _ => &[],
    }
}

/// A `time.Duration`.
pub(crate) const fn duration(nanoseconds: i64) -> Value {
    Value::Int(Int::new(IntKind::Duration, nanoseconds))
}

/// Go's `Duration.Round`: halves away from zero.
pub(crate) const fn round(value: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return value;
    }
    let rest = value % unit;
    if value < 0 {
        let rest = -rest;
        if rest.saturating_add(rest) < unit {
            return value + rest;
        }
        return match value.checked_sub(unit - rest) {
            Some(rounded) => rounded,
            None => i64::MIN,
        };
    }
    if rest.saturating_add(rest) < unit {
        return value - rest;
    }
    match value.checked_add(unit - rest) {
        Some(rounded) => rounded,
        None => i64::MAX,
    }
}

/// Go's `Duration.Truncate`.
pub(crate) const fn truncate(value: i64, unit: i64) -> i64 {
    if unit <= 0 { value } else { value - value % unit }
}

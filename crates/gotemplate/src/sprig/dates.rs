//! Dates and durations.

use jiff::tz::TimeZone;
use sluice_duration::{HOUR, MINUTE, SECOND};

use super::numbers::seconds;
use crate::args::{int, take, text};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::num;
use crate::time::{self, TIME, Time, as_time};
use crate::value::{IntKind, Str, Type, Value};

const ANY: Type = Type::ANY;
const S: Type = Type::STRING;

pub(super) static FUNCS: &[Func] = &[
    Func::new("now", &[], TIME, |ctx, _| Ok(now(ctx).into())),
    Func::new("ago", &[ANY], S, |ctx, args| {
        let then = moment(ctx, &args[0]);
        let elapsed = time::round(now(ctx).since(then.at), SECOND);
        Ok(sluice_duration::format(elapsed).into())
    }),
    Func::new("date", &[S, ANY], S, |ctx, args| in_zone(ctx, text(&args[0]), &args[1], "Local")),
    Func::new("dateInZone", &[S, ANY, S], S, date_in_zone),
    Func::new("date_in_zone", &[S, ANY, S], S, date_in_zone),
    Func::new("htmlDate", &[ANY], S, |ctx, args| in_zone(ctx, &"2006-01-02".into(), &args[0], "Local")),
    Func::new("htmlDateInZone", &[ANY, S], S, |ctx, args| {
        in_zone(ctx, &"2006-01-02".into(), &args[0], &text(&args[1]).to_text())
    }),
    Func::new("dateModify", &[S, TIME], TIME, |_, args| Ok(modify(args).unwrap_or_else(|_| take(args, 1)))),
    Func::new("date_modify", &[S, TIME], TIME, |_, args| Ok(modify(args).unwrap_or_else(|_| take(args, 1)))),
    Func::new("mustDateModify", &[S, TIME], TIME, |_, args| modify(args)),
    Func::new("must_date_modify", &[S, TIME], TIME, |_, args| modify(args)),
    Func::new("toDate", &[S, S], TIME, |ctx, args| {
        Ok(to_date(ctx, args).unwrap_or_else(|_| Time::zero().into()))
    }),
    Func::new("mustToDate", &[S, S], TIME, to_date),
    Func::new("unixEpoch", &[TIME], S, |_, args| {
        Ok(as_time(&args[0]).map_or_else(String::new, |time| time.at.as_second().to_string()).into())
    }),
    Func::new("duration", &[ANY], S, |_, args| {
        let seconds = match &args[0] {
            Value::String(text) => match num::parse_decimal(&text.to_text()) {
                Ok(value) | Err(num::NumError::Range(value)) => value,
                Err(num::NumError::Syntax) => 0,
            },
            Value::Int(int) if int.kind() == IntKind::Int64 => int.signed(),
            _ => 0,
        };
        Ok(sluice_duration::format(seconds.wrapping_mul(SECOND)).into())
    }),
    Func::new("durationRound", &[ANY], S, |ctx, args| {
        let duration = match &args[0] {
            Value::String(text) => sluice_duration::parse(&text.to_text()).unwrap_or(0),
            Value::Int(value) if value.kind() == IntKind::Int64 => int(&args[0]),
            other => match as_time(other) {
                Some(time) => now(ctx).since(time.at),
                None => 0,
            },
        };
        Ok(rounded(duration).into())
    }),
];

fn now(ctx: &mut Ctx<'_>) -> Time {
    let host = ctx.host();
    let now = host.now();
    Time::new(now, host.time_zone())
}

/// The time in a value: a time, or the seconds since 1970, or else now.
fn moment(ctx: &mut Ctx<'_>, value: &Value) -> Time {
    if let Some(time) = as_time(value) {
        return time.clone();
    }
    let zone = ctx.host().time_zone();
    match seconds(value).and_then(|seconds| Time::unix(seconds, zone)) {
        Some(time) => time,
        None => now(ctx),
    }
}

fn date_in_zone(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    in_zone(ctx, text(&args[0]), &args[1], &text(&args[2]).to_text())
}

fn in_zone(ctx: &mut Ctx<'_>, layout: &Str, value: &Value, zone: &str) -> Result<Value, Failure> {
    let mut time = moment(ctx, value);
    time.zone_name = None;
    time.zone = match zone {
        "" | "UTC" => TimeZone::UTC,
        "Local" => ctx.host().time_zone(),
        name if name.contains("..") || name.starts_with(['/', '\\']) => TimeZone::UTC,
        name => TimeZone::get(name).unwrap_or(TimeZone::UTC),
    };
    Ok(time::format(&time, &layout.to_text()).into())
}

fn modify(args: &[Value]) -> Result<Value, Failure> {
    let duration = sluice_duration::parse(&text(&args[0]).to_text()).map_err(|error| error.to_string())?;
    Ok(as_time(&args[1]).map_or(Value::Missing, |time| time.add(duration).into()))
}

fn to_date(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let zone = ctx.host().time_zone();
    let (layout, value) = (text(&args[0]).to_text(), text(&args[1]).to_text());
    Ok(time::parse(&layout, &value, &zone)?.into())
}

/// The largest unit that fits more than once.
fn rounded(duration: i64) -> String {
    let value = duration.unsigned_abs();
    let units = [
        (HOUR * 24 * 365, "y"),
        (HOUR * 24 * 30, "mo"),
        (HOUR * 24, "d"),
        (HOUR, "h"),
        (MINUTE, "m"),
        (SECOND, "s"),
    ];
    for (unit, name) in units {
        if value > unit as u64 {
            return format!("{}{name}", value / unit as u64);
        }
    }
    "0s".to_owned()
}

//! Go duration syntax: parsing and printing.
//!
//! A Go duration is a signed count of nanoseconds in 64 bits. [`parse`] accepts exactly what Go's
//! `time.ParseDuration` accepts and fails with the same text; [`format`] prints what
//! `Duration.String` prints. Plain functions over `i64`: a caller that wants a type of its own, or
//! serde, builds it on top. Nothing here knows of other duration syntaxes.
//!
//! Enter at [`parse`] and [`format`]; [`to_std`] and [`from_std`] cross over to
//! [`std::time::Duration`], which has no negative values.

mod format;
mod parse;

pub use format::{format, format_std};
pub use parse::{Error, parse};

use std::time::Duration;

/// One microsecond in nanoseconds.
pub const MICROSECOND: i64 = 1_000;
/// One millisecond in nanoseconds.
pub const MILLISECOND: i64 = 1_000 * MICROSECOND;
/// One second in nanoseconds.
pub const SECOND: i64 = 1_000 * MILLISECOND;
/// One minute in nanoseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour in nanoseconds.
pub const HOUR: i64 = 60 * MINUTE;

/// The same span as a standard duration, or nothing when it is negative.
pub fn to_std(nanoseconds: i64) -> Option<Duration> {
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

/// The same span in nanoseconds; what does not fit (above 292 years) becomes the largest one.
pub fn from_std(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

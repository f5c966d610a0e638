use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, on the wire in Go's form (`1h30m0s`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(i64);

impl Duration {
    /// From whole seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(sluice_duration::SECOND))
    }

    /// From nanoseconds.
    pub const fn from_nanos(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// In nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// As a standard duration. A negative span counts as none at all.
    pub fn to_std(self) -> time::Duration {
        sluice_duration::to_std(self.0).unwrap_or_default()
    }
}

impl From<time::Duration> for Duration {
    fn from(duration: time::Duration) -> Self {
        Self(sluice_duration::from_std(duration))
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.to_std()
    }
}

impl FromStr for Duration {
    type Err = sluice_duration::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        sluice_duration::parse(text).map(Self)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&sluice_duration::format(self.0))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&sluice_duration::format(self.0))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        match text.parse() {
            Ok(duration) => Ok(duration),
            // The schema lets spans pass that do not fit into 64 bits: they mean "as long as can be".
            Err(sluice_duration::Error::Invalid { .. }) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                Ok(Self(i64::MAX))
            }
            Err(error) => Err(serde::de::Error::custom(error)),
        }
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_that_of_go() {
        let duration: Duration = serde_json::from_str("\"90m\"").unwrap();
        assert_eq!(duration.to_std(), time::Duration::from_mins(90));
        assert_eq!(serde_json::to_string(&duration).unwrap(), "\"1h30m0s\"");
        assert_eq!(format!("{duration:>9}"), "  1h30m0s");
    }

    #[test]
    fn spans_beyond_the_range_are_the_longest_one() {
        let duration: Duration = serde_json::from_str("\"99999999999h\"").unwrap();
        assert_eq!(duration.as_nanos(), i64::MAX);
        assert!(serde_json::from_str::<Duration>("\"soon\"").is_err());
    }
}

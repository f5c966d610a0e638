//! Parts of the JSON that Sigstore writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Bytes in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text.trim()).map(Base64).map_err(|_| D::Error::custom("a field is not base64"))
    }
}

/// A number, also in quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Number(number)),
            Either::Text(text) => text.parse().map(Number).map_err(D::Error::custom),
        }
    }
}

/// A time span, open where nothing is said.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Span {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Span {
    /// `time`: seconds since 1970.
    pub(super) fn has(&self, time: u64) -> bool {
        let time = i64::try_from(time).unwrap_or(i64::MAX);
        self.start.is_none_or(|start| start.as_second() <= time)
            && self.end.is_none_or(|end| time <= end.as_second())
    }
}

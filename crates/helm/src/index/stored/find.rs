//! Looking a chart up in an index in its stored form.

use std::io::{self, BufRead, BufReader, Read, Seek};

use serde::de::DeserializeSeed as _;
use serde_json::Value;

use super::ConvertError;
use super::json::RootSeed;
use super::write::ENTRIES;
use crate::chart::{DecodeError, ValidationError};
use crate::index::{ChartVersion, Choice, IndexError, LookupError, Nearest};

/// Why there is no version of a chart.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The index has none.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] ConvertError),
}

/// The version of a chart that an exact version or a range chooses, as [`crate::index::Index::get`] does, in an index
/// that [`super::convert`] wrote, or in any other that is JSON. No more than one version is in memory at a time.
pub fn find<I: Read + Seek>(input: &mut I, chart: &str, version: &str) -> Result<ChartVersion, FindError> {
    let mut choice = Choice::new(version);
    let mut any = false;
    let known = each(input, chart, &mut |entry| {
        any = true;
        choice.offer(entry);
    })?;
    if !known {
        return Err(LookupError::Name.into());
    }
    if !any {
        return Err(LookupError::Empty.into());
    }
    if let Some(found) = choice.end().map_err(LookupError::from)? {
        return Ok(found);
    }
    let mut versions = Vec::new();
    each(input, chart, &mut |entry| versions.push(entry.metadata.version))?;
    let nearest = Nearest::of(versions.iter().map(String::as_str), version);
    Err(LookupError::Version { name: chart.to_owned(), version: version.to_owned(), nearest }.into())
}

/// Hands over the versions of a chart; `false` if there is no such chart.
pub(super) fn each<I: Read + Seek>(
    input: &mut I,
    chart: &str,
    take: &mut dyn FnMut(ChartVersion),
) -> Result<bool, ConvertError> {
    let wrong = |error: DecodeError| IndexError::Decode(error.to_string());
    let wanted = [serde_json::to_vec(chart).map_err(io::Error::from)?, b":[".to_vec()].concat();
    input.rewind()?;
    let mut reader = BufReader::with_capacity(256 * 1024, &mut *input);
    let mut line = Vec::new();
    let (mut inside, mut found) = (false, false);
    while read_line(&mut reader, &mut line)? {
        if !inside {
            inside = line == ENTRIES;
            // Somebody else wrote it.
            if !inside && line.first() != Some(&b'{') && line.first() != Some(&b'"') {
                break;
            }
        } else if found {
            if line.first() != Some(&b'{') {
                return Ok(true);
            }
            let text = line.trim_ascii_end();
            let value = serde_json::from_slice(text.strip_suffix(b",").unwrap_or(text));
            if let Some(entry) = acceptable(&value.map_err(io::Error::from)?).map_err(wrong)? {
                take(entry);
            }
        } else if line.trim_ascii_end() == wanted {
            found = true;
        } else if line == b"}}\n" {
            return Ok(false);
        }
    }
    drop(reader);
    input.rewind()?;
    let mut seen = false;
    let mut pass = |name: &str, value: Option<&Value>| {
        if name == chart {
            seen = true;
            if let Some(entry) = value.map(acceptable).transpose().map_err(wrong)?.flatten() {
                take(entry);
            }
        }
        Ok(())
    };
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(input));
    let mut failed = None;
    let parsed = RootSeed { take: &mut pass, failed: &mut failed }.deserialize(&mut deserializer);
    match failed {
        Some(error) => Err(error),
        None => parsed.map(|_| seen).map_err(|error| io::Error::from(error).into()),
    }
}

/// A version, cleaned, if helm would take it.
fn acceptable(value: &Value) -> Result<Option<ChartVersion>, DecodeError> {
    let entry = ChartVersion::decode(value)?;
    Ok(entry.and_then(|mut entry| match entry.metadata.validate() {
        Ok(()) | Err(ValidationError::DuplicateDependency(_)) => Some(entry),
        Err(_) => None,
    }))
}

fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    reader.read_until(b'\n', line).map(|length| length > 0)
}

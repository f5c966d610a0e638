//! Indexes of any size in little memory.
//!
//! [`convert`] reads an index entry by entry and writes it as JSON with one version a line, the highest first;
//! [`find()`] looks a version of a chart up in that. Neither holds more than one entry, and a few bytes for each of
//! the others, at a time.

mod blocks;
mod entry;
mod find;
mod json;
mod spool;
mod write;

#[cfg(test)]
mod tests;

use std::io::{self, Read, Seek, SeekFrom, Write};

use serde_json::Value;
use sluice_semver::Version;

use super::{ChartVersion, Index, IndexError};
use crate::chart::ValidationError;
pub use find::{FindError, find};
use spool::Spool;
use write::Stored;

/// YAML that is not written entry below entry is read as a whole up to this size.
const MAX_WHOLE: u64 = 8 << 20;
/// More versions than this are refused: a few bytes of each are kept to sort them.
const MAX_VERSIONS: usize = 500_000;

/// What an index held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// How many charts.
    pub charts: usize,
    /// How many versions of charts.
    pub versions: usize,
    /// Entries that were left out, with the reason; only the first hundred.
    pub warnings: Vec<String>,
}

/// Why an index was not converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The index is no good.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A large index that cannot be read in pieces.
    #[error("an index of more than {MAX_WHOLE} bytes must be JSON, or YAML with one entry below the other")]
    Shape,
    /// A version that would take too much memory.
    #[error("a version of a chart in the index is longer than 4 MiB")]
    Large,
    /// Too many versions.
    #[error("the index has more than {MAX_VERSIONS} versions of charts")]
    Versions,
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes the index `input` to `out` as JSON. `scratch` is an empty file.
pub fn convert<I, S>(input: &mut I, scratch: &mut S, mut out: impl Write) -> Result<Converted, ConvertError>
where
    I: Read + Seek,
    S: Read + Write + Seek,
{
    let length = input.seek(SeekFrom::End(0))?;
    if length == 0 {
        return Err(IndexError::Empty.into());
    }
    let mut read = None;
    for way in [json::read::<I, S>, blocks::read] {
        input.rewind()?;
        scratch.rewind()?;
        let mut spool = Spool::new(&mut *scratch);
        match way(input, &mut spool) {
            Ok(Some(root)) => {
                read = Some((root, spool.end()?));
                break;
            }
            Err(error @ (ConvertError::Io(_) | ConvertError::Large | ConvertError::Versions)) => {
                return Err(error);
            }
            Ok(None) | Err(_) => {}
        }
    }
    let (root, sorted) = match read {
        Some(read) => read,
        None if length > MAX_WHOLE => return Err(ConvertError::Shape),
        // Its errors are helm's.
        None => return whole(input, &mut out),
    };
    let api_version = root.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if api_version.is_empty() {
        return Err(IndexError::NoApiVersion.into());
    }
    let converted = sorted.converted.clone();
    let mut stored = Stored::begin(out, &root)?;
    sorted.write(scratch, &mut stored)?;
    stored.end()?;
    Ok(converted)
}

/// The way for small indexes of any shape.
fn whole<I: Read + Seek>(input: &mut I, out: &mut impl Write) -> Result<Converted, ConvertError> {
    input.rewind()?;
    let mut text = Vec::new();
    input.read_to_end(&mut text)?;
    let index = Index::parse(&text)?;
    let document = match serde_json::from_slice::<Value>(&text) {
        Ok(document) => document,
        Err(_) => Value::from(sluice_yaml::read_strict(&text).map_err(IndexError::from)?),
    };
    let mut converted = Converted { warnings: index.warnings, ..Converted::default() };
    let root = document.as_object().cloned().unwrap_or_default();
    let mut stored = Stored::begin(out, &root)?;
    for (name, list) in root.get("entries").and_then(Value::as_object).into_iter().flatten() {
        converted.charts += 1;
        stored.chart(name)?;
        let mut versions = Vec::new();
        for value in list.as_array().into_iter().flatten() {
            if let Ok(Some(mut entry)) = ChartVersion::decode(value)
                && matches!(entry.metadata.validate(), Ok(()) | Err(ValidationError::DuplicateDependency(_)))
            {
                versions.push((Version::parse(&entry.metadata.version).ok(), value));
            }
        }
        versions.sort_by(|a, b| b.0.cmp(&a.0));
        for (_, value) in versions {
            converted.versions += 1;
            stored.version(&serde_json::to_vec(value).map_err(io::Error::from)?)?;
        }
    }
    stored.end()?;
    Ok(converted)
}

//! Versions put aside until their order is known.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use serde_json::Value;
use sluice_semver::Version;

use super::entry::version_of;
use super::write::Stored;
use super::{ConvertError, Converted, MAX_VERSIONS};
use crate::chart::{DecodeError, ValidationError};
use crate::index::{ChartVersion, IndexError};

/// What stands between two versions in the scratch file.
const BETWEEN: &[u8] = b",\n";

/// What versions are sorted by, in less memory than they take themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rank {
    numbers: [u64; 3],
    prerelease: Box<str>,
}

impl Rank {
    fn of(version: &Version) -> Self {
        let numbers = [version.major(), version.minor(), version.patch()];
        Rank { numbers, prerelease: version.prerelease().into() }
    }

    fn version(&self) -> Option<Version> {
        let [major, minor, patch] = self.numbers;
        Version::new(major, minor, patch).with_prerelease(&self.prerelease).ok()
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
            (false, false) => self.version().cmp(&other.version()),
            (mine, its) => mine.cmp(&its),
        })
    }
}

/// A version that was put aside.
struct Spooled {
    rank: Option<Rank>,
    offset: u64,
    length: u32,
}

/// Collects versions in a scratch file.
pub(super) struct Spool<'a, S: Write> {
    scratch: BufWriter<&'a mut S>,
    offset: u64,
    charts: BTreeMap<String, Vec<Spooled>>,
    converted: Converted,
}

impl<'a, S: Write> Spool<'a, S> {
    pub(super) fn new(scratch: &'a mut S) -> Self {
        let scratch = BufWriter::with_capacity(256 * 1024, scratch);
        Spool { scratch, offset: 0, charts: BTreeMap::new(), converted: Converted::default() }
    }

    /// Whether the chart is known already.
    pub(super) fn has(&self, name: &str) -> bool {
        self.charts.contains_key(name)
    }

    /// Makes a chart known.
    pub(super) fn chart(&mut self, name: &str) {
        if !self.has(name) {
            self.charts.insert(name.to_owned(), Vec::new());
        }
    }

    fn warn(&mut self, warning: impl FnOnce() -> String) {
        if self.converted.warnings.len() < 100 {
            self.converted.warnings.push(warning());
        }
    }

    /// Puts a version aside if helm would take it.
    pub(super) fn entry(&mut self, name: &str, value: &Value) -> Result<(), ConvertError> {
        let wrong = |error: DecodeError| IndexError::Decode(error.to_string());
        let Some(mut entry) = ChartVersion::decode(value).map_err(wrong)? else {
            self.warn(|| format!("skipping empty entry for chart {name}"));
            return Ok(());
        };
        match entry.metadata.validate() {
            Ok(()) | Err(ValidationError::DuplicateDependency(_)) => {}
            Err(error) => {
                self.warn(|| {
                    format!("skipping invalid entry for chart {name} {}: {error}", entry.metadata.version)
                });
                return Ok(());
            }
        }
        let text = serde_json::to_vec(value).map_err(io::Error::from)?;
        let version = Version::parse(&entry.metadata.version).ok();
        self.put(name, version.as_ref(), &text)
    }

    /// Puts the JSON of a version aside, if it is plain to see that helm takes it. Says whether it is.
    pub(super) fn plain(&mut self, name: &str, json: &[u8]) -> Result<bool, ConvertError> {
        match version_of(json) {
            Some(version) => self.put(name, Some(&version), json).map(|()| true),
            None => Ok(false),
        }
    }

    fn put(&mut self, name: &str, version: Option<&Version>, json: &[u8]) -> Result<(), ConvertError> {
        if self.converted.versions == MAX_VERSIONS {
            return Err(ConvertError::Versions);
        }
        self.scratch.write_all(json)?;
        self.scratch.write_all(BETWEEN)?;
        let length = u32::try_from(json.len()).map_err(|_| ConvertError::Shape)?;
        let spooled = Spooled { rank: version.map(Rank::of), offset: self.offset, length };
        self.offset += u64::from(length) + BETWEEN.len() as u64;
        self.converted.versions += 1;
        self.chart(name);
        if let Some(versions) = self.charts.get_mut(name) {
            versions.push(spooled);
        }
        Ok(())
    }

    /// No more is coming.
    pub(super) fn end(self) -> Result<Sorted, ConvertError> {
        let Spool { mut scratch, mut charts, mut converted, .. } = self;
        scratch.flush()?;
        for versions in charts.values_mut() {
            // What is no version comes last; helm writes them in this order.
            if !versions.is_sorted_by(|a, b| a.rank >= b.rank) {
                versions.sort_by(|a, b| b.rank.cmp(&a.rank));
            }
        }
        converted.charts = charts.len();
        Ok(Sorted { charts, converted })
    }
}

/// All versions in their order, which are in a scratch file.
pub(super) struct Sorted {
    charts: BTreeMap<String, Vec<Spooled>>,
    pub(super) converted: Converted,
}

impl Sorted {
    /// Writes them.
    pub(super) fn write<S: Read + Seek>(
        self,
        scratch: &mut S,
        stored: &mut Stored<impl Write>,
    ) -> io::Result<()> {
        let mut piece = vec![0; 256 * 1024];
        for (name, versions) in self.charts {
            stored.chart(&name)?;
            let mut rest = versions.as_slice();
            while let Some(first) = rest.first() {
                // Those that stand together are copied together.
                let follows = |a: &Spooled, b: &Spooled| {
                    a.offset + u64::from(a.length) + BETWEEN.len() as u64 == b.offset
                };
                let together = 1 + rest.windows(2).take_while(|pair| follows(&pair[0], &pair[1])).count();
                let (run, others) = rest.split_at(together);
                let end = run.last().map_or(0, |last| last.offset + u64::from(last.length));
                rest = others;
                scratch.seek(SeekFrom::Start(first.offset))?;
                stored.begin_version()?;
                let mut left = end - first.offset;
                while left > 0 {
                    let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    scratch.read_exact(&mut piece[..length])?;
                    stored.raw(&piece[..length])?;
                    left -= length as u64;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_index_has_versions_without_end() {
        let mut scratch = io::Cursor::new(Vec::new());
        let mut spool = Spool::new(&mut scratch);
        spool.converted.versions = MAX_VERSIONS - 1;
        let json = br#"{"name":"a","version":"1.0.0"}"#;
        assert!(spool.plain("a", json).unwrap());
        let error = spool.plain("a", json).unwrap_err();
        assert_eq!(error.to_string(), "the index has more than 500000 versions of charts");
    }

    #[test]
    fn ranks_are_ordered_as_versions_are() {
        let texts = ["1.0.0-a", "1.0.0-a.1", "1.0.0-2", "1.0.0", "1.0.0+b", "0.9.0", "1.10.0-rc.1", "1.9.9"];
        let versions = texts.map(|text| Version::parse(text).unwrap());
        for a in &versions {
            for b in &versions {
                assert_eq!(Rank::of(a).cmp(&Rank::of(b)), a.cmp(b), "{} {}", a.original(), b.original());
            }
        }
    }
}

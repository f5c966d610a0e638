//! Indexes of chart repositories.
//!
//! [`Index`] holds one in memory; [`stored`] reads those that are too large for that.

mod nearest;
pub mod stored;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sluice_semver::{ConstraintError, Constraints, Version};

use crate::chart::{Chart, DecodeError, FIELDS, Fields, Metadata, ValidationError};
use crate::hash;
pub use nearest::Nearest;

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Nothing in it.
    #[error("empty index.yaml file")]
    Empty,
    /// No `apiVersion`.
    #[error("no API version specified")]
    NoApiVersion,
    /// No YAML, or keys that come twice.
    #[error("error converting YAML to JSON: {0}")]
    Yaml(#[from] sluice_yaml::Error),
    /// A field that no index has.
    #[error("error unmarshaling JSON: while decoding JSON: json: unknown field \"{0}\"")]
    UnknownField(String),
    /// A field of the wrong type.
    #[error("{0}")]
    Decode(String),
}

/// Why there is no such chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No chart of that name.
    #[error("no chart name found")]
    Name,
    /// A chart without versions.
    #[error("no chart version found")]
    Empty,
    /// No version in the range.
    #[error("no chart version found for {name}-{version}{nearest}")]
    Version {
        /// The chart.
        name: String,
        /// The version or range.
        version: String,
        /// What may have been meant.
        nearest: Nearest,
    },
    /// Neither version nor range.
    #[error(transparent)]
    Range(#[from] ConstraintError),
}

/// One version of a chart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChartVersion {
    /// Its `Chart.yaml`.
    pub metadata: Metadata,
    /// Where its archive is; relative to the index or absolute.
    pub urls: Vec<String>,
    /// When it was added.
    pub created: String,
    /// Whether it was taken away.
    pub removed: bool,
    /// SHA-256 of the archive in hex digits.
    pub digest: String,
}

/// An index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Index {
    /// `v1`.
    pub api_version: String,
    /// When it was made.
    pub generated: String,
    /// Versions by chart, the highest first.
    pub entries: BTreeMap<String, Vec<ChartVersion>>,
    /// Entries that were left out, with the reason.
    pub warnings: Vec<String>,
}

impl Index {
    /// Reads an index. JSON may have fields that no one knows, YAML may not.
    pub fn parse(text: &[u8]) -> Result<Self, IndexError> {
        if text.is_empty() {
            return Err(IndexError::Empty);
        }
        let (document, strict) = match serde_json::from_slice::<Value>(text) {
            Ok(document) => (document, false),
            Err(_) => (Value::from(sluice_yaml::read_strict(text)?), true),
        };
        let mut index = Index::default();
        index.decode(&document, strict)?;
        if index.api_version.is_empty() {
            return Err(IndexError::NoApiVersion);
        }
        Ok(index)
    }

    fn decode(&mut self, document: &Value, strict: bool) -> Result<(), IndexError> {
        let wrong = |error: DecodeError| IndexError::Decode(error.to_string());
        if strict {
            refuse_unknown(document.as_object(), &[ROOT_FIELDS])?;
        }
        let Some(mut fields) = Fields::of(document, "IndexFile", "repo.IndexFile").map_err(wrong)? else {
            return Ok(());
        };
        fields.string("apiVersion", &mut self.api_version).map_err(wrong)?;
        fields.string("generated", &mut self.generated).map_err(wrong)?;
        let entries = match fields.value("entries") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Object(entries)) => entries,
            Some(_) => return Err(IndexError::Decode("entries must be a map of lists".to_owned())),
        };
        for (name, versions) in entries {
            let mut list = Vec::new();
            for version in versions.as_array().into_iter().flatten() {
                if strict {
                    refuse_unknown_entry(version)?;
                }
                let Some(mut found) = ChartVersion::decode(version).map_err(wrong)? else {
                    self.warnings.push(format!("skipping empty entry for chart {name}"));
                    continue;
                };
                match found.metadata.validate() {
                    Ok(()) | Err(ValidationError::DuplicateDependency(_)) => list.push(found),
                    Err(error) => self.warnings.push(format!(
                        "skipping invalid entry for chart {name} {}: {error}",
                        found.metadata.version
                    )),
                }
            }
            list.sort_by(|a, b| descending(&a.metadata.version, &b.metadata.version));
            self.entries.insert(name.clone(), list);
        }
        Ok(())
    }

    /// The version of a chart that an exact version or a range chooses; the highest stable one for nothing.
    pub fn get(&self, name: &str, version: &str) -> Result<&ChartVersion, LookupError> {
        choose(self.entries.get(name).ok_or(LookupError::Name)?, name, version)
    }

    /// Adds an archive of a chart under a URL.
    pub fn add(&mut self, chart: &Chart, url: &str, archive: &[u8], created: &str) {
        let entry = ChartVersion {
            metadata: chart.metadata.clone(),
            urls: vec![url.to_owned()],
            created: created.to_owned(),
            removed: false,
            digest: hash::sha256(archive),
        };
        let versions = self.entries.entry(chart.name().to_owned()).or_default();
        versions.push(entry);
        versions.sort_by(|a, b| descending(&a.metadata.version, &b.metadata.version));
    }
}

/// The version that an exact version or a range chooses; the highest stable one for nothing. Of equal versions the one
/// that was added last.
fn choose<'a>(
    versions: &'a [ChartVersion],
    name: &str,
    version: &str,
) -> Result<&'a ChartVersion, LookupError> {
    if versions.is_empty() {
        return Err(LookupError::Empty);
    }
    let mut choice = Choice::new(version);
    for entry in versions {
        choice.offer(entry);
    }
    choice.end()?.ok_or_else(|| LookupError::Version {
        name: name.to_owned(),
        version: version.to_owned(),
        nearest: Nearest::of(versions.iter().map(|entry| entry.metadata.version.as_str()), version),
    })
}

/// The choice among versions that come one by one.
struct Choice<'v, E> {
    wanted: &'v str,
    /// What only the exact version would do for has no range.
    range: Result<Constraints, ConstraintError>,
    exact: Option<E>,
    best: Option<(Version, E)>,
}

impl<'v, E: std::borrow::Borrow<ChartVersion>> Choice<'v, E> {
    fn new(wanted: &'v str) -> Self {
        let range = Constraints::parse(if wanted.is_empty() { "*" } else { wanted });
        Choice { wanted, range, exact: None, best: None }
    }

    fn offer(&mut self, offered: E) {
        let entry: &ChartVersion = offered.borrow();
        if self.exact.is_some() {
            return;
        }
        if !self.wanted.is_empty() && entry.metadata.version == self.wanted {
            self.exact = Some(offered);
            return;
        }
        let Ok(range) = &self.range else { return };
        let Ok(version) = Version::parse(&entry.metadata.version) else { return };
        if !range.check(&version) {
            return;
        }
        let better = self.best.as_ref().is_none_or(|(known, found)| match version.cmp(known) {
            Ordering::Equal => entry.created() > found.borrow().created(),
            order => order == Ordering::Greater,
        });
        if better {
            self.best = Some((version, offered));
        }
    }

    /// What was chosen; an error if what is wanted is no range and no version was exactly that.
    fn end(self) -> Result<Option<E>, ConstraintError> {
        match (self.exact, self.range) {
            (Some(exact), _) => Ok(Some(exact)),
            (None, range) => range.map(|_| self.best.map(|(_, entry)| entry)),
        }
    }
}

impl ChartVersion {
    fn created(&self) -> Option<jiff::Timestamp> {
        self.created.parse().ok()
    }

    fn decode(value: &Value) -> Result<Option<Self>, DecodeError> {
        let Some(mut fields) = Fields::of(value, "ChartVersion", "repo.ChartVersion")? else {
            return Ok(None);
        };
        let mut version = ChartVersion::default();
        version.metadata.merge(value)?;
        if version.metadata.api_version.is_empty() {
            "v1".clone_into(&mut version.metadata.api_version);
        }
        fields.strings("urls", &mut version.urls)?;
        fields.string("created", &mut version.created)?;
        fields.bool("removed", &mut version.removed)?;
        fields.string("digest", &mut version.digest)?;
        Ok(Some(version))
    }
}

/// Highest first; what is no version comes last.
fn descending(a: &str, b: &str) -> Ordering {
    match (Version::parse(a), Version::parse(b)) {
        (Ok(a), Ok(b)) => b.cmp(&a),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => Ordering::Equal,
    }
}

const ROOT_FIELDS: &[&str] =
    &["serverInfo", "apiVersion", "generated", "entries", "publicKeys", "annotations"];
/// What an entry has beside the fields of a chart.
const ENTRY_FIELDS: &[&str] =
    &["urls", "created", "removed", "digest", "checksum", "engine", "tillerVersion", "url"];
const MAINTAINER_FIELDS: &[&str] = &["name", "email", "url"];
const DEPENDENCY_FIELDS: &[&str] =
    &["name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias"];

fn refuse_unknown(map: Option<&Map<String, Value>>, known: &[&[&str]]) -> Result<(), IndexError> {
    let unknown = map
        .into_iter()
        .flat_map(Map::keys)
        .find(|key| !known.iter().copied().flatten().any(|name| name.eq_ignore_ascii_case(key)));
    match unknown {
        Some(key) => Err(IndexError::UnknownField(key.clone())),
        None => Ok(()),
    }
}

fn refuse_unknown_entry(entry: &Value) -> Result<(), IndexError> {
    refuse_unknown(entry.as_object(), &[FIELDS, ENTRY_FIELDS])?;
    for (list, known) in [("maintainers", MAINTAINER_FIELDS), ("dependencies", DEPENDENCY_FIELDS)] {
        for item in entry.get(list).and_then(Value::as_array).into_iter().flatten() {
            refuse_unknown(item.as_object(), &[known])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Index, IndexError, LookupError};

    const INDEX: &str = "
apiVersion: v1
generated: 2026-01-01T00:00:00Z
entries:
  a:
  - {name: a, version: 1.0.0, urls: [a-1.0.0.tgz], digest: x, created: 2026-01-01T00:00:00Z}
  - null
  - {name: a, version: 2.0.0-rc.1, urls: [rc.tgz], engine: gotpl}
  - {name: a, version: 1.10.0, urls: [b.tgz]}
  - {name: a, version: bad!, urls: []}
  b: []
";

    #[test]
    fn versions_are_chosen_as_helm_chooses_them() {
        let index = Index::parse(INDEX.as_bytes()).expect("valid");
        let version = |range: &str| index.get("a", range).map(|found| found.metadata.version.clone());
        assert_eq!(version(""), Ok("1.10.0".to_owned()));
        assert_eq!(version("1.0.0"), Ok("1.0.0".to_owned()));
        assert_eq!(version("~1.0"), Ok("1.0.0".to_owned()));
        assert_eq!(version(">0.0.0-0"), Ok("2.0.0-rc.1".to_owned()));
        assert_eq!(
            version("3.x").unwrap_err().to_string(),
            "no chart version found for a-3.x (nearest: 2.0.0-rc.1, 1.10.0, 1.0.0)"
        );
        assert_eq!(index.get("c", "").err(), Some(LookupError::Name));
        assert_eq!(index.get("b", "").err(), Some(LookupError::Empty));
        assert_eq!(index.warnings.len(), 2);
    }

    #[test]
    fn yaml_is_strict_and_json_is_not() {
        let extra = INDEX.replace("digest: x", "digets: x");
        assert!(matches!(Index::parse(extra.as_bytes()), Err(IndexError::UnknownField(_))));
        let json =
            br#"{"apiVersion":"v1","more":1,"entries":{"a":[{"name":"a","version":"1.0.0","more":1}]}}"#;
        assert_eq!(Index::parse(json).expect("lenient").entries["a"].len(), 1);
        assert!(matches!(Index::parse(b""), Err(IndexError::Empty)));
        assert!(matches!(Index::parse(b"entries: {}"), Err(IndexError::NoApiVersion)));
        assert!(Index::parse(b"apiVersion: v1\napiVersion: v1").is_err());
    }
}

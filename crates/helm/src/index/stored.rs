//! Indexes of any size in little memory.
//!
//! [`convert`] reads an index entry by entry and writes it as JSON with one version a line, the highest first;
//! [`find`] reads the versions of one chart out of that. Neither holds more than one entry, and a few bytes for each of
//! the others, at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use sluice_semver::Version;

use super::{ChartVersion, Index, IndexError, ROOT_FIELDS, refuse_unknown, refuse_unknown_entry};
use crate::chart::ValidationError;

/// YAML that is not written entry below entry is read as a whole up to this size.
const MAX_WHOLE: u64 = 8 << 20;
/// Longest text of an index around its entries.
const MAX_ROOT: usize = 1 << 20;

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
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A version that was put aside.
struct Spooled {
    version: Option<Version>,
    offset: u64,
    length: usize,
}

/// Collects entries in a scratch file.
struct Spool<'a, S: Write> {
    scratch: BufWriter<&'a mut S>,
    offset: u64,
    charts: BTreeMap<String, Vec<Spooled>>,
    converted: Converted,
}

impl<S: Write> Spool<'_, S> {
    fn chart(&mut self, name: &str) -> &mut Vec<Spooled> {
        if !self.charts.contains_key(name) {
            self.charts.insert(name.to_owned(), Vec::new());
        }
        self.charts.get_mut(name).unwrap_or_else(|| unreachable!("it was just put there"))
    }

    fn warn(&mut self, warning: impl FnOnce() -> String) {
        if self.converted.warnings.len() < 100 {
            self.converted.warnings.push(warning());
        }
    }

    fn entry(&mut self, name: &str, value: &Value) -> Result<(), ConvertError> {
        let wrong = |error: crate::chart::DecodeError| IndexError::Decode(error.to_string());
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
        self.scratch.write_all(&text)?;
        let version = Version::parse(&entry.metadata.version).ok();
        let spooled = Spooled { version, offset: self.offset, length: text.len() };
        self.offset += text.len() as u64;
        self.converted.versions += 1;
        self.chart(name).push(spooled);
        Ok(())
    }
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
    let mut root = None;
    for read in [read_json::<I, S>, read_blocks] {
        input.rewind()?;
        scratch.rewind()?;
        let scratch = BufWriter::with_capacity(256 * 1024, &mut *scratch);
        let mut spool =
            Spool { scratch, offset: 0, charts: BTreeMap::new(), converted: Converted::default() };
        match read(input, &mut spool) {
            Ok(Some(map)) => {
                spool.scratch.flush()?;
                root = Some((map, spool.charts, spool.converted));
                break;
            }
            Err(error @ ConvertError::Io(_)) => return Err(error),
            Ok(None) | Err(_) => {}
        }
    }
    let (root, charts, mut converted) = match root {
        Some(root) => root,
        None if length > MAX_WHOLE => return Err(ConvertError::Shape),
        // Its errors are helm's.
        None => return whole(input, &mut out),
    };
    let api_version = root.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if api_version.is_empty() {
        return Err(IndexError::NoApiVersion.into());
    }
    converted.charts = charts.len();
    let mut stored = Stored::begin(out, &root)?;
    let mut text = Vec::new();
    for (name, mut versions) in charts {
        // What is no version comes last.
        versions.sort_by(|a, b| b.version.cmp(&a.version));
        stored.chart(&name)?;
        for spooled in versions {
            scratch.seek(SeekFrom::Start(spooled.offset))?;
            text.resize(spooled.length, 0);
            scratch.read_exact(&mut text)?;
            stored.version(&text)?;
        }
    }
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

/// The stored form in the making.
struct Stored<W> {
    out: W,
    first_chart: bool,
    first_version: bool,
}

/// What stands between the root fields and the charts.
const ENTRIES: &[u8] = b"\"entries\":{\n";

impl<W: Write> Stored<W> {
    fn begin(mut out: W, root: &Map<String, Value>) -> io::Result<Self> {
        out.write_all(b"{")?;
        for (key, value) in root.iter().filter(|(key, _)| *key != "entries") {
            serde_json::to_writer(&mut out, key)?;
            out.write_all(b":")?;
            serde_json::to_writer(&mut out, value)?;
            out.write_all(b",\n")?;
        }
        out.write_all(ENTRIES)?;
        Ok(Stored { out, first_chart: true, first_version: true })
    }

    fn chart(&mut self, name: &str) -> io::Result<()> {
        if !self.first_chart {
            self.out.write_all(b"\n],\n")?;
        }
        self.first_chart = false;
        self.first_version = true;
        serde_json::to_writer(&mut self.out, name)?;
        self.out.write_all(b":[")
    }

    fn version(&mut self, text: &[u8]) -> io::Result<()> {
        self.out.write_all(if self.first_version { b"\n" } else { b",\n" })?;
        self.first_version = false;
        self.out.write_all(text)
    }

    fn end(mut self) -> io::Result<()> {
        self.out.write_all(if self.first_chart { b"}}\n" } else { b"\n]\n}}\n" })?;
        self.out.flush()
    }
}

/// The versions of a chart in an index that [`convert`] wrote, or in any other that is JSON; `None` if it has no such
/// chart.
pub fn find<I: Read + Seek>(input: &mut I, chart: &str) -> Result<Option<Vec<ChartVersion>>, ConvertError> {
    let wrong = |error: crate::chart::DecodeError| IndexError::Decode(error.to_string());
    let wanted = [serde_json::to_vec(chart).map_err(io::Error::from)?, b":[".to_vec()].concat();
    let mut reader = BufReader::with_capacity(256 * 1024, &mut *input);
    let mut line = Vec::new();
    let (mut inside, mut found) = (false, None::<Vec<ChartVersion>>);
    while read_line(&mut reader, &mut line)? {
        if !inside {
            inside = line == ENTRIES;
            // Somebody else wrote it.
            if !inside && line.first() != Some(&b'{') && line.first() != Some(&b'"') {
                break;
            }
        } else if let Some(versions) = &mut found {
            if line.first() != Some(&b'{') {
                return Ok(found);
            }
            let text = line.trim_ascii_end();
            let value = serde_json::from_slice(text.strip_suffix(b",").unwrap_or(text));
            versions.extend(acceptable(&value.map_err(io::Error::from)?).map_err(wrong)?);
        } else if line.trim_ascii_end() == wanted {
            found = Some(Vec::new());
        } else if line == b"}}\n" {
            return Ok(None);
        }
    }
    drop(reader);
    input.rewind()?;
    let mut versions = Vec::new();
    let mut seen = false;
    let mut take = |name: &str, value: Option<&Value>| {
        if name == chart {
            seen = true;
            if let Some(value) = value {
                versions.extend(acceptable(value).map_err(wrong)?);
            }
        }
        Ok(())
    };
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(input));
    let mut failed = None;
    let seed = RootSeed { take: &mut take, failed: &mut failed };
    let parsed = seed.deserialize(&mut deserializer);
    if let Some(error) = failed {
        return Err(error);
    }
    parsed.map_err(io::Error::from)?;
    versions.sort_by(|a, b| super::descending(&a.metadata.version, &b.metadata.version));
    Ok(seen.then_some(versions))
}

/// A version, cleaned, if helm would take it.
fn acceptable(value: &Value) -> Result<Option<ChartVersion>, crate::chart::DecodeError> {
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

type Take<'a> = &'a mut dyn FnMut(&str, Option<&Value>) -> Result<(), ConvertError>;

/// Reads JSON; `None` for what is no JSON.
fn read_json<I: Read, S: Write>(
    input: &mut I,
    spool: &mut Spool<'_, S>,
) -> Result<Option<Map<String, Value>>, ConvertError> {
    let mut reader = BufReader::with_capacity(256 * 1024, input);
    if reader.fill_buf()?.trim_ascii_start().first() != Some(&b'{') {
        return Ok(None);
    }
    let mut take = |name: &str, value: Option<&Value>| match value {
        Some(value) => spool.entry(name, value),
        None => {
            spool.chart(name);
            Ok(())
        }
    };
    let mut failed = None;
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let parsed = RootSeed { take: &mut take, failed: &mut failed }.deserialize(&mut deserializer);
    match (failed, parsed) {
        (Some(error), _) => Err(error),
        (None, Ok(root)) => Ok(deserializer.end().is_ok().then_some(root)),
        (None, Err(error)) if error.is_io() => Err(io::Error::from(error).into()),
        (None, Err(_)) => Ok(None),
    }
}

/// The whole document: entries are handed over, the rest is kept.
struct RootSeed<'a, 'b> {
    take: Take<'a>,
    failed: &'b mut Option<ConvertError>,
}

impl<'de> DeserializeSeed<'de> for RootSeed<'_, '_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RootSeed<'_, '_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut root = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "entries" {
                map.next_value_seed(ChartsSeed { take: &mut *self.take, failed: &mut *self.failed })?;
            } else {
                root.insert(key, map.next_value()?);
            }
        }
        Ok(root)
    }
}

struct ChartsSeed<'a, 'b> {
    take: Take<'a>,
    failed: &'b mut Option<ConvertError>,
}

impl<'de> DeserializeSeed<'de> for ChartsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for ChartsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of lists")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let seed = VersionsSeed { name: &name, take: &mut *self.take, failed: &mut *self.failed };
            map.next_value_seed(seed)?;
        }
        Ok(())
    }
}

struct VersionsSeed<'a, 'b> {
    name: &'a str,
    take: Take<'a>,
    failed: &'b mut Option<ConvertError>,
}

impl<'de> DeserializeSeed<'de> for VersionsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for VersionsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of versions")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.give(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        (self.take)(self.name, None).map_err(|error| {
            *self.failed = Some(error);
            serde::de::Error::custom("ended")
        })?;
        while let Some(value) = list.next_element::<Value>()? {
            if let Err(error) = (self.take)(self.name, Some(&value)) {
                *self.failed = Some(error);
                // The rest is of no interest.
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Err(serde::de::Error::custom("ended"));
            }
        }
        Ok(())
    }
}

impl VersionsSeed<'_, '_> {
    fn give<E: serde::de::Error>(self, value: Option<&Value>) -> Result<(), E> {
        (self.take)(self.name, value).map_err(|error| {
            *self.failed = Some(error);
            E::custom("ended")
        })
    }
}

/// Reads YAML that is written in the common way: charts below `entries:`, versions below charts, each begun by `- `.
/// `None` for what is written otherwise.
fn read_blocks<I: Read, S: Write>(
    input: &mut I,
    spool: &mut Spool<'_, S>,
) -> Result<Option<Map<String, Value>>, ConvertError> {
    let mut reader = BufReader::with_capacity(256 * 1024, input);
    let mut blocks = Blocks { root: Vec::new(), chart: None, item: Vec::new(), seen_entries: false };
    let mut line = Vec::new();
    let mut inside = false;
    let mut key_indent = None;
    let mut item_indent = None;
    while read_line(&mut reader, &mut line)? {
        let text = line.trim_ascii_end();
        let indent = text.iter().take_while(|byte| **byte == b' ').count();
        let rest = &text[indent..];
        if rest.first().is_none_or(|byte| *byte == b'#') {
            // Blank lines and comments belong to wherever they stand.
            if inside { &mut blocks.item } else { &mut blocks.root }.extend_from_slice(&line);
            continue;
        }
        if rest[0] == b'\t' || (indent == 0 && (rest.starts_with(b"...") || rest[0] == b'%')) {
            return Ok(None);
        }
        if indent == 0 && rest[0] != b'-' {
            blocks.end_item(spool)?;
            inside = is_key(rest, b"entries");
            if inside {
                if blocks.seen_entries {
                    return Ok(None);
                }
                blocks.seen_entries = true;
                (key_indent, blocks.chart) = (None, None);
                continue;
            }
        }
        if !inside {
            if blocks.root.len() + line.len() > MAX_ROOT {
                return Ok(None);
            }
            blocks.root.extend_from_slice(&line);
            continue;
        }
        let is_item = rest == b"-" || rest.starts_with(b"- ");
        let known_key = *key_indent.get_or_insert(indent);
        if is_item && blocks.chart.is_some() && indent >= known_key && indent <= item_indent.unwrap_or(indent)
        {
            if item_indent.is_some_and(|known| known != indent) {
                return Ok(None);
            }
            item_indent = Some(indent);
            blocks.end_item(spool)?;
            blocks.item.extend_from_slice(&line);
        } else if indent > known_key && item_indent.is_some_and(|known| indent > known) {
            blocks.item.extend_from_slice(&line);
        } else if indent == known_key && !is_item {
            blocks.end_item(spool)?;
            item_indent = None;
            let Some(name) = chart_key(rest) else { return Ok(None) };
            if spool.charts.contains_key(&name) {
                return Ok(None);
            }
            spool.chart(&name);
            blocks.chart = Some(name);
        } else {
            return Ok(None);
        }
    }
    blocks.end_item(spool)?;
    let root = Value::from(sluice_yaml::read_strict(&blocks.root).map_err(IndexError::from)?);
    refuse_unknown(root.as_object(), &[ROOT_FIELDS])?;
    Ok(match root {
        Value::Object(map) if !map.contains_key("entries") => Some(map),
        _ => None,
    })
}

struct Blocks {
    root: Vec<u8>,
    chart: Option<String>,
    item: Vec<u8>,
    seen_entries: bool,
}

impl Blocks {
    fn end_item<S: Write>(&mut self, spool: &mut Spool<'_, S>) -> Result<(), ConvertError> {
        let text = std::mem::take(&mut self.item);
        let Some(chart) = &self.chart else { return Ok(()) };
        let list = sluice_yaml::read_strict(&text).map_err(IndexError::from)?;
        for entry in list.as_sequence().into_iter().flatten() {
            let value = Value::from(entry.clone());
            refuse_unknown_entry(&value)?;
            spool.entry(chart, &value)?;
        }
        Ok(())
    }
}

/// Whether a line is this key with nothing behind it.
fn is_key(line: &[u8], key: &[u8]) -> bool {
    line.strip_prefix(key).and_then(|rest| rest.strip_prefix(b":")).is_some_and(|rest| {
        let rest = rest.trim_ascii();
        rest.is_empty() || rest.starts_with(b"#")
    })
}

/// The name in a line `name:`, or `name: []`.
fn chart_key(line: &[u8]) -> Option<String> {
    let line = line.strip_suffix(b"[]").map_or(line, <[u8]>::trim_ascii_end);
    if !line.ends_with(b":") {
        return None;
    }
    match sluice_yaml::read(line).ok()? {
        sluice_yaml::Value::Mapping(map) if map.len() == 1 && map.values().all(|value| value.is_null()) => {
            map.into_keys().next()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn converted(text: &str) -> Result<(Converted, String), ConvertError> {
        let mut out = Vec::new();
        let converted = convert(&mut Cursor::new(text), &mut Cursor::new(Vec::new()), &mut out)?;
        Ok((converted, String::from_utf8(out).unwrap()))
    }

    fn versions(stored: &str, chart: &str) -> Option<Vec<String>> {
        let found = find(&mut Cursor::new(stored), chart).unwrap();
        found.map(|versions| versions.into_iter().map(|entry| entry.metadata.version).collect())
    }

    const YAML: &str = "---
# made by hand
apiVersion: v1
entries:
  one:
  - apiVersion: v2
    name: one
    description: |
      - not an entry
        two:

      three
    version: 1.2.0
    urls: [one-1.2.0.tgz]
  # between
  - name: one
    version: 1.10.0
    keywords:
    - a
    urls:
    - one-1.10.0.tgz
  - name: one
    version: bad!
  'two':
    - {name: two, version: 0.1.0, urls: [two.tgz]}
  empty: []
  none:
generated: \"2026-01-01T00:00:00Z\"
";

    #[test]
    fn entries_are_read_one_by_one_and_stored_with_the_highest_first() {
        let (converted, stored) = converted(YAML).unwrap();
        assert_eq!((converted.charts, converted.versions, converted.warnings.len()), (4, 3, 1));
        assert_eq!(versions(&stored, "one").unwrap(), ["1.10.0", "1.2.0"]);
        assert_eq!(versions(&stored, "two").unwrap(), ["0.1.0"]);
        assert_eq!(versions(&stored, "empty").unwrap(), [""; 0]);
        assert_eq!(versions(&stored, "none").unwrap(), [""; 0]);
        assert_eq!(versions(&stored, "three"), None);
        let whole = Index::parse(YAML.as_bytes()).unwrap();
        let again = Index::parse(stored.as_bytes()).unwrap();
        assert_eq!(whole.entries["one"], again.entries["one"]);
        assert_eq!(whole.generated, again.generated);
        let found = find(&mut Cursor::new(&stored), "one").unwrap().unwrap();
        assert_eq!(found, whole.entries["one"]);
    }

    #[test]
    fn every_shape_gives_the_same() {
        let (_, stored) = converted(YAML).unwrap();
        let json = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&stored).unwrap()).unwrap();
        let (_, from_json) = converted(&json).unwrap();
        assert_eq!(from_json, stored);
        // As somebody else stored it.
        assert_eq!(versions(&json, "one").unwrap(), ["1.10.0", "1.2.0"]);
        assert_eq!(versions(&json, "three"), None);
        let flow = "{apiVersion: v1, entries: {one: [{name: one, version: 1.2.0}]}}";
        assert_eq!(versions(&converted(flow).unwrap().1, "one").unwrap(), ["1.2.0"]);
        let anchored = "apiVersion: v1\nentries:\n  a:\n  - &x {name: a, version: 1.0.0}\n  b:\n  - *x\n";
        assert_eq!(versions(&converted(anchored).unwrap().1, "b").unwrap(), ["1.0.0"]);
        assert_eq!(versions(&converted("apiVersion: v1\nentries: {}\n").unwrap().1, "b"), None);
    }

    #[test]
    fn what_helm_refuses_is_refused() {
        let error = |text: &str| converted(text).unwrap_err().to_string();
        assert_eq!(error(""), "empty index.yaml file");
        assert_eq!(error("entries: {}"), "no API version specified");
        assert_eq!(error("{\"entries\":{}}"), "no API version specified");
        assert!(error(&YAML.replace("generated", "degenerated")).contains("unknown field \"degenerated\""));
        assert!(error(&YAML.replace("keywords", "keywrds")).contains("unknown field \"keywrds\""));
        assert!(error(&format!("{YAML}apiVersion: v1\n")).contains("apiVersion"));
        assert!(error("<html>not an index</html>").contains("error"));
        let large = format!("{{a: {}}}", "x".repeat(9 << 20));
        assert!(matches!(converted(&large), Err(ConvertError::Shape)));
    }
}

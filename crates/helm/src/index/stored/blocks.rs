//! Indexes in YAML that is written in the common way: charts below `entries:`, versions below charts, each begun by `- `.

use std::io::{BufRead as _, BufReader, Read, Write};

use serde_json::{Map, Value};

use super::ConvertError;
use super::spool::Spool;
use crate::index::{IndexError, ROOT_FIELDS, refuse_unknown, refuse_unknown_entry};

/// Longest text of an index around its entries.
const MAX_ROOT: usize = 1 << 20;
/// Longest text of a version.
const MAX_VERSION: usize = 4 << 20;

/// `None` for what is written otherwise.
pub(super) fn read<I: Read, S: Write>(
    input: &mut I,
    spool: &mut Spool<'_, S>,
) -> Result<Option<Map<String, Value>>, ConvertError> {
    let mut reader = BufReader::with_capacity(256 * 1024, input);
    let mut blocks = Blocks::default();
    let mut line = Vec::new();
    let mut inside = false;
    let mut key_indent = None;
    let mut item_indent: Option<usize> = None;
    loop {
        let start = blocks.item.len();
        let limit = (MAX_VERSION + 1).saturating_sub(start) as u64;
        if reader.by_ref().take(limit).read_until(b'\n', &mut blocks.item)? == 0 {
            break;
        }
        if blocks.item.len() > MAX_VERSION {
            return if item_indent.is_some() { Err(ConvertError::Large) } else { Ok(None) };
        }
        let text = &blocks.item[start..];
        // Nearly all lines are of this kind: deeper than the dash of the version.
        if let Some(indent) = item_indent
            && !blocks.is_new
            && text.get(..=indent).is_some_and(|start| start.iter().all(|byte| *byte == b' '))
        {
            continue;
        }
        line.clear();
        line.extend_from_slice(text);
        blocks.item.truncate(start);
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
                (key_indent, item_indent, blocks.chart) = (None, None, None);
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
            blocks.is_new = false;
        } else if indent > known_key && item_indent.is_some_and(|known| indent > known) {
            blocks.item.extend_from_slice(&line);
        } else if indent == known_key && !is_item {
            blocks.end_item(spool)?;
            item_indent = None;
            let Some(name) = chart_key(rest) else { return Ok(None) };
            if spool.has(&name) {
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

/// What is being read.
struct Blocks {
    root: Vec<u8>,
    chart: Option<String>,
    /// The text of a version.
    item: Vec<u8>,
    /// Whether the text has no dash yet.
    is_new: bool,
    json: Vec<u8>,
    seen_entries: bool,
}

impl Default for Blocks {
    fn default() -> Self {
        let (root, item, json) = (Vec::new(), Vec::new(), Vec::new());
        Blocks { root, chart: None, item, is_new: true, json, seen_entries: false }
    }
}

impl Blocks {
    fn end_item<S: Write>(&mut self, spool: &mut Spool<'_, S>) -> Result<(), ConvertError> {
        let done = self.hand_over(spool);
        self.item.clear();
        self.is_new = true;
        done
    }

    fn hand_over<S: Write>(&mut self, spool: &mut Spool<'_, S>) -> Result<(), ConvertError> {
        let Some(chart) = &self.chart else { return Ok(()) };
        if self.item.is_empty() {
            return Ok(());
        }
        self.json.clear();
        if let Ok(text) = std::str::from_utf8(&self.item)
            && sluice_yaml::transcode(text, &mut self.json).is_some()
            && let Some(entry) = self.json.strip_prefix(b"[").and_then(|json| json.strip_suffix(b"]"))
            && spool.plain(chart, entry)?
        {
            return Ok(());
        }
        let list = sluice_yaml::read_strict(&self.item).map_err(IndexError::from)?;
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

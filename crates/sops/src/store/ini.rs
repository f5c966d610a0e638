//! Sections of `name = value`, by the rules of the library that the reference uses.

use std::collections::HashMap;

use super::scalar;
use crate::error::Error;
use crate::tree::{Branch, Comment, Item, Value};

/// The section before the first heading.
const DEFAULT: &str = "DEFAULT";

struct Section {
    name: String,
    comment: String,
    keys: Vec<Key>,
    /// Where each key is.
    places: HashMap<String, usize>,
}

struct Key {
    name: String,
    value: String,
    comment: String,
}

impl Section {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), comment: String::new(), keys: Vec::new(), places: HashMap::new() }
    }

    /// Adds a key; one of the same name gets the new value in its place.
    fn add(&mut self, key: Key) {
        if let Some(place) = self.places.get(&key.name) {
            self.keys[*place] = key;
        } else {
            self.places.insert(key.name.clone(), self.keys.len());
            self.keys.push(key);
        }
    }
}

/// Reads sections as maps. A comment stands first in its section, or behind its key.
pub(super) fn read(data: &[u8]) -> Result<Branch, Error> {
    let text = String::from_utf8_lossy(data);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let sections =
        parse(text).map_err(|reason| Error::Load(format!("Could not unmarshal input data: {reason}")))?;
    let comment = |text: &str| Item::Comment(Comment { text: bare(text).to_owned(), inline: false });
    let branch = sections.into_iter().map(|section| {
        let mut items = Vec::new();
        if !section.comment.is_empty() {
            items.push(comment(&section.comment));
        }
        for key in section.keys {
            items.push(Item::Entry(key.name, Value::text(key.value)));
            if !key.comment.is_empty() {
                items.push(comment(&key.comment));
            }
        }
        Item::Entry(section.name, Value::Map(items))
    });
    Ok(branch.collect())
}

/// A comment without its sign.
fn bare(comment: &str) -> &str {
    match comment.as_bytes().first() {
        Some(b';') => comment.trim_start_matches([';', ' ']),
        Some(b'#') => comment.trim_start_matches(['#', ' ']),
        _ => comment,
    }
}

fn parse(text: &str) -> Result<Vec<Section>, String> {
    let mut lines = text.split_inclusive('\n');
    let mut sections = Vec::new();
    let mut section = Section::new(DEFAULT);
    let mut comment = String::new();
    let mut counter = 1;
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        match line.as_bytes().first() {
            None => continue,
            Some(b'#' | b';') => {
                comment.push_str(line);
                continue;
            }
            Some(b'[') => {
                let close = line.rfind(']').ok_or("unclosed section")?;
                let name = &line[1..close];
                if name.is_empty() {
                    return Err("empty section name".to_owned());
                }
                sections.push(std::mem::replace(&mut section, Section::new(name)));
                comment.push_str(remark(&line[close + 1..]));
                comment.trim().clone_into(&mut section.comment);
                comment.clear();
                counter = 1;
                continue;
            }
            Some(_) => {}
        }
        let (mut name, rest) = key_name(line)?;
        if name == "-" {
            name = format!("#{counter}");
            counter += 1;
        }
        let value = value(rest, &mut lines, &mut comment)?;
        section.add(Key { name, value, comment: std::mem::take(&mut comment).trim().to_owned() });
    }
    sections.push(section);
    Ok(sections)
}

/// The comment in the rest of a line.
fn remark(text: &str) -> &str {
    text.find(['#', ';']).map_or("", |at| &text[at..])
}

/// The name of a key, and what follows `=` or `:`. Lines may hold secrets, so that errors do not show them.
fn key_name(line: &str) -> Result<(String, &str), String> {
    let no_delimiter = || "key-value delimiter not found: <redacted>".to_owned();
    let quote = if line.len() > 6 && line.starts_with("\"\"\"") {
        "\"\"\""
    } else if line.starts_with('"') {
        "\""
    } else if line.starts_with('`') {
        "`"
    } else {
        let at = line.find(['=', ':']).ok_or_else(no_delimiter)?;
        if at == 0 {
            return Err("empty key name: <redacted>".to_owned());
        }
        return Ok((line[..at].trim().to_owned(), &line[at + 1..]));
    };
    let inner = &line[quote.len()..];
    let end = inner.find(quote).ok_or("missing closing key quote: <redacted>")?;
    let after = &inner[end + quote.len()..];
    let at = after.find(['=', ':']).ok_or_else(no_delimiter)?;
    Ok((inner[..end].trim().to_owned(), &after[at + 1..]))
}

/// A value, which may go on over further lines; a comment behind it is added to the others of the key.
fn value<'a>(
    rest: &str,
    lines: &mut impl Iterator<Item = &'a str>,
    comment: &mut String,
) -> Result<String, String> {
    let line = rest.trim_start();
    if line.is_empty() {
        return Ok(String::new());
    }
    let quote = if line.len() > 3 && line.starts_with("\"\"\"") {
        "\"\"\""
    } else if line.starts_with('`') {
        "`"
    } else {
        ""
    };
    if !quote.is_empty() {
        let inner = &line[quote.len()..];
        return match inner.rfind(quote) {
            Some(end) => Ok(inner[..end].to_owned()),
            None => quoted_lines(inner, quote, lines, comment),
        };
    }
    let line = line.trim();
    if let Some(head) = line.strip_suffix('\\') {
        return Ok(continued(head, lines));
    }
    let mut value = line;
    if let Some(at) = line.find(['#', ';']) {
        comment.push_str(&line[at..]);
        value = line[..at].trim();
    }
    for quote in ['\'', '"'] {
        if value.len() >= 2
            && value.starts_with(quote)
            && value[1..].find(quote).is_some_and(|at| at == value.len() - 2)
        {
            return Ok(value[1..value.len() - 1].to_owned());
        }
    }
    Ok(value.to_owned())
}

fn quoted_lines<'a>(
    first: &str,
    quote: &str,
    lines: &mut impl Iterator<Item = &'a str>,
    comment: &mut String,
) -> Result<String, String> {
    let mut value = first.to_owned();
    for next in lines {
        if let Some(end) = next.rfind(quote) {
            value.push_str(&next[..end]);
            comment.push_str(remark(&next[end..]).trim());
            return Ok(value);
        }
        value.push_str(next);
    }
    Err("missing closing key quote from <redacted>".to_owned())
}

fn continued<'a>(head: &str, lines: &mut impl Iterator<Item = &'a str>) -> String {
    let mut value = head.to_owned();
    for next in lines {
        let next = next.trim();
        if next.is_empty() {
            break;
        }
        match next.strip_suffix('\\') {
            Some(more) => value.push_str(more),
            None => {
                value.push_str(next);
                break;
            }
        }
    }
    value
}

/// Prints sections, with the equals signs of a section below each other.
pub(super) fn write(branch: &[Item]) -> Result<Vec<u8>, Error> {
    let sections = branch
        .iter()
        .filter_map(|item| match item {
            Item::Entry(name, value) => Some(section(name, value)),
            Item::Comment(_) => None,
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let mut out = String::new();
    for (index, section) in sections.iter().enumerate() {
        write_comment(&section.comment, &mut out);
        if index > 0 || !section.name.eq_ignore_ascii_case(DEFAULT) {
            out.push_str(&format!("[{}]\n", section.name));
        } else if section.keys.is_empty() {
            continue;
        }
        let names: Vec<String> = section.keys.iter().map(|key| quoted_name(&key.name)).collect();
        let width = names.iter().map(String::len).max().unwrap_or_default();
        for (key, name) in section.keys.iter().zip(&names) {
            write_comment(&key.comment, &mut out);
            let padding = " ".repeat(width - name.len());
            out.push_str(&format!("{name}{padding} = {}\n", quoted_value(&key.value)));
        }
        if index + 1 < sections.len() {
            out.push('\n');
        }
    }
    Ok(out.into_bytes())
}

fn section(name: &str, value: &Value) -> Result<Section, Error> {
    let failed = |reason: &str| Error::Emit(format!("Error marshaling to INI: {reason}"));
    let Value::Map(items) = value else {
        return Err(failed("Error encoding section: Section values should always be TreeBranches"));
    };
    let mut section = Section::new(name);
    for (index, item) in items.iter().enumerate() {
        match item {
            Item::Comment(comment) if index == 0 => section.comment.clone_from(&comment.text),
            Item::Comment(comment) => {
                if let Some(key) = section.keys.last_mut() {
                    key.comment.clone_from(&comment.text);
                }
            }
            Item::Entry(name, value) => {
                let text = scalar::to_text(value)
                    .ok_or_else(|| failed(&format!("cannot use complex value; offending key {name}")))?;
                let value = String::from_utf8_lossy(&text).into_owned();
                section.add(Key { name: name.clone(), value, comment: String::new() });
            }
        }
    }
    Ok(section)
}

fn write_comment(comment: &str, out: &mut String) {
    if comment.is_empty() {
        return;
    }
    for line in comment.split('\n') {
        match line.chars().next() {
            Some(sign @ ('#' | ';')) => out.push_str(&format!("{sign} {}\n", line[1..].trim())),
            _ => out.push_str(&format!("; {}\n", line.trim())),
        }
    }
}

fn quoted_name(name: &str) -> String {
    if name.starts_with('#') && name[1..].bytes().all(|byte| byte.is_ascii_digit()) && name.len() > 1 {
        name.to_owned()
    } else if name.contains(['"', '=', ':']) {
        format!("`{name}`")
    } else if name.contains('`') {
        format!("\"\"\"{name}\"\"\"")
    } else {
        name.to_owned()
    }
}

fn quoted_value(value: &str) -> String {
    if value.contains(['\n', '`']) {
        format!("\"\"\"{value}\"\"\"")
    } else if value.contains(['#', ';']) {
        format!("`{value}`")
    } else if value.trim().len() != value.len() {
        format!("\"{value}\"")
    } else {
        value.to_owned()
    }
}

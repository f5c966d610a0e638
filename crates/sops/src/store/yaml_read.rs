//! YAML documents as trees, with comments where SOPS puts them.

use std::collections::HashMap;

use sluice_yaml::event::{Event, EventKind, Events, Properties};
use sluice_yaml::number::Integer;
use sluice_yaml::resolve::{Scalar, Tag, resolve_tagged};
use sluice_yaml::{Dialect, Style};

use super::yaml_comments::{Found, in_gap};
use crate::error::Error;
use crate::tree::{Branch, Comment, Element, Item, Value};

/// How many values may be copied for anchors and aliases.
const MOST_ALIASED: usize = 1_000_000;

/// Reads all documents. Each must be a mapping, or empty.
pub(super) fn read(data: &[u8]) -> Result<Vec<Branch>, Error> {
    let failed = |reason: String| Error::Load(format!("Error unmarshaling input YAML: {reason}"));
    let text = std::str::from_utf8(data).map_err(|_| failed("yaml: invalid UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        text,
        end: 0,
        end_line: 0,
        after_scalar: false,
        stack: Vec::new(),
        anchors: HashMap::new(),
        aliased: 0,
        loose: Vec::new(),
        done: Vec::new(),
    };
    let mut events = Events::new(text, Dialect::V3);
    let mut waiting: Vec<Event<'_>> = Vec::new();
    loop {
        let event = match events.next_event() {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(error) => return Err(failed(error.to_string())),
        };
        // A block ends without a sign, so that comments behind it may come before or after its end.
        let closes = matches!(event.kind, EventKind::MappingEnd | EventKind::SequenceEnd)
            && event.end.offset == event.start.offset;
        let over = matches!(event.kind, EventKind::StreamEnd);
        waiting.push(event);
        // Whom a comment belongs to depends on how many collections end behind it.
        if closes {
            continue;
        }
        reader.take(std::mem::take(&mut waiting)).map_err(failed)?;
        if over {
            break;
        }
    }
    Ok(reader.done)
}

/// A collection that is being read.
struct Open<'a> {
    /// The column of its entries, or of its dashes.
    column: usize,
    flow: bool,
    anchor: Option<&'a str>,
    kind: Kind,
}

enum Kind {
    Map { items: Branch, keys: HashMap<String, usize>, key: Option<String> },
    List(Vec<Element>),
}

struct Reader<'a> {
    text: &'a str,
    /// Where the last event ended.
    end: usize,
    end_line: usize,
    /// Whether the last event was a scalar or alias in the place of a value.
    after_scalar: bool,
    stack: Vec<Open<'a>>,
    anchors: HashMap<&'a str, Value>,
    aliased: usize,
    /// Comments before the first entry of a collection that has not begun yet.
    loose: Vec<Comment>,
    done: Vec<Branch>,
}

impl<'a> Reader<'a> {
    /// Takes one event, with the ends of blocks that come right before it.
    fn take(&mut self, events: Vec<Event<'a>>) -> Result<(), String> {
        let Some(last) = events.last() else { return Ok(()) };
        let to = last.start.offset.max(self.end);
        let found = in_gap(self.text, self.end, to, self.end_line);
        let survivor = self.stack.len().saturating_sub(events.len() - 1);
        let mut comments: Vec<(usize, Found)> = Vec::new();
        for found in found {
            if !found.alone && found.line == self.end_line && self.after_scalar {
                self.before_last(Comment { text: found.text, inline: true });
            } else {
                comments.push((self.owner(&found, survivor), found));
            }
        }
        let mut events = events.into_iter();
        let Some(last) = events.next_back() else { return Ok(()) };
        for end in events {
            let index = self.stack.len().saturating_sub(1);
            if let Some(open) = self.stack.last_mut() {
                for (_, found) in comments.extract_if(.., |(owner, _)| *owner == index) {
                    open.push_comment(Comment { text: found.text, inline: false });
                }
            }
            self.event(end)?;
        }
        for (_, found) in comments {
            self.place(found, &last);
        }
        if last.end.offset > self.end {
            self.end = last.end.offset;
            self.end_line = last.end.line;
        }
        self.event(last)
    }

    /// The collection that a comment belongs to: one that ends here if the comment is as far to the right as its
    /// entries, and farther than what goes on. Otherwise a place beyond all collections.
    fn owner(&self, found: &Found, survivor: usize) -> usize {
        if !found.alone {
            return usize::MAX;
        }
        let limit = survivor.checked_sub(1).map(|index| self.stack[index].column);
        let ending = &self.stack[survivor..];
        let fits = |open: &Open<'_>| {
            !open.flow && open.column <= found.column && limit.is_none_or(|limit| found.column > limit)
        };
        match ending.iter().rposition(fits) {
            Some(index) => survivor + index,
            // The root keeps what is left at its end.
            None if survivor == 0 && !ending.is_empty() => 0,
            None => usize::MAX,
        }
    }

    /// Gives a comment to the collection that goes on, or that begins.
    fn place(&mut self, found: Found, next: &Event<'_>) {
        let opens = matches!(next.kind, EventKind::MappingStart { .. } | EventKind::SequenceStart { .. });
        let waits_for_value = self.stack.last().is_none_or(Open::waits_for_value);
        if opens && found.alone && waits_for_value && !found.before_dash_of(self.stack.last()) {
            self.loose.push(Comment { text: found.text, inline: false });
            return;
        }
        let comment = Comment { text: found.text, inline: false };
        match self.stack.last_mut() {
            Some(open) => open.push_comment(comment),
            None => self.loose.push(comment),
        }
    }

    /// Puts a comment that stands behind a value before that value's entry.
    fn before_last(&mut self, comment: Comment) {
        let Some(open) = self.stack.last_mut() else { return };
        match &mut open.kind {
            Kind::Map { items, .. } => {
                let at = items.len().saturating_sub(1);
                items.insert(at, Item::Comment(comment));
            }
            Kind::List(elements) => {
                let at = elements.len().saturating_sub(1);
                elements.insert(at, Element::Comment(comment));
            }
        }
    }

    fn event(&mut self, event: Event<'a>) -> Result<(), String> {
        self.after_scalar = false;
        match event.kind {
            EventKind::DocumentStart { .. } => self.anchors.clear(),
            EventKind::Scalar { properties, value, style } => {
                let anchor = properties.anchor;
                let value = scalar(&properties, &value, style)?;
                self.value(value, anchor, event.start.line)?;
            }
            EventKind::Alias(name) => {
                let known = self.anchors.get(name);
                let value = known.ok_or_else(|| format!("yaml: unknown anchor '{name}' referenced"))?;
                let value = copied(value, &mut self.aliased)?;
                self.value(value, None, event.start.line)?;
            }
            EventKind::SequenceStart { properties, flow } => {
                let kind = Kind::List(Vec::new());
                self.open(kind, flow, properties.anchor, event.start.column);
            }
            EventKind::MappingStart { properties, flow } => {
                let kind = Kind::Map { items: Vec::new(), keys: HashMap::new(), key: None };
                self.open(kind, flow, properties.anchor, event.start.column);
            }
            EventKind::SequenceEnd | EventKind::MappingEnd => {
                let Some(open) = self.stack.pop() else { return Ok(()) };
                let anchor = open.anchor;
                let value = match open.kind {
                    Kind::Map { items, .. } => Value::Map(items),
                    Kind::List(elements) => Value::List(elements),
                };
                self.value(value, anchor, event.start.line)?;
                self.after_scalar = false;
            }
            EventKind::StreamStart | EventKind::StreamEnd | EventKind::DocumentEnd { .. } => {}
        }
        Ok(())
    }

    fn open(&mut self, kind: Kind, flow: bool, anchor: Option<&'a str>, column: usize) {
        let mut open = Open { column, flow, anchor, kind };
        for comment in self.loose.drain(..) {
            open.push_comment(comment);
        }
        self.stack.push(open);
    }

    /// Puts a complete value where it belongs: it is a key, an entry, an element or a document.
    fn value(&mut self, value: Value, anchor: Option<&'a str>, line: usize) -> Result<(), String> {
        if let Some(name) = anchor {
            let copy = copied(&value, &mut self.aliased)?;
            self.anchors.insert(name, copy);
        }
        let Some(open) = self.stack.last_mut() else {
            let loose = self.loose.drain(..).map(Item::Comment);
            let branch = match value {
                Value::Map(branch) => branch,
                Value::Null => loose.collect(),
                Value::List(_) => {
                    return Err("YAML documents that are sequences are not supported".to_owned());
                }
                _ => return Err("YAML documents that are values are not supported".to_owned()),
            };
            self.done.push(branch);
            return Ok(());
        };
        match &mut open.kind {
            Kind::List(elements) => {
                elements.push(Element::Value(value));
                self.after_scalar = true;
            }
            Kind::Map { items, keys, key } => match key.take() {
                Some(name) => {
                    items.push(Item::Entry(name, value));
                    self.after_scalar = true;
                }
                None => {
                    let name = match value {
                        Value::Text(text) => String::from_utf8_lossy(&text).into_owned(),
                        other => {
                            let kind = other.go_type();
                            return Err(format!(
                                "Tree contains a non-string key (type {kind}). Only string keys are supported"
                            ));
                        }
                    };
                    // The reference looks for repeated keys in the first document only.
                    if self.done.is_empty()
                        && name != "<<"
                        && let Some(first) = keys.insert(name.clone(), line)
                    {
                        return Err(format!(
                            "yaml: unmarshal errors:\n  line {}: mapping key {name:?} already defined at line {}",
                            line + 1,
                            first + 1
                        ));
                    }
                    *key = Some(name);
                }
            },
        }
        Ok(())
    }
}

impl Open<'_> {
    fn push_comment(&mut self, comment: Comment) {
        match &mut self.kind {
            Kind::Map { items, .. } => items.push(Item::Comment(comment)),
            Kind::List(elements) => elements.push(Element::Comment(comment)),
        }
    }

    /// Whether a collection that begins now would be a value in this one.
    fn waits_for_value(&self) -> bool {
        match &self.kind {
            Kind::Map { key, .. } => key.is_some(),
            Kind::List(_) => true,
        }
    }
}

impl Found {
    /// Whether the comment stands before the dash of an element of this list.
    fn before_dash_of(&self, open: Option<&Open<'_>>) -> bool {
        self.before_dash && matches!(open, Some(Open { kind: Kind::List(_), .. }))
    }
}

/// A copy of a value, as long as not too many were made.
fn copied(value: &Value, made: &mut usize) -> Result<Value, String> {
    *made += count(value);
    if *made > MOST_ALIASED {
        return Err("yaml: document contains excessive aliasing".to_owned());
    }
    Ok(value.clone())
}

fn count(value: &Value) -> usize {
    match value {
        Value::Map(branch) => branch
            .iter()
            .map(|item| match item {
                Item::Entry(_, value) => 1 + count(value),
                Item::Comment(_) => 1,
            })
            .sum::<usize>(),
        Value::List(list) => list
            .iter()
            .map(|element| match element {
                Element::Value(value) => 1 + count(value),
                Element::Comment(_) => 1,
            })
            .sum::<usize>(),
        _ => 1,
    }
}

fn scalar(properties: &Properties<'_>, text: &str, style: Style) -> Result<Value, String> {
    let tag = match properties.tag.as_deref().map_or(Tag::None, Tag::parse) {
        Tag::None if style != Style::Plain => Tag::Str,
        tag => tag,
    };
    if tag == Tag::Binary {
        return match sluice_yaml::read::decode_binary(text) {
            Ok(bytes) => Ok(Value::Text(bytes)),
            Err(error) => Err(error.to_string()),
        };
    }
    Ok(match resolve_tagged(tag, text, Dialect::V3).map_err(|error| format!("yaml: {error}"))? {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Integer(Integer::Signed(value)) => Value::Int(value),
        Scalar::Integer(_) => Value::Foreign("uint64"),
        Scalar::Float(value) => Value::Float(value),
        Scalar::Timestamp(time) => Value::Time(time.to_string()),
        Scalar::Text(text) => Value::text(text),
        Scalar::Merge => Value::text("<<"),
    })
}

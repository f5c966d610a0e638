//! A few members of a large document, without making values of the rest.

use crate::error::Error;
use crate::event::{Event, EventKind, Properties};
use crate::node::{Composer, Node};
use crate::number::Integer;
use crate::read::{Decoder, Dialect, decode, read};
use crate::resolve::{Scalar, resolve};
use crate::scanner::Style;
use crate::value::Value;

/// Reads the first document as [`read()`] does, down to its errors, but leaves out the members of its mapping that
/// are not wanted.
///
/// Only the syntax of the rest is looked at. Where that could hide an error (anchors, tags, keys and numbers that
/// JSON cannot have), the document is read as a whole.
pub fn read_members(text: impl AsRef<[u8]>, wanted: impl Fn(&str) -> bool) -> Result<Value, Error> {
    let bytes = text.as_ref();
    let skimmed = decode(bytes).ok().and_then(|text| skim(&text, &wanted));
    skimmed.map_or_else(|| read(bytes), Ok)
}

/// `None` if the document is not as plain as nearly all are.
fn skim(text: &str, wanted: &dyn Fn(&str) -> bool) -> Option<Value> {
    let mut composer = Composer::new(text, Dialect::Sigs, true);
    loop {
        match composer.events.next_event().ok()??.kind {
            EventKind::StreamStart | EventKind::DocumentStart { .. } => {}
            EventKind::MappingStart { properties, .. } if is_bare(&properties) => break,
            _ => return None,
        }
    }
    let mut kept = Vec::new();
    loop {
        let Event { kind, .. } = composer.events.next_event().ok()??;
        let (key, style) = match kind {
            EventKind::MappingEnd => break,
            EventKind::Scalar { properties, value, style } if is_bare(&properties) => (value, style),
            _ => return None,
        };
        if !key.is_ascii() || !is_plain_key(&key, style) {
            return None;
        }
        if wanted(&key) {
            kept.push((Node::string(key), composer.node().ok()?));
        } else {
            skip(&mut composer)?;
        }
    }
    // The end of the document is part of it.
    composer.events.next_event().ok()??;
    if composer.has_anchors() {
        return None;
    }
    Decoder::new(false).document(Node::Mapping(kept.into())).ok()
}

fn is_bare(properties: &Properties<'_>) -> bool {
    properties.anchor.is_none() && properties.tag.is_none()
}

/// Where the next node stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Item,
    Key,
    Value,
}

/// Passes over one node.
fn skip(composer: &mut Composer<'_>) -> Option<()> {
    let mut places = Vec::new();
    loop {
        let place = places.last().copied();
        match composer.events.next_event().ok()??.kind {
            EventKind::Scalar { properties, value, style } if is_bare(&properties) => {
                let plain = if place == Some(Place::Key) {
                    is_plain_key(&value, style)
                } else {
                    is_plain_value(&value, style)
                };
                if !plain {
                    return None;
                }
            }
            EventKind::SequenceStart { properties, .. }
                if is_bare(&properties) && place != Some(Place::Key) =>
            {
                places.push(Place::Item);
                continue;
            }
            EventKind::MappingStart { properties, .. }
                if is_bare(&properties) && place != Some(Place::Key) =>
            {
                places.push(Place::Key);
                continue;
            }
            EventKind::SequenceEnd | EventKind::MappingEnd => drop(places.pop()),
            _ => return None,
        }
        match places.last_mut() {
            None => return Some(()),
            Some(Place::Item) => {}
            Some(place) => *place = if *place == Place::Key { Place::Value } else { Place::Key },
        }
    }
}

/// Whether a key is text, whatever it looks like, and nothing that merges.
fn is_plain_key(text: &str, style: Style) -> bool {
    style != Style::Plain || matches!(resolve(text, Dialect::Sigs), Scalar::Text(_))
}

/// Whether a value is sure to have a form in JSON.
fn is_plain_value(text: &str, style: Style) -> bool {
    if style != Style::Plain || text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return true;
    }
    match resolve(text, Dialect::Sigs) {
        Scalar::Float(value) => value.is_finite(),
        Scalar::Integer(Integer::Signed(_) | Integer::Unsigned(_))
        | Scalar::Null
        | Scalar::Bool(_)
        | Scalar::Timestamp(_)
        | Scalar::Text(_) => true,
        Scalar::Merge => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        let wanted = |key: &str| key == "kind" || key == "metadata";
        let whole = read(text);
        let members = read_members(text, wanted);
        match (whole, members) {
            (Ok(Value::Mapping(mut whole)), Ok(Value::Mapping(members))) => {
                // What was read as a whole has all members.
                if whole != members {
                    whole.retain(|key, _| wanted(key));
                }
                assert_eq!(whole, members, "{text}");
            }
            (Ok(whole), Ok(members)) => assert_eq!(whole, members, "{text}"),
            (Err(whole), Err(members)) => assert_eq!(whole.to_string(), members.to_string(), "{text}"),
            (whole, members) => panic!("{text}: {whole:?} but {members:?}"),
        }
    }

    #[test]
    fn members_are_those_of_the_whole_document() {
        check("kind: A\nspec: {a: [1, {b: c}], d: |\n  text\n}\nmetadata:\n  name: x\n  n: 1\n");
        check("kind: A\nkind: B\nspec:\n- - a\n  - b: c\n- {}\nmetadata: {}\n");
        check("spec: 1\n");
        check("");
        check("- a\n");
        check("text");
    }

    #[test]
    fn errors_are_those_of_the_whole_document() {
        check("kind: A\nspec: a: b\n");
        check("kind: A\nspec:\n  x: .inf\n");
        check("kind: A\nspec:\n  ? {a: b}\n  : c\n");
        check("kind: A\nspec:\n  ~: c\n");
        check("kind: A\nspec:\n  18446744073709551615: c\n");
        check("kind: A\nspec: *none\n");
        check("kind: A\nspec: !!int text\n");
        check("kind: A\nspec:\n  <<: 1\n");
        check("kind: A\nspec: [1\n");
        check("kind: A\nspec: 'open\n");
        check("kind: A\nspec: x\n...\n- a\n");
    }

    #[test]
    fn anchors_are_followed_wherever_they_are() {
        check("spec: &a {b: c}\nmetadata: *a\nkind: A\n");
        check("metadata: &a {b: c}\nspec: *a\nkind: A\n");
        check("base: &a {kind: A}\n<<: *a\nmetadata: {name: x}\n");
    }
}

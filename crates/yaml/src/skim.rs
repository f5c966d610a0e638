//! A few members of a large document, without making values of the rest.

use crate::error::Error;
use crate::event::{Event, EventKind, Properties};
use crate::glance;
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
    if let Some(lines) = std::str::from_utf8(bytes).ok().and_then(|text| wanted_lines(text, &wanted)) {
        return glance::texts(&lines).map_or_else(|| read(&lines), Ok);
    }
    let skimmed = decode(bytes).ok().and_then(|text| skim(&text, &wanted));
    skimmed.map_or_else(|| read(bytes), Ok)
}

/// The lines of the wanted members, if the whole text is plain.
fn wanted_lines(text: &str, wanted: &dyn Fn(&str) -> bool) -> Option<String> {
    let members = glance::members(text)?;
    // Without a member the text is something else: nothing, or a comment.
    members.first()?;
    let lines: String =
        members.into_iter().filter(|(key, _)| wanted(key)).filter_map(|(_, range)| text.get(range)).collect();
    Some(if lines.is_empty() { "{}".to_owned() } else { lines })
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
pub(crate) fn is_plain_key(text: &str, style: Style) -> bool {
    style != Style::Plain || matches!(resolve(text, Dialect::Sigs), Scalar::Text(_))
}

/// Whether a value is sure to have a form in JSON.
pub(crate) fn is_plain_value(text: &str, style: Style) -> bool {
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
    fn plain_lines_are_seen_through_and_all_else_is_read() {
        let plain = |text: &str| {
            check(text);
            assert!(glance::members(text).is_some(), "{text}");
        };
        let odd = |text: &str| {
            check(text);
            assert!(glance::members(text).is_none(), "{text}");
        };
        plain(
            "# c\nkind: A # d\nspec:\n  a: 1\n  b:\n  - c: d\n    e:\n      - f\n      - \"g: h\"\n  # c\n  i: 'j''k' # l\nmetadata:\n  name: x\n",
        );
        plain(
            "spec:\n- a\n-\n- - b\n  - c: d\n    e: {}\nkind: A\nmetadata:\n  annotations:\n    \"helm.sh/hook\": test\n",
        );
        plain("spec:\n  text: |-\n\n    a: b: c\n      - d\n\n  next: >\n    x\n  last: |\nkind: A\n");
        plain("data:\n  a: |\n    kind: B\n\n\nkind: A");
        plain(
            "spec:\n  a:\n  b: http://x:80/?a#b\n  c: -1.5\n  d: --flag\n  e: ~\nkind: A\nmetadata:\n  name: ä\n",
        );
        plain("kind: A\nspec:\n    a: 1\nmetadata:\n  b:\n        c: 1\n");
        plain("kind: yes # no\nspec: 1\nmetadata:\n  'a': \"b c\" # d\n\n  # e\n  f:\n      'g''h': 'i'\n");
        plain("kind: A#b # c\nspec: 1\nmetadata:\n  # e\n    f: 'i'\n    \"g\": x y\n");
        plain("kind: A\nspec: 1\nmetadata:\n  f: g\n  f: \"h\"\n  i:\n    j: k\n  l:\n\n");
        // A line of spaces is no value.
        plain("# a\nkind: A # b\nmetadata:\n ");
        plain("kind: A\nmetadata:\n  a:\n    # b\n    \n");
        plain(
            "kind: \"\\n\"\nmetadata:\n  labels: # here\n    a/b.c: d'e\n    f: null\n    g: on\n  nn: name\n",
        );
        odd("kind: A\nspec:\n  a: 1\n   b: 2\n");
        odd("kind: A\nspec:\n  a: 1\n b: 2\n");
        odd("kind: A\nspec:\n  a:\n b: 2\n");
        odd("kind: A\nspec:\n  a:\n- b\n");
        odd("kind: A\nspec:\n  -\n b: 2\n");
        odd("kind: A\nspec:\n  - a\n  b: 2\n");
        odd("kind: A\nspec:\n  a: 1\n  - b\n");
        odd("kind: A\nspec:\n  a: b: c\n");
        odd("kind: A\nspec:\n  a: b:\n");
        odd("kind: A\nspec:\n  a: x\n    y\n");
        odd("kind: A\nspec:\n  a: |\n    x\n   y\n");
        odd("kind: A\nspec:\n  a: |\n      \n    x\n");
        odd("kind: A\nspec:\n  a: |2\n    x\n");
        odd("kind: A\nspec:\n  true: x\n");
        odd("kind: A\nspec:\n  a: [b, c]\n");
        odd("kind: A\nspec:\n  a: .inf\n");
        odd("kind: A\nspec:\n  a: 'open\n  b: c'\n");
        odd("kind: A\nspec:\n  a: \"\\x41\"\n");
        odd("kind: A\nspec:\n  a: &b c\n");
        odd("kind: A\nspec:\n\ta: b\n");
        odd("kind: A\nspec: \"x\"y\n");
        odd("kind: A\n--- x\n");
        odd("kind: A\n- b\n");
        odd("kind: A\nspec: {}x\n");
        odd("kind: A\nspec:\n  a: \"b\"\n    c: d\n");
        odd("kind: A\nspec:\n  -a: 1\n");
        odd("kind: A\r\nspec: 1\r\n");
        odd("spec:\n  - a: 1\n   - b\nkind: A\n");
    }

    #[test]
    fn anchors_are_followed_wherever_they_are() {
        check("spec: &a {b: c}\nmetadata: *a\nkind: A\n");
        check("metadata: &a {b: c}\nspec: *a\nkind: A\n");
        check("base: &a {kind: A}\n<<: *a\nmetadata: {name: x}\n");
    }
}

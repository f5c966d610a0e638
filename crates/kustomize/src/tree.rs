//! Looking at and changing node trees, with the reference's notions of null, empty and missing.
//!
//! The reference shares a node between several places of a resource when a label or annotation is added to all
//! of them, and a later change of one changes all. Such nodes carry a mark here ([`shared`]) and changes of
//! them are recorded and repeated ([`Writes`]).

use sluice_yaml::node::ScalarNode;
use sluice_yaml::read::Dialect;
use sluice_yaml::resolve::{Scalar, Tag, resolve};
use sluice_yaml::write::write_node;
use sluice_yaml::{MAX_DEPTH, Node, Style, Value};
use smol_str::SmolStr;

use crate::error::{Error, Result};
use crate::resource::SENTINEL;

/// The entries of a mapping.
pub(crate) type Entries = Vec<(Node, Node)>;

/// A scalar without a tag: what it is follows from its text when it is printed.
pub(crate) fn untyped(text: impl Into<SmolStr>) -> ScalarNode {
    ScalarNode { text: text.into(), ..ScalarNode::default() }
}

/// A string.
pub(crate) fn string(text: impl Into<SmolStr>) -> ScalarNode {
    ScalarNode::string(text)
}

/// A key made by a transformer.
pub(crate) fn key(name: &str) -> Node {
    Node::Scalar(untyped(name))
}

/// Null by its tag; a scalar whose text merely reads as null is not.
pub(crate) fn is_null(node: &Node) -> bool {
    matches!(node, Node::Scalar(scalar) if scalar.tag == Tag::Null)
}

/// Null, `{}` or `[]`.
pub(crate) fn is_nil_or_empty(node: &Node) -> bool {
    match node {
        Node::Scalar(scalar) => scalar.tag == Tag::Null,
        Node::Sequence(items) => items.is_empty(),
        Node::Mapping(entries) => entries.is_empty(),
    }
}

/// The line where a node was read, or its first part.
pub(crate) fn line(node: &Node) -> Option<u32> {
    match node {
        Node::Scalar(scalar) => (scalar.line != 0 && scalar.line & SHARED == 0).then_some(scalar.line),
        Node::Sequence(items) => items.first().and_then(line),
        Node::Mapping(entries) => entries.first().and_then(|(key, _)| line(key)),
    }
}

/// Counts lines from the top of the file for what was read from a document further down.
pub(crate) fn move_down(node: &mut Node, lines: u32) {
    match node {
        Node::Scalar(scalar) if scalar.line != 0 => scalar.line += lines,
        Node::Scalar(_) => {}
        Node::Sequence(items) => items.iter_mut().for_each(|item| move_down(item, lines)),
        Node::Mapping(entries) => entries.iter_mut().for_each(|(key, value)| {
            move_down(key, lines);
            move_down(value, lines);
        }),
    }
}

/// The text of a scalar; nothing for collections.
pub(crate) fn text(node: &Node) -> &str {
    match node {
        Node::Scalar(scalar) => &scalar.text,
        _ => "",
    }
}

/// Like [`text`], to keep.
pub(crate) fn owned_text(node: &Node) -> SmolStr {
    match node {
        Node::Scalar(scalar) => scalar.text.clone(),
        _ => SmolStr::default(),
    }
}

pub(crate) fn position(entries: &Entries, name: &str) -> Option<usize> {
    entries.iter().position(|(key, _)| match key {
        Node::Scalar(key) => key.text == name,
        _ => name.is_empty(),
    })
}

/// The member of a mapping; nothing where there is no mapping.
pub(crate) fn field<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    let entries = node.as_mapping()?;
    position(entries, name).map(|at| &entries[at].1)
}

pub(crate) fn field_mut<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Node> {
    let entries = node.as_mapping_mut()?;
    let at = position(entries, name)?;
    entries.get_mut(at).map(|(_, value)| value)
}

fn kind_name(node: &Node) -> &'static str {
    match node {
        Node::Scalar(_) => "ScalarNode",
        Node::Sequence(_) => "SequenceNode",
        Node::Mapping(_) => "MappingNode",
    }
}

/// The error for a node of another kind than expected.
pub(crate) fn wrong_kind(expected: &str, node: &Node) -> Error {
    let mut shown = node.clone();
    clear(&mut shown, SENTINEL);
    let contents = write_node(&shown);
    Error::new(format!(
        "wrong node kind: expected {expected} but got {}: node contents:\n{contents}",
        kind_name(node)
    ))
}

/// Refuses what would be too deep to be walked: a value of some depth put where a path of so many steps leads.
pub(crate) fn check_depth(steps: usize, value: usize) -> Result<()> {
    match steps + value {
        0..=MAX_DEPTH => Ok(()),
        depth => Err(Error::new(format!(
            "the field would be {depth} levels deep: at most {MAX_DEPTH} are allowed"
        ))),
    }
}

/// How many collections are within one another; none for a scalar.
pub(crate) fn depth(node: &Node) -> usize {
    let deepest = match node {
        Node::Scalar(_) => return 0,
        Node::Sequence(items) => items.iter().map(depth).max(),
        Node::Mapping(entries) => entries.iter().map(|(_, value)| depth(value)).max(),
    };
    1 + deepest.unwrap_or(0)
}

/// The kinds of node that a path may create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Scalar,
    Sequence,
    Mapping,
}

impl Kind {
    pub(crate) fn of(node: &Node) -> Self {
        match node {
            Node::Scalar(_) => Self::Scalar,
            Node::Sequence(_) => Self::Sequence,
            Node::Mapping(_) => Self::Mapping,
        }
    }

    /// An empty node of this kind, without a tag.
    pub(crate) fn empty(self) -> Node {
        match self {
            Self::Scalar => Node::Scalar(ScalarNode::default()),
            Self::Sequence => Node::Sequence(Vec::new().into()),
            Self::Mapping => Node::Mapping(Vec::new().into()),
        }
    }
}

/// Member of a mapping as a lookup step sees it: null and missing are alike, other kinds are errors.
pub(crate) fn get<'a>(node: &'a Node, name: &str) -> Result<Option<&'a Node>> {
    if is_null(node) {
        return Ok(None);
    }
    match node {
        Node::Mapping(_) => Ok(field(node, name)),
        other => Err(wrong_kind("MappingNode", other)),
    }
}

pub(crate) fn get_mut<'a>(node: &'a mut Node, name: &str) -> Result<Option<&'a mut Node>> {
    if is_null(node) {
        return Ok(None);
    }
    match node {
        Node::Mapping(_) => Ok(field_mut(node, name)),
        other => Err(wrong_kind("MappingNode", other)),
    }
}

/// The member, made if it is missing. A null cannot have members: nothing then.
pub(crate) fn get_or_create<'a>(node: &'a mut Node, name: &str, kind: Kind) -> Result<Option<&'a mut Node>> {
    if is_null(node) {
        return Ok(None);
    }
    match node {
        Node::Mapping(entries) => {
            let at = position(entries, name).unwrap_or_else(|| {
                add(entries, name, kind.empty());
                entries.len() - 1
            });
            Ok(entries.get_mut(at).map(|(_, value)| value))
        }
        other => Err(wrong_kind("MappingNode", other)),
    }
}

/// Adds a member. A mapping that was made for it seldom gets a second one, and thousands of objects have such mappings.
fn add(entries: &mut Entries, name: &str, value: Node) {
    if entries.capacity() == 0 {
        entries.reserve_exact(1);
    }
    entries.push((key(name), value));
}

/// Removes the first member of that name.
pub(crate) fn clear(node: &mut Node, name: &str) -> Option<Node> {
    let entries = node.as_mapping_mut()?;
    let at = position(entries, name)?;
    Some(entries.remove(at).1)
}

/// Whether YAML 1.1 reads the text as something else than a string.
pub(crate) fn is_non_string_1_1(text: &str) -> bool {
    if text.is_empty() || text.contains('\n') {
        return false;
    }
    let simple =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/'))
            && !text.starts_with('-');
    if simple {
        return !matches!(resolve(text, Dialect::Sigs), Scalar::Text(_) | Scalar::Timestamp(_));
    }
    match sluice_yaml::read(text) {
        Ok(value) => !matches!(value, Value::String(_)),
        Err(_) => false,
    }
}

/// Changes of shared scalars, to be repeated in the other places.
#[derive(Default)]
pub(crate) struct Writes(Vec<(u32, ScalarNode)>);

const SHARED: u32 = 0x8000_0000;

/// The line where a scalar was read; 0 for one that was made, shared or not.
fn read_at(scalar: &ScalarNode) -> u32 {
    if scalar.line & SHARED == 0 { scalar.line } else { 0 }
}

/// The mark of a scalar that stands in several places.
pub(crate) fn shared(scalar: &ScalarNode) -> Option<u32> {
    (scalar.line & SHARED != 0).then_some(scalar.line)
}

/// A mark for the `number`th shared scalar of a resource.
pub(crate) fn shared_mark(number: u32) -> u32 {
    SHARED | number
}

impl Writes {
    /// Puts new content in place of a scalar, keeping its mark.
    pub(crate) fn assign(&mut self, target: &mut ScalarNode, mut value: ScalarNode) {
        let mark = shared(target);
        value.line = mark.unwrap_or(0);
        if let Some(mark) = mark {
            self.0.push((mark, value.clone()));
        }
        *target = value;
    }

    /// Changes the text of a scalar, keeping all else.
    pub(crate) fn set_text(&mut self, target: &mut ScalarNode, text: SmolStr) {
        target.text = text;
        if let Some(mark) = shared(target) {
            self.0.push((mark, target.clone()));
        }
    }

    /// Repeats the recorded changes everywhere in the tree.
    pub(crate) fn apply(&mut self, root: &mut Node) {
        if !self.0.is_empty() {
            let writes = std::mem::take(&mut self.0);
            repeat(root, &writes);
        }
    }
}

fn repeat(node: &mut Node, writes: &[(u32, ScalarNode)]) {
    match node {
        Node::Scalar(scalar) => {
            if let Some(mark) = shared(scalar)
                && let Some((_, value)) = writes.iter().rev().find(|(written, _)| *written == mark)
            {
                *scalar = value.clone();
            }
        }
        Node::Sequence(items) => items.iter_mut().for_each(|item| repeat(item, writes)),
        Node::Mapping(entries) => entries.iter_mut().for_each(|(_, value)| repeat(value, writes)),
    }
}

/// A copy that shares nothing.
pub(crate) fn deep_copy(node: &Node) -> Node {
    let mut copy = node.clone();
    forget_marks(&mut copy);
    copy
}

fn forget_marks(node: &mut Node) {
    match node {
        Node::Scalar(scalar) => {
            if scalar.line & SHARED != 0 {
                scalar.line = 0;
            }
        }
        Node::Sequence(items) => items.iter_mut().for_each(forget_marks),
        Node::Mapping(entries) => entries.iter_mut().for_each(|(_, value)| forget_marks(value)),
    }
}

/// The reference's field setter on a scalar in place: the style of the old stays.
pub(crate) fn set_scalar(target: &mut Node, mut value: ScalarNode, writes: &mut Writes) -> Result<()> {
    match target {
        Node::Scalar(old) => {
            // A null scalar is no error; a null value changes nothing.
            if value.tag == Tag::Null {
                return Ok(());
            }
            value.style = old.style;
            value.tagged = old.tagged;
            writes.assign(old, value);
            Ok(())
        }
        other => Err(wrong_kind("ScalarNode", other)),
    }
}

/// Whether two trees have the same nodes, as written: texts, types, styles and lines.
pub(crate) fn is_same(one: &Node, other: &Node) -> bool {
    match (one, other) {
        (Node::Scalar(one), Node::Scalar(other)) => {
            one.text == other.text
                && (one.tag, one.tagged, one.style, read_at(one))
                    == (other.tag, other.tagged, other.style, read_at(other))
        }
        (Node::Sequence(one), Node::Sequence(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Node::Mapping(one), Node::Mapping(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(&one.0, &other.0) && is_same(&one.1, &other.1))
        }
        _ => false,
    }
}

/// The reference's field setter for a member: old style stays; a string that would change its type is quoted.
pub(crate) fn set_field(
    node: &mut Node,
    name: &str,
    mut value: ScalarNode,
    writes: &mut Writes,
) -> Result<()> {
    quote_if_needed(&mut value);
    match node {
        Node::Mapping(entries) => {
            match position(entries, name) {
                Some(at) => match &mut entries[at].1 {
                    Node::Scalar(old) => {
                        value.style = old.style;
                        value.tagged = old.tagged;
                        writes.assign(old, value);
                    }
                    other => *other = Node::Scalar(value),
                },
                None => add(entries, name, Node::Scalar(value)),
            }
            Ok(())
        }
        other => Err(wrong_kind("MappingNode", other)),
    }
}

/// Quotes a string that YAML 1.1 would take for something else.
pub(crate) fn quote_if_needed(value: &mut ScalarNode) {
    if matches!(value.tag, Tag::Str | Tag::None)
        && value.style == Style::Plain
        && is_non_string_1_1(&value.text)
    {
        value.style = Style::Double;
    }
}

/// Sets `metadata/...` style paths: creates maps on the way.
pub(crate) fn set_map_field(
    root: &mut Node,
    path: &[&str],
    value: ScalarNode,
    writes: &mut Writes,
) -> Result<()> {
    let Some((last, way)) = path.split_last() else { return Ok(()) };
    let mut node = root;
    for name in way {
        match get_or_create(node, name, Kind::Mapping)? {
            Some(next) => node = next,
            None => return Ok(()),
        }
    }
    set_field(node, last, value, writes)
}

/// Splits at `/` or `.`; a backslash before the separator keeps it.
pub(crate) fn split_path(path: &str, separator: char) -> Vec<String> {
    let mut parts = path.split(separator).peekable();
    let mut result: Vec<String> = Vec::new();
    if path.contains(separator) && parts.peek() == Some(&"") {
        parts.next();
    }
    for part in parts {
        match result.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push(separator);
                last.push_str(part);
            }
            _ => result.push(part.to_owned()),
        }
    }
    result
}

/// Like [`split_path`], but brackets hold separators: `[a.b/c]`, `[name=a.b]`.
pub(crate) fn split_path_with_brackets(path: &str, separator: char) -> Vec<String> {
    let mut result = Vec::new();
    let mut parts = split_path(path, separator).into_iter();
    while let Some(part) = parts.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            result.push(part);
            continue;
        }
        let mut bracketed = part;
        for next in parts.by_ref() {
            bracketed.push(separator);
            bracketed.push_str(&next);
            if next.ends_with(']') {
                break;
            }
        }
        if bracketed.contains('=') {
            result.push(bracketed);
        } else {
            result.push(bracketed.trim_matches(|c| c == '[' || c == ']').to_owned());
        }
    }
    result
}

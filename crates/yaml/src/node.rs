//! The node tree of yaml.v3: text, tag and style of each scalar, keys in order. Aliases come expanded.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use smol_str::SmolStr;

use crate::error::Error;
use crate::event::{Event, EventKind, Events, Properties};
use crate::read::{self, Dialect};
use crate::resolve::{Scalar, Tag, resolve, resolve_tagged};
use crate::scanner::{Comments, Style};

/// A node of a document.
#[derive(Clone, Debug)]
pub enum Node {
    /// A scalar.
    Scalar(ScalarNode),
    /// A sequence.
    Sequence(Collection<Node>),
    /// A mapping.
    Mapping(Collection<(Node, Node)>),
}

/// The items of a sequence or the entries of a mapping, and how they were written.
#[derive(Clone, Debug)]
pub struct Collection<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// Whether it was written with brackets or braces.
    pub flow: bool,
    /// Its comments, if they were read.
    pub comments: Option<Box<Comments>>,
}

impl<T> Default for Collection<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T> From<Vec<T>> for Collection<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, flow: false, comments: None }
    }
}

impl<T> FromIterator<T> for Collection<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<T> Deref for Collection<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.items
    }
}

impl<T> DerefMut for Collection<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.items
    }
}

impl<T> IntoIterator for Collection<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'c, T> IntoIterator for &'c Collection<T> {
    type Item = &'c T;
    type IntoIter = std::slice::Iter<'c, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'c, T> IntoIterator for &'c mut Collection<T> {
    type Item = &'c mut T;
    type IntoIter = std::slice::IterMut<'c, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter_mut()
    }
}

/// The text of a scalar and what was said about its type.
#[derive(Clone, Debug, Default)]
pub struct ScalarNode {
    /// The text without quotes and escapes.
    pub text: SmolStr,
    /// The tag; resolved when the text was read.
    pub tag: Tag,
    /// Whether the tag was written out, so that printing keeps it.
    pub tagged: bool,
    /// Whether an alias stood here.
    pub aliased: bool,
    /// How it was written.
    pub style: Style,
    /// The line, from 1; 0 if the node was not read.
    pub line: u32,
    /// Its comments, if they were read.
    pub comments: Option<Box<Comments>>,
}

impl ScalarNode {
    /// A string.
    pub fn string(text: impl Into<SmolStr>) -> Self {
        Self { text: text.into(), tag: Tag::Str, ..Self::default() }
    }

    /// The type that yaml.v3 sees.
    pub fn short_tag(&self) -> Tag {
        if self.is_indicated_string() {
            return Tag::Str;
        }
        if self.tag == Tag::None { resolve(&self.text, Dialect::V3).tag() } else { self.tag }
    }

    /// Whether tag or quotes make it a string whatever the text.
    pub fn is_indicated_string(&self) -> bool {
        self.tag == Tag::Str || (self.tag == Tag::None && self.style != Style::Plain)
    }

    /// Whether it stands for an anchor that is not expanded.
    pub fn is_alias(&self) -> bool {
        self.comments.as_ref().is_some_and(|comments| comments.alias.is_some())
    }

    /// The typed value.
    pub fn resolved(&self) -> Result<Scalar<'_>, Error> {
        if self.is_indicated_string() {
            return Ok(Scalar::Text(&self.text));
        }
        resolve_tagged(self.tag, &self.text, Dialect::V3).map_err(Error::decode)
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::null()
    }
}

impl Node {
    /// A string.
    pub fn string(text: impl Into<SmolStr>) -> Self {
        Self::Scalar(ScalarNode::string(text))
    }

    /// A null.
    pub fn null() -> Self {
        Self::Scalar(ScalarNode {
            text: SmolStr::new_static("null"),
            tag: Tag::Null,
            ..ScalarNode::default()
        })
    }

    /// Whether this is a scalar of type null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(scalar) if scalar.short_tag() == Tag::Null)
    }

    /// The text of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The entries of a mapping.
    pub fn as_mapping(&self) -> Option<&Vec<(Node, Node)>> {
        match self {
            Self::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entries of a mapping, to change.
    pub fn as_mapping_mut(&mut self) -> Option<&mut Vec<(Node, Node)>> {
        match self {
            Self::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a sequence.
    pub fn as_sequence(&self) -> Option<&Vec<Node>> {
        match self {
            Self::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a sequence, to change.
    pub fn as_sequence_mut(&mut self) -> Option<&mut Vec<Node>> {
        match self {
            Self::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The value of the first entry with this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping()?.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(_, value)| value)
    }

    /// The value of the first entry with this key, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.as_mapping_mut()?
            .iter_mut()
            .find(|(name, _)| name.as_text() == Some(key))
            .map(|(_, value)| value)
    }

    /// Its comments, if they were read.
    pub fn comments(&self) -> Option<&Comments> {
        comments(self)
    }

    /// Number of nodes in this tree.
    pub fn count(&self) -> usize {
        match self {
            Self::Scalar(_) => 1,
            Self::Sequence(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Self::Mapping(entries) => {
                1 + entries.iter().map(|(key, value)| key.count() + value.count()).sum::<usize>()
            }
        }
    }
}

/// How much aliases may expand a document: nodes made by expansion.
const MAX_EXPANDED: usize = 4_000_000;

enum Frame<'a> {
    Sequence { items: Collection<Node>, anchor: Option<&'a str> },
    Mapping { entries: Collection<(Node, Node)>, key: Option<Node>, anchor: Option<&'a str> },
}

impl Frame<'_> {
    fn is_flow(&self) -> bool {
        match self {
            Self::Sequence { items, .. } => items.flow,
            Self::Mapping { entries, .. } => entries.flow,
        }
    }
}

/// Composes one document from the events after its start.
pub(crate) struct Composer<'a> {
    pub(crate) events: Events<'a>,
    dialect: Dialect,
    /// What was anchored, with its size; nothing yet while it is being read.
    anchors: HashMap<&'a str, Option<(Node, usize)>>,
    /// How many nodes were copied for anchors and aliases.
    expanded: usize,
    /// What yaml's decoder would have counted: all nodes, and those under aliases.
    decoded: usize,
    aliased: usize,
    /// Whether to refuse what the decoder calls excessive aliasing.
    limit_ratio: bool,
    /// Whether to keep anchors, aliases and unknown tags.
    keep_all: bool,
}

impl<'a> Composer<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect, limit_ratio: bool) -> Self {
        Self {
            events: Events::of_decoded(text, dialect),
            dialect,
            anchors: HashMap::new(),
            expanded: 0,
            decoded: 0,
            aliased: 0,
            limit_ratio,
            keep_all: false,
        }
    }

    /// The next document; `None` at the end of the stream.
    pub(crate) fn next_document(&mut self) -> Result<Option<Node>, Error> {
        if self.dialect == Dialect::Sigs {
            self.anchors.clear();
        }
        (self.decoded, self.aliased) = (1, 0);
        while let Some(event) = self.events.next_event()? {
            match event.kind {
                EventKind::StreamEnd => return Ok(None),
                EventKind::DocumentStart { .. } => {
                    let mut node = self.node()?;
                    // The end of the document is part of it: errors there count.
                    let end = self.events.next_event()?.and_then(|end| end.comments);
                    if event.comments.is_some() || end.is_some() {
                        let mut comments = event.comments.unwrap_or_default();
                        comments.foot = end.map(|end| end.foot).unwrap_or_default();
                        comments_mut(&mut node).get_or_insert_default().document = Some(comments);
                    }
                    return Ok(Some(node));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Whether anything was anchored so far.
    pub(crate) fn has_anchors(&self) -> bool {
        !self.anchors.is_empty()
    }

    /// The node that begins with the next event.
    pub(crate) fn node(&mut self) -> Result<Node, Error> {
        let mut stack: Vec<Frame<'a>> = Vec::new();
        while let Some(Event { kind, start, comments, .. }) = self.events.next_event()? {
            let line = start.line as u32 + 1;
            let in_flow = stack.last().is_some_and(Frame::is_flow);
            let (node, anchor) = match kind {
                EventKind::Scalar { properties, value, style } => {
                    self.decoded += 1;
                    let anchor = properties.anchor;
                    self.open_anchor(anchor);
                    let mut scalar = self.scalar(&properties, &value, style, line);
                    scalar.comments = self.with_properties(comments, &properties);
                    if in_flow && scalar.tag == Tag::Null && value.is_empty() {
                        // Still a null; but in a flow collection it prints as ''.
                        scalar.style = Style::Single;
                    }
                    (Node::Scalar(scalar), anchor)
                }
                EventKind::Alias(name) if self.keep_all => {
                    self.alias(name)?;
                    let mut comments = comments.unwrap_or_default();
                    comments.alias = Some(name.into());
                    (
                        Node::Scalar(ScalarNode { comments: Some(comments), line, ..ScalarNode::default() }),
                        None,
                    )
                }
                EventKind::Alias(name) => (self.alias(name)?, None),
                EventKind::SequenceStart { properties, flow } => {
                    self.decoded += 1;
                    self.open_anchor(properties.anchor);
                    let comments = self.with_properties(comments, &properties);
                    let items = Collection { flow, comments, ..Collection::default() };
                    stack.push(Frame::Sequence { items, anchor: properties.anchor });
                    continue;
                }
                EventKind::MappingStart { properties, flow } => {
                    self.decoded += 1;
                    self.open_anchor(properties.anchor);
                    let comments = self.with_properties(comments, &properties);
                    let entries = Collection { flow, comments, ..Collection::default() };
                    stack.push(Frame::Mapping { entries, key: None, anchor: properties.anchor });
                    continue;
                }
                EventKind::SequenceEnd | EventKind::MappingEnd => match stack.pop() {
                    Some(Frame::Sequence { mut items, anchor }) => {
                        items.shrink_to_fit();
                        end_comments(&mut items.comments, comments);
                        (Node::Sequence(items), anchor)
                    }
                    Some(Frame::Mapping { mut entries, anchor, .. }) => {
                        end_comments(&mut entries.comments, comments);
                        move_last_foot(&mut entries);
                        // Most mappings are small: room to grow would be a third of the memory of large documents.
                        entries.shrink_to_fit();
                        (Node::Mapping(entries), anchor)
                    }
                    None => return Ok(Node::null()),
                },
                _ => return Ok(Node::null()),
            };
            self.close_anchor(anchor, &node)?;
            match stack.last_mut() {
                None => return Ok(node),
                Some(Frame::Sequence { items, .. }) => items.push(node),
                Some(Frame::Mapping { entries, key, .. }) => match key.take() {
                    None => {
                        let mut node = node;
                        move_foot_to_former(entries, &mut node);
                        *key = Some(node);
                    }
                    Some(mut name) => {
                        let mut node = node;
                        if foot(&name).is_empty() {
                            let below = take_foot(&mut node);
                            set_foot(&mut name, below);
                        }
                        entries.push((name, node));
                    }
                },
            }
        }
        Ok(Node::null())
    }

    fn scalar(&self, properties: &Properties<'_>, value: &str, style: Style, line: u32) -> ScalarNode {
        let explicit = properties.tag.as_deref().map_or(Tag::None, Tag::parse);
        let bare = properties.tag.as_deref() == Some("!");
        let (tag, tagged) = if explicit != Tag::None {
            (explicit, true)
        } else if style != Style::Plain {
            (Tag::Str, false)
        } else if bare && self.dialect == Dialect::Sigs {
            // For yaml.v2 a lone `!` is a tag it does not know: text.
            (Tag::Str, true)
        } else {
            (resolve(value, self.dialect).tag(), false)
        };
        ScalarNode { text: SmolStr::new(value), tag, tagged, style, line, ..ScalarNode::default() }
    }

    /// Adds the anchor, and a tag that YAML does not know, if all is kept.
    fn with_properties(
        &self,
        comments: Option<Box<Comments>>,
        properties: &Properties<'_>,
    ) -> Option<Box<Comments>> {
        if !self.keep_all {
            return comments;
        }
        let is_kept = |tag: &&str| matches!(Tag::parse(tag), Tag::Custom | Tag::Map | Tag::Seq);
        let tag = properties.tag.as_deref().filter(is_kept);
        if tag.is_none() && properties.anchor.is_none() {
            return comments;
        }
        let mut comments = comments.unwrap_or_default();
        comments.tag = tag.map(|tag| match tag.strip_prefix("tag:yaml.org,2002:") {
            Some(name) => format!("!!{name}").into(),
            None => tag.into(),
        });
        comments.anchor = properties.anchor.map(Into::into);
        Some(comments)
    }

    fn open_anchor(&mut self, name: Option<&'a str>) {
        let Some(name) = name else { return };
        self.anchors.insert(name, None);
    }

    fn close_anchor(&mut self, name: Option<&'a str>, node: &Node) -> Result<(), Error> {
        let Some(name) = name else { return Ok(()) };
        // Anchors within anchors copy the innermost again and again, even if none is ever used.
        let count = node.count();
        self.expanded += count;
        if self.expanded > MAX_EXPANDED {
            return Err(Error::decode("document contains excessive aliasing"));
        }
        self.anchors.insert(name, Some((node.clone(), count)));
        Ok(())
    }

    fn alias(&mut self, name: &str) -> Result<Node, Error> {
        let Some(anchored) = self.anchors.get(name) else {
            return Err(Error::decode(format!("unknown anchor '{name}' referenced")));
        };
        let Some((node, count)) = anchored else {
            return Err(Error::decode(format!("anchor '{name}' value contains itself")));
        };
        self.expanded += count;
        self.decoded += 1 + count;
        self.aliased += count;
        let excessive = self.limit_ratio
            && self.aliased > 100
            && self.decoded > 1000
            && self.aliased as f64 / self.decoded as f64 > allowed_ratio(self.decoded);
        if excessive || self.expanded > MAX_EXPANDED {
            return Err(Error::decode("document contains excessive aliasing"));
        }
        let mut node = node.clone();
        if let Node::Scalar(scalar) = &mut node {
            scalar.aliased = true;
        }
        Ok(node)
    }
}

fn comments(node: &Node) -> Option<&Comments> {
    match node {
        Node::Scalar(scalar) => scalar.comments.as_deref(),
        Node::Sequence(items) => items.comments.as_deref(),
        Node::Mapping(entries) => entries.comments.as_deref(),
    }
}

fn comments_mut(node: &mut Node) -> &mut Option<Box<Comments>> {
    match node {
        Node::Scalar(scalar) => &mut scalar.comments,
        Node::Sequence(items) => &mut items.comments,
        Node::Mapping(entries) => &mut entries.comments,
    }
}

fn foot(node: &Node) -> &str {
    comments(node).map_or("", |comments| &comments.foot)
}

fn take_foot(node: &mut Node) -> String {
    comments_mut(node).as_mut().map(|comments| std::mem::take(&mut comments.foot)).unwrap_or_default()
}

fn set_foot(node: &mut Node, foot: String) {
    if !foot.is_empty() {
        comments_mut(node).get_or_insert_default().foot = foot;
    }
}

/// Below a key that is dedented lies the foot of the entry before.
fn move_foot_to_former(entries: &mut Collection<(Node, Node)>, key: &mut Node) {
    if entries.flow || foot(key).is_empty() {
        return;
    }
    if let Some((former, _)) = entries.items.last_mut() {
        set_foot(former, take_foot(key));
    }
}

/// The end of a collection brings the comments beside and below it.
fn end_comments(known: &mut Option<Box<Comments>>, end: Option<Box<Comments>>) {
    let end = end.unwrap_or_default();
    if let Some(known) = known {
        (known.line, known.foot) = (end.line, end.foot);
    } else if !end.line.is_empty() || !end.foot.is_empty() {
        *known = Some(end);
    }
}

/// What is below a block mapping is below its last entry.
fn move_last_foot(entries: &mut Collection<(Node, Node)>) {
    let Some(comments) = entries.comments.as_mut().filter(|_| !entries.flow) else { return };
    if let Some((last, _)) = entries.items.last_mut()
        && !comments.foot.is_empty()
    {
        set_foot(last, std::mem::take(&mut comments.foot));
    }
}

/// 99% of a small document may come from aliases, 10% of a large one.
fn allowed_ratio(decoded: usize) -> f64 {
    const LOW: f64 = 400_000.0;
    const HIGH: f64 = 4_000_000.0;
    let decoded = decoded as f64;
    if decoded <= LOW {
        0.99
    } else if decoded >= HIGH {
        0.10
    } else {
        0.99 - 0.89 * ((decoded - LOW) / (HIGH - LOW))
    }
}

/// Reads the first document as yaml.v3 parses it; an empty stream is `None`.
pub fn read_node(text: impl AsRef<[u8]>) -> Result<Option<Node>, Error> {
    let text = read::decode(text.as_ref()).map_err(|problem| problem.worded(Dialect::V3))?;
    Composer::new(&text, Dialect::V3, false).next_document()
}

/// Like [`read_node`], with comments.
pub fn read_commented(text: impl AsRef<[u8]>) -> Result<Option<Node>, Error> {
    let text = read::decode(text.as_ref()).map_err(|problem| problem.worded(Dialect::V3))?;
    let mut composer = Composer::new(&text, Dialect::V3, false);
    composer.events = composer.events.with_comments();
    composer.next_document()
}

/// Like [`read_commented`], with all that is needed to write the document as it was: anchors, aliases in the place
/// of what they stand for, and tags that YAML does not know.
pub fn read_verbatim(text: impl AsRef<[u8]>) -> Result<Option<Node>, Error> {
    let text = read::decode(text.as_ref()).map_err(|problem| problem.worded(Dialect::V3))?;
    let mut composer = Composer::new(&text, Dialect::V3, false);
    composer.events = composer.events.with_comments();
    composer.keep_all = true;
    composer.next_document()
}

/// Reads all documents as yaml.v3 parses them.
pub fn read_nodes(text: impl AsRef<[u8]>) -> Result<Vec<Node>, Error> {
    let text = read::decode(text.as_ref()).map_err(|problem| problem.worded(Dialect::V3))?;
    let mut composer = Composer::new(&text, Dialect::V3, false);
    let mut nodes = Vec::new();
    while let Some(node) = composer.next_document()? {
        nodes.push(node);
    }
    Ok(nodes)
}

//! The node tree of yaml.v3: text, tag and style of each scalar, keys in order. Aliases come expanded.

use smol_str::SmolStr;

use crate::error::Error;
use crate::event::{Event, EventKind, Events, Properties};
use crate::read::{self, Dialect};
use crate::resolve::{Scalar, Tag, resolve, resolve_tagged};
use crate::scanner::Style;

/// A node of a document.
#[derive(Clone, Debug)]
pub enum Node {
    /// A scalar.
    Scalar(ScalarNode),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping.
    Mapping(Vec<(Node, Node)>),
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

struct Anchor<'a> {
    name: &'a str,
    node: Option<(Node, usize)>,
}

enum Frame<'a> {
    Sequence { items: Vec<Node>, anchor: Option<&'a str>, flow: bool },
    Mapping { entries: Vec<(Node, Node)>, key: Option<Node>, anchor: Option<&'a str>, flow: bool },
}

/// Composes one document from the events after its start.
pub(crate) struct Composer<'a> {
    pub(crate) events: Events<'a>,
    dialect: Dialect,
    anchors: Vec<Anchor<'a>>,
    expanded: usize,
    /// What yaml's decoder would have counted: all nodes, and those under aliases.
    decoded: usize,
    aliased: usize,
    /// Whether to refuse what the decoder calls excessive aliasing.
    limit_ratio: bool,
}

impl<'a> Composer<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect, limit_ratio: bool) -> Self {
        Self {
            events: Events::new(text, dialect),
            dialect,
            anchors: Vec::new(),
            expanded: 0,
            decoded: 0,
            aliased: 0,
            limit_ratio,
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
                    let node = self.node()?;
                    // The end of the document is part of it: errors there count.
                    self.events.next_event()?;
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
        while let Some(Event { kind, start, .. }) = self.events.next_event()? {
            let line = start.line as u32 + 1;
            let in_flow = matches!(
                stack.last(),
                Some(Frame::Sequence { flow: true, .. } | Frame::Mapping { flow: true, .. })
            );
            let (node, anchor) = match kind {
                EventKind::Scalar { properties, value, style } => {
                    self.decoded += 1;
                    let anchor = properties.anchor;
                    self.open_anchor(anchor);
                    let mut scalar = self.scalar(&properties, &value, style, line);
                    if in_flow && scalar.tag == Tag::Null && value.is_empty() {
                        // Still a null; but in a flow collection it prints as ''.
                        scalar.style = Style::Single;
                    }
                    (Node::Scalar(scalar), anchor)
                }
                EventKind::Alias(name) => (self.alias(name)?, None),
                EventKind::SequenceStart { properties, flow } => {
                    self.decoded += 1;
                    self.open_anchor(properties.anchor);
                    stack.push(Frame::Sequence { items: Vec::new(), anchor: properties.anchor, flow });
                    continue;
                }
                EventKind::MappingStart { properties, flow } => {
                    self.decoded += 1;
                    self.open_anchor(properties.anchor);
                    stack.push(Frame::Mapping {
                        entries: Vec::new(),
                        key: None,
                        anchor: properties.anchor,
                        flow,
                    });
                    continue;
                }
                EventKind::SequenceEnd | EventKind::MappingEnd => match stack.pop() {
                    Some(Frame::Sequence { items, anchor, .. }) => (Node::Sequence(items), anchor),
                    Some(Frame::Mapping { entries, anchor, .. }) => (Node::Mapping(entries), anchor),
                    None => return Ok(Node::null()),
                },
                _ => return Ok(Node::null()),
            };
            self.close_anchor(anchor, &node);
            match stack.last_mut() {
                None => return Ok(node),
                Some(Frame::Sequence { items, .. }) => items.push(node),
                Some(Frame::Mapping { entries, key, .. }) => match key.take() {
                    None => *key = Some(node),
                    Some(name) => entries.push((name, node)),
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
        ScalarNode { text: SmolStr::new(value), tag, tagged, aliased: false, style, line }
    }

    fn open_anchor(&mut self, name: Option<&'a str>) {
        let Some(name) = name else { return };
        match self.anchors.iter_mut().find(|anchor| anchor.name == name) {
            Some(anchor) => anchor.node = None,
            None => self.anchors.push(Anchor { name, node: None }),
        }
    }

    fn close_anchor(&mut self, name: Option<&'a str>, node: &Node) {
        let Some(name) = name else { return };
        if let Some(anchor) = self.anchors.iter_mut().find(|anchor| anchor.name == name) {
            anchor.node = Some((node.clone(), node.count()));
        }
    }

    fn alias(&mut self, name: &str) -> Result<Node, Error> {
        let Some(anchor) = self.anchors.iter().find(|anchor| anchor.name == name) else {
            return Err(Error::decode(format!("unknown anchor '{name}' referenced")));
        };
        let Some((node, count)) = &anchor.node else {
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

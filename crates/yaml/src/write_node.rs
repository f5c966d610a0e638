//! Nodes to text as yaml.v3 writes them, with their styles and comments.

use crate::emit::{Context, Emitter};
use crate::node::{Node, ScalarNode};
use crate::read::Dialect;
use crate::resolve::{Tag, resolve};
use crate::scanner::{Comments, Style};

/// Writes a node as kyaml's `RNode.String` does: yaml.v3, two spaces, compact lists.
pub fn write_node(node: &Node) -> String {
    let mut out = String::new();
    NodeWriter::new(Emitter::new(&mut out, Dialect::V3)).document(node);
    out
}

/// Writes nodes, and the comments that wait for the right place between them.
pub(crate) struct NodeWriter<'o> {
    emitter: Emitter<'o>,
    head: String,
    foot: String,
    /// Below the entry before.
    tail: String,
    /// Beside a key.
    beside_key: String,
}

fn replace(text: &mut String, new: &str) {
    if !new.is_empty() {
        new.clone_into(text);
    }
}

impl<'o> NodeWriter<'o> {
    pub(crate) fn new(emitter: Emitter<'o>) -> Self {
        let [head, foot, tail, beside_key] = [const { String::new() }; 4];
        Self { emitter, head, foot, tail, beside_key }
    }

    /// A whole document.
    pub(crate) fn document(&mut self, node: &Node) {
        const OUTSIDE: isize = -1;
        let document = node.comments().and_then(|comments| comments.document.as_deref());
        if let Some(document) = document.filter(|document| !document.head.is_empty()) {
            self.head.clone_from(&document.head);
            self.write_head(OUTSIDE);
            self.emitter.put_break();
        }
        self.start(node, "", false);
        self.write_head(OUTSIDE);
        self.begin(node, Context::default(), OUTSIDE);
        self.write_line(OUTSIDE);
        self.write_foot(OUTSIDE);
        self.rest(node, Context::default(), OUTSIDE);
        if let Some(document) = document {
            replace(&mut self.foot, &document.foot);
        }
        self.emitter.foot_indent = Some(0);
        self.write_foot(OUTSIDE);
        self.emitter.foot_indent = None;
        self.emitter.finish();
    }

    /// Takes up the comments with which a node starts.
    fn start(&mut self, node: &Node, tail: &str, is_key: bool) {
        if !tail.is_empty() {
            tail.clone_into(&mut self.tail);
        }
        let Some(comments) = node.comments() else { return };
        replace(&mut self.head, &comments.head);
        if matches!(node, Node::Scalar(_)) {
            replace(&mut self.emitter.line_comment, &comments.line);
            // What is below a key goes below its value.
            if !is_key {
                replace(&mut self.foot, &comments.foot);
            }
        }
    }

    fn end(&mut self, comments: Option<&Comments>, tail: &str, is_key: bool) {
        replace(&mut self.tail, tail);
        if let Some(comments) = comments {
            replace(&mut self.emitter.line_comment, &comments.line);
            if !is_key {
                replace(&mut self.foot, &comments.foot);
            }
        }
    }

    fn write_head(&mut self, indent: isize) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.emitter.write_indent(indent);
            self.emitter.comment(&tail, indent);
            self.emitter.foot_indent = Some(indent.max(0) as usize);
        }
        if !self.head.is_empty() {
            let head = std::mem::take(&mut self.head);
            self.emitter.write_indent(indent);
            self.emitter.comment(&head, indent);
        }
    }

    fn write_line(&mut self, indent: isize) {
        if !self.emitter.line_comment.is_empty() {
            let line = std::mem::take(&mut self.emitter.line_comment);
            self.emitter.comment_beside(&line, indent);
        }
    }

    fn write_foot(&mut self, indent: isize) {
        if !self.foot.is_empty() {
            let foot = std::mem::take(&mut self.foot);
            self.emitter.write_indent(indent);
            self.emitter.comment(&foot, indent);
            self.emitter.foot_indent = Some(indent.max(0) as usize);
        }
    }

    fn has_comments_behind(&self) -> bool {
        !(self.emitter.line_comment.is_empty() && self.foot.is_empty() && self.tail.is_empty())
    }

    /// A scalar; of a collection nothing yet.
    fn begin(&mut self, node: &Node, context: Context, indent: isize) {
        let comments = node.comments();
        if let Some(alias) = comments.and_then(|comments| comments.alias.as_deref()) {
            self.emitter.tag(&format!("*{alias}"));
            return;
        }
        if let Some(anchor) = comments.and_then(|comments| comments.anchor.as_deref()) {
            self.emitter.tag(&format!("&{anchor}"));
        }
        if let Node::Scalar(scalar) = node {
            self.scalar(scalar, context, indent);
        } else if let Some(tag) = comments.and_then(|comments| comments.tag.as_deref()) {
            self.emitter.tag(tag);
        }
    }

    /// What a collection holds.
    fn rest(&mut self, node: &Node, context: Context, indent: isize) {
        let in_flow = self.emitter.in_flow;
        match node {
            Node::Scalar(_) => {}
            Node::Sequence(items) if in_flow || items.flow || items.is_empty() => {
                self.flow_sequence(items, indent, items.comments.as_deref(), context.simple_key);
            }
            Node::Mapping(entries) if in_flow || entries.flow || entries.is_empty() => {
                self.flow_mapping(entries, indent, entries.comments.as_deref(), context.simple_key);
            }
            Node::Sequence(items) => {
                let indent = self.emitter.sequence_indent(indent, context);
                for item in items {
                    self.start(item, "", false);
                    self.write_head(indent);
                    self.emitter.write_indent(indent);
                    self.emitter.indicator("-", true, false, true);
                    self.begin(item, Context::default(), indent);
                    self.write_line(indent);
                    self.write_foot(indent);
                    self.rest(item, Context::default(), indent);
                }
                self.end(items.comments.as_deref(), "", context.simple_key);
            }
            Node::Mapping(entries) => {
                let indent = Emitter::increased(indent, false);
                let mut tail = "";
                for (key, value) in entries {
                    self.block_entry(key, value, tail, indent);
                    tail = foot_of(key);
                }
                self.end(entries.comments.as_deref(), tail, context.simple_key);
                self.write_head(indent);
            }
        }
    }

    fn block_entry(&mut self, key: &Node, value: &Node, tail: &str, indent: isize) {
        let simple = is_simple_key(key);
        self.start(key, tail, true);
        self.write_head(indent);
        self.emitter.write_indent(indent);
        if !self.emitter.line_comment.is_empty() {
            self.beside_key = std::mem::take(&mut self.emitter.line_comment);
        }
        let context = Context { mapping: true, simple_key: simple };
        if simple {
            self.begin(key, context, indent);
            self.rest(key, context, indent);
        } else {
            self.emitter.indicator("?", true, false, true);
            self.begin(key, context, indent);
            self.rest(key, context, indent);
        }
        self.start(value, "", false);
        if simple {
            self.emitter.indicator(":", false, false, false);
        } else {
            self.emitter.write_indent(indent);
            self.emitter.indicator(":", true, false, true);
        }
        self.write_comment_beside_key(value, indent);
        let context = Context { mapping: true, simple_key: false };
        self.begin(value, context, indent);
        self.write_line(indent);
        self.write_foot(indent);
        self.rest(value, context, indent);
    }

    /// A comment beside a key stands beside its value if that is a scalar, or before the block that follows.
    fn write_comment_beside_key(&mut self, value: &Node, indent: isize) {
        if self.beside_key.is_empty() {
            return;
        }
        match value {
            Node::Scalar(_) => {
                if self.emitter.line_comment.is_empty() {
                    self.emitter.line_comment = std::mem::take(&mut self.beside_key);
                }
            }
            Node::Sequence(items) if items.flow => {}
            // In the reference the test for a flow sequence holds for flow mappings as well.
            Node::Mapping(entries) if entries.flow => {}
            _ => {
                let comment = std::mem::take(&mut self.beside_key);
                self.emitter.comment_beside(&comment, indent);
            }
        }
    }

    fn flow_sequence(&mut self, items: &[Node], outer: isize, comments: Option<&Comments>, is_key: bool) {
        self.emitter.indicator("[", true, true, false);
        let indent = Emitter::increased(outer, true);
        let was_in_flow = std::mem::replace(&mut self.emitter.in_flow, true);
        let mut trail = true;
        for item in items {
            self.start(item, "", false);
            if !trail {
                self.emitter.indicator(",", false, false, false);
            }
            self.write_head(indent);
            if self.emitter.column == 0 {
                self.emitter.write_indent(indent);
            }
            trail = self.has_comments_behind();
            self.begin(item, Context::default(), indent);
            self.end_flow_item(indent);
            self.rest(item, Context::default(), indent);
        }
        self.end(comments, "", is_key);
        self.emitter.in_flow = was_in_flow;
        if self.emitter.column == 0 {
            self.emitter.write_indent(outer);
        }
        self.emitter.indicator("]", false, false, false);
        self.write_line(outer);
        self.write_foot(outer);
    }

    fn flow_mapping(
        &mut self,
        entries: &[(Node, Node)],
        outer: isize,
        comments: Option<&Comments>,
        is_key: bool,
    ) {
        self.emitter.indicator("{", true, true, false);
        let indent = Emitter::increased(outer, true);
        let was_in_flow = std::mem::replace(&mut self.emitter.in_flow, true);
        let mut trail = true;
        let mut tail = "";
        for (key, value) in entries {
            self.start(key, tail, true);
            tail = foot_of(key);
            if !trail {
                self.emitter.indicator(",", false, false, false);
            }
            self.write_head(indent);
            if self.emitter.column == 0 {
                self.emitter.write_indent(indent);
            }
            let simple = is_simple_key(key);
            if !simple {
                self.emitter.indicator("?", true, false, false);
            }
            let context = Context { mapping: true, simple_key: simple };
            self.begin(key, context, indent);
            self.rest(key, context, indent);
            self.start(value, "", false);
            self.emitter.indicator(":", !simple, false, false);
            trail = self.has_comments_behind();
            let context = Context { mapping: true, simple_key: false };
            self.begin(value, context, indent);
            self.end_flow_item(indent);
            self.rest(value, context, indent);
        }
        self.end(comments, tail, is_key);
        let has_comments = !(self.head.is_empty() && self.foot.is_empty() && self.tail.is_empty());
        if has_comments && !trail {
            self.emitter.indicator(",", false, false, false);
        }
        self.write_head(indent);
        self.emitter.in_flow = was_in_flow;
        self.emitter.indicator("}", false, false, false);
        self.write_line(outer);
        self.write_foot(outer);
    }

    /// The comments behind an item of a flow collection stand behind its comma.
    fn end_flow_item(&mut self, indent: isize) {
        if self.has_comments_behind() {
            self.emitter.indicator(",", false, false, false);
        }
        self.write_line(indent);
        self.write_foot(indent);
    }

    fn scalar(&mut self, scalar: &ScalarNode, context: Context, indent: isize) {
        let mut tag = scalar.tag;
        let mut force_quotes = false;
        if tag != Tag::None && !scalar.tagged {
            let quoted_string = tag == Tag::Str && scalar.style != Style::Plain;
            // A merge key is always printed with its tag.
            if quoted_string || tag != Tag::Merge && resolve(&scalar.text, Dialect::V3).tag() == tag {
                tag = Tag::None;
            } else if tag == Tag::Str {
                tag = Tag::None;
                force_quotes = true;
            }
        }
        let style = match scalar.style {
            // The encoder that indents is sigs' copy of yaml.v3.
            _ if scalar.text == "<<" && self.emitter.indents_sequences() => Style::Plain,
            Style::Plain if scalar.text.contains('\n') => Style::Literal,
            Style::Plain if force_quotes => Style::Double,
            style => style,
        };
        let custom = scalar.comments.as_ref().and_then(|comments| comments.tag.as_deref());
        match custom {
            Some(custom) if tag == Tag::Custom => self.emitter.tag(custom),
            _ if tag != Tag::None => self.emitter.tag(tag.short()),
            _ => {}
        }
        self.emitter.scalar(&scalar.text, style, context, indent);
    }
}

fn foot_of(node: &Node) -> &str {
    node.comments().map_or("", |comments| &comments.foot)
}

fn is_simple_key(key: &Node) -> bool {
    match key {
        Node::Scalar(scalar) => Emitter::is_simple_key(&scalar.text),
        Node::Sequence(items) => items.is_empty(),
        Node::Mapping(entries) => entries.is_empty(),
    }
}

//! Values and nodes to text: the two forms that Go tools print.

use std::borrow::Cow;

use crate::emit::{Context, Emitter};
use crate::error::Error;
use crate::node::{Node, ScalarNode};
use crate::number::format_float;
use crate::order;
use crate::read::{Dialect, is_allowed};
use crate::resolve::{Scalar, Tag, is_base60, old_bool, resolve};
use crate::scanner::Style;
use crate::value::{Value, whole};
use crate::write_node::NodeWriter;
pub use crate::write_node::write_node;

/// A tree that can be written as sigs.k8s.io/yaml writes values.
pub trait Tree: Sized {
    /// What the root of this tree is.
    fn view(&self) -> Result<View<'_, Self>, Error>;
}

/// The root of a [`Tree`].
pub enum View<'a, T> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A large whole number.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// A list.
    Sequence(&'a [T]),
    /// A map in any order.
    Mapping(Vec<(&'a str, &'a T)>),
    /// A map whose order is kept.
    Ordered(Vec<(&'a str, &'a T)>),
}

impl Tree for Value {
    fn view(&self) -> Result<View<'_, Self>, Error> {
        Ok(match self {
            Self::Null => View::Null,
            Self::Bool(value) => View::Bool(*value),
            Self::Int(value) => View::Int(*value),
            Self::Uint(value) => View::Uint(*value),
            Self::Float(value) => View::Float(*value),
            Self::String(text) => View::Text(Cow::Borrowed(text)),
            Self::Sequence(items) => View::Sequence(items),
            Self::Mapping(entries) => {
                View::Mapping(entries.iter().map(|(key, value)| (key.as_str(), value)).collect())
            }
        })
    }
}

/// Writes a value as `sigs.k8s.io/yaml.Marshal` does: natural key order, width 80, lists at their key.
pub fn write(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    write_tree(value, &mut out)?;
    Ok(out)
}

/// Like [`write()`], for any tree, appending to a text.
pub fn write_tree<T: Tree>(tree: &T, out: &mut String) -> Result<(), Error> {
    let mut emitter = Emitter::new(out, Dialect::Sigs);
    tree_node(&mut emitter, tree, Context::default(), -1, Floats::ThroughJson)?;
    emitter.finish();
    Ok(())
}

/// `sigs.k8s.io/yaml.JSONToYAML`: numbers with a point or an exponent stay floats.
pub fn json_to_yaml(json: impl AsRef<[u8]>) -> Result<String, Error> {
    let value = crate::read(json)?;
    let mut out = String::new();
    let mut emitter = Emitter::new(&mut out, Dialect::Sigs);
    tree_node(&mut emitter, &value, Context::default(), -1, Floats::Kept)?;
    emitter.finish();
    Ok(out)
}

/// Whether whole floats turn into integers, as they do when printed as JSON and read back.
#[derive(Clone, Copy, PartialEq)]
enum Floats {
    ThroughJson,
    Kept,
}

fn tree_node<T: Tree>(
    emitter: &mut Emitter<'_>,
    tree: &T,
    context: Context,
    indent: isize,
    floats: Floats,
) -> Result<(), Error> {
    let plain = |emitter: &mut Emitter<'_>, text: &str| {
        emitter.scalar(text, Style::Plain, context, indent);
        Ok(())
    };
    match tree.view()? {
        View::Null => plain(emitter, "null"),
        View::Bool(value) => plain(emitter, if value { "true" } else { "false" }),
        View::Int(value) => plain(emitter, &value.to_string()),
        View::Uint(value) => plain(emitter, &value.to_string()),
        View::Float(value) if !value.is_finite() => Err(Error::Number(value)),
        View::Float(value) => match whole(value).filter(|_| floats == Floats::ThroughJson) {
            Some(Value::Int(value)) => plain(emitter, &value.to_string()),
            Some(Value::Uint(value)) => plain(emitter, &value.to_string()),
            _ => plain(emitter, &format_float(value)),
        },
        View::Text(text) => {
            let text = through_json(&text)?;
            emitter.scalar(&text, string_style(&text, Dialect::Sigs), context, indent);
            Ok(())
        }
        View::Sequence([]) => {
            empty(emitter, "[", "]");
            Ok(())
        }
        View::Sequence(items) => {
            let indent = emitter.sequence_indent(indent, context);
            for item in items {
                emitter.write_indent(indent);
                emitter.indicator("-", true, false, true);
                tree_node(emitter, item, Context::default(), indent, floats)?;
            }
            Ok(())
        }
        View::Mapping(entries) | View::Ordered(entries) if entries.is_empty() => {
            empty(emitter, "{", "}");
            Ok(())
        }
        View::Mapping(mut entries) => {
            order::sort_natural(&mut entries);
            tree_entries(emitter, entries, indent, floats)
        }
        View::Ordered(entries) => tree_entries(emitter, entries, indent, floats),
    }
}

fn tree_entries<T: Tree>(
    emitter: &mut Emitter<'_>,
    entries: Vec<(&str, &T)>,
    indent: isize,
    floats: Floats,
) -> Result<(), Error> {
    let indent = Emitter::increased(indent, false);
    for (key, value) in entries {
        if key.contains('\u{85}') {
            // A key of JSON stands on one line, and this ends one.
            return Err(Error::Syntax {
                line: Some(1),
                at: None,
                problem: "did not find expected ',' or '}'".into(),
            });
        }
        let key = through_json(key)?;
        entry_key(emitter, &key, string_style(&key, Dialect::Sigs), indent);
        tree_node(emitter, value, Context { mapping: true, simple_key: false }, indent, floats)?;
    }
    Ok(())
}

fn empty(emitter: &mut Emitter<'_>, open: &str, close: &str) {
    emitter.indicator(open, true, true, false);
    emitter.indicator(close, false, false, false);
}

fn entry_key(emitter: &mut Emitter<'_>, key: &str, style: Style, indent: isize) {
    emitter.write_indent(indent);
    if Emitter::is_simple_key(key) {
        emitter.scalar(key, style, Context { mapping: true, simple_key: true }, indent);
        emitter.indicator(":", false, false, false);
    } else {
        emitter.indicator("?", true, false, true);
        emitter.scalar(key, style, Context { mapping: true, simple_key: false }, indent);
        emitter.write_indent(indent);
        emitter.indicator(":", true, false, true);
    }
}

/// The style that Go's encoders ask for.
fn string_style(text: &str, dialect: Dialect) -> Style {
    if text.contains('\n') {
        return Style::Literal;
    }
    let as_text = match resolve(text, dialect) {
        Scalar::Text(_) => true,
        // Sigs has no reason to quote the merge key.
        Scalar::Merge => dialect == Dialect::Sigs,
        _ => false,
    };
    let plain = as_text && !is_base60(text) && (dialect == Dialect::Sigs || old_bool(text).is_none());
    if plain { Style::Plain } else { Style::Double }
}

/// What becomes of a string that is printed as JSON and read back as YAML: U+0085 counts as a line
/// break there and is folded; other control characters above ASCII are refused.
fn through_json(text: &str) -> Result<Cow<'_, str>, Error> {
    if text.bytes().all(|byte| byte < 0x7F) {
        return Ok(Cow::Borrowed(text));
    }
    let allowed = |character: char| character < ' ' || is_allowed(character);
    if !text.chars().all(allowed) {
        return Err(Error::Syntax {
            line: None,
            at: None,
            problem: "control characters are not allowed".into(),
        });
    }
    if !text.contains('\u{85}') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find([' ', '\u{85}']) {
        out.push_str(&rest[..start]);
        let run_length =
            rest[start..].find(|next| next != ' ' && next != '\u{85}').unwrap_or(rest.len() - start);
        let run = &rest[start..start + run_length];
        match run.matches('\u{85}').count() {
            0 => out.push_str(run),
            1 => out.push(' '),
            breaks => out.extend(std::iter::repeat_n('\n', breaks - 1)),
        }
        rest = &rest[start + run_length..];
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// The node that yaml.v3 makes of a value when it marshals it.
pub fn to_node(value: &Value) -> Node {
    let plain =
        |text: String, tag| Node::Scalar(ScalarNode { text: text.into(), tag, ..ScalarNode::default() });
    match value {
        Value::Null => Node::null(),
        Value::Bool(value) => plain(value.to_string(), Tag::Bool),
        Value::Int(value) => plain(value.to_string(), Tag::Int),
        Value::Uint(value) => plain(value.to_string(), Tag::Int),
        Value::Float(value) => plain(format_float(*value), Tag::None),
        Value::String(text) => string_node(text),
        Value::Sequence(items) => Node::Sequence(items.iter().map(to_node).collect()),
        Value::Mapping(entries) => {
            let mut entries: Vec<(&str, &Value)> =
                entries.iter().map(|(key, value)| (key.as_str(), value)).collect();
            order::sort_natural(&mut entries);
            Node::Mapping(
                entries.into_iter().map(|(key, value)| (string_node(key), to_node(value))).collect(),
            )
        }
    }
}

fn string_node(text: &str) -> Node {
    let style = string_style(text, Dialect::V3);
    Node::Scalar(ScalarNode { style, ..ScalarNode::string(text) })
}

/// Writes a value as yaml.v3 marshals it, two spaces, compact lists.
pub fn write_v3(value: &Value) -> String {
    write_node(&to_node(value))
}

/// Writes a value as a yaml.v3 encoder with an indentation of two does: sequences below their key.
pub fn write_v3_indented(value: &Value) -> String {
    let mut out = String::new();
    let emitter = Emitter::new(&mut out, Dialect::V3).with_indented_sequences();
    NodeWriter::new(emitter).document(&to_node(value));
    out
}

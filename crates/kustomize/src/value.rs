//! From node trees to values: what the reference gets when it prints a resource and reads it back.

use sluice_yaml::node::ScalarNode;
use sluice_yaml::number::{Integer, format_float, format_json_float};
use sluice_yaml::read::{Dialect, decode_binary, replace_invalid};
use sluice_yaml::resolve::{Scalar, Tag, resolve, resolve_tagged};
use sluice_yaml::write::write_node;
use sluice_yaml::{Collection, Mapping, Node, Style, Value};

use crate::error::{Error, Result};

/// A scalar after printing and reading: a tag that the text does not bear out fails.
pub(crate) fn scalar_value(scalar: &ScalarNode) -> Result<Value> {
    let text = || Value::String(scalar.text.to_string());
    let typed = |tag: Tag| -> Result<Value> {
        if tag == Tag::Binary {
            return Ok(Value::String(replace_invalid(&decode_binary(&scalar.text)?)));
        }
        let resolved = resolve_tagged(tag, &scalar.text, Dialect::V3)
            .map_err(|error| Error::new(format!("yaml: {error}")))?;
        Ok(match resolved {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Integer(Integer::Signed(value)) => Value::Int(value),
            Scalar::Integer(Integer::Unsigned(value)) => Value::Uint(value),
            Scalar::Float(value) => Value::Float(value),
            Scalar::Timestamp(time) => Value::String(time.to_string()),
            Scalar::Text(text) => Value::String(text.to_owned()),
            Scalar::Merge => Value::String("<<".to_owned()),
        })
    };
    if scalar.tagged {
        return match scalar.tag {
            Tag::Str | Tag::Custom | Tag::None => Ok(text()),
            tag => typed(tag),
        };
    }
    match scalar.tag {
        Tag::Str | Tag::Custom => Ok(text()),
        Tag::None if scalar.style != Style::Plain => Ok(text()),
        Tag::None => typed(Tag::None),
        // The tag is dropped where the text implies it; then quotes make it a string.
        tag if resolve(&scalar.text, Dialect::V3).tag() == tag => {
            if scalar.style == Style::Plain {
                typed(Tag::None)
            } else {
                Ok(text())
            }
        }
        tag => typed(tag),
    }
}

/// A plain null without text.
fn is_nothing(scalar: &ScalarNode) -> bool {
    let is_null = matches!(scalar.tag, Tag::None | Tag::Null);
    is_null && scalar.text.is_empty() && scalar.style == Style::Plain && !scalar.tagged
}

/// Whether it cannot stand plain within brackets, so that printing puts quotes round it: of all that is no string
/// only a time has a colon.
fn is_quoted_by_brackets(scalar: &ScalarNode) -> bool {
    !scalar.tagged
        && scalar.style == Style::Plain
        && matches!(scalar.tag, Tag::None | Tag::Timestamp)
        && scalar.text.contains(':')
}

/// Whether a key is a string after printing.
fn is_string_key(key: &Node) -> bool {
    match key {
        Node::Scalar(scalar) if scalar.tagged => scalar.tag == Tag::Str,
        // An empty key prints in quotes.
        Node::Scalar(scalar) if scalar.text.is_empty() => true,
        Node::Scalar(scalar) => match scalar.tag {
            Tag::Str | Tag::Merge => true,
            Tag::None if scalar.style != Style::Plain => true,
            Tag::None => matches!(resolve(&scalar.text, Dialect::V3), Scalar::Text(_) | Scalar::Merge),
            _ => scalar.style != Style::Plain,
        },
        _ => false,
    }
}

/// The value of a whole resource.
pub(crate) fn resource_value(node: &Node) -> Result<Value> {
    if changes_in_print(node)
        && let Some(printed) = sluice_yaml::read_node(write_node(node))?
    {
        return convert(&printed, true, Brackets::Outside);
    }
    convert(node, true, Brackets::Outside)
}

/// Whether printing may change the text of a block: the reference doubles breaks in folded ones, and a comment
/// below a block that keeps its last breaks is set off by one more.
fn changes_in_print(node: &Node) -> bool {
    match node {
        Node::Scalar(scalar) => match scalar.style {
            Style::Folded => true,
            Style::Literal => scalar.text == "\n" || scalar.text.ends_with("\n\n"),
            _ => false,
        },
        Node::Sequence(items) => items.iter().any(changes_in_print),
        Node::Mapping(entries) => entries.iter().any(|(_, value)| changes_in_print(value)),
    }
}

/// The value of a part.
pub(crate) fn node_value(node: &Node) -> Result<Value> {
    convert(node, false, Brackets::Outside)
}

/// The value of a part that the reference does not print on the way.
pub(crate) fn unprinted_value(node: &Node) -> Result<Value> {
    convert(node, false, Brackets::Ignored)
}

/// Whether brackets, within which some scalars print in quotes, are round a node.
#[derive(Clone, Copy, PartialEq)]
enum Brackets {
    Ignored,
    Outside,
    Within,
}

impl Brackets {
    fn enter(self, flow: bool) -> Self {
        if flow && self == Self::Outside { Self::Within } else { self }
    }
}

fn convert(node: &Node, top: bool, brackets: Brackets) -> Result<Value> {
    let in_flow = brackets == Brackets::Within;
    match node {
        // Within brackets nothing is printed as an empty text.
        Node::Scalar(scalar) if in_flow && is_nothing(scalar) => Ok(Value::String(String::new())),
        Node::Scalar(scalar) if in_flow && is_quoted_by_brackets(scalar) => {
            Ok(Value::String(scalar.text.to_string()))
        }
        // Nothing within brackets was read so that it prints in quotes.
        Node::Scalar(scalar) if brackets == Brackets::Ignored && scalar.tag == Tag::Null => Ok(Value::Null),
        Node::Scalar(scalar) => scalar_value(scalar),
        Node::Sequence(items) => {
            let brackets = brackets.enter(items.flow);
            items
                .iter()
                .map(|item| convert(item, false, brackets))
                .collect::<Result<_>>()
                .map(Value::Sequence)
        }
        Node::Mapping(entries) => {
            let brackets = brackets.enter(entries.flow);
            let mut out = Mapping::with_capacity(entries.len());
            for (key, value) in entries {
                let name = crate::tree::owned_text(key);
                let is_merge = name == "<<"
                    && matches!(key, Node::Scalar(key) if matches!(key.tag, Tag::None | Tag::Merge) && key.style == Style::Plain);
                if is_merge && matches!(value, Node::Scalar(_)) {
                    return Err(Error::new("yaml: map merge requires map or sequence of maps as the value"));
                }
                if !is_string_key(key) {
                    if !top {
                        return Err(Error::new("json: unsupported type: map[interface {}]interface {}"));
                    }
                    if let Node::Scalar(scalar) = key
                        && scalar_value(scalar)? == Value::Null
                    {
                        if scalar.text.is_empty() || crate::tree::line(key).is_none() {
                            continue;
                        }
                        // When it read it the reference added it once more, not finding it by its text.
                        return Err(defined_twice(&name, key, key));
                    }
                }
                let value = convert(value, false, brackets)?;
                if out.insert(name.to_string(), value).is_some() {
                    let first = entries.iter().find(|(other, _)| other.as_text() == key.as_text());
                    return Err(defined_twice(&name, key, first.map_or(key, |(first, _)| first)));
                }
            }
            Ok(Value::Mapping(out))
        }
    }
}

fn defined_twice(name: &str, key: &Node, first: &Node) -> Error {
    let line = |node| crate::tree::line(node).map_or("?".to_owned(), |line| line.to_string());
    Error::new(format!(
        "yaml: unmarshal errors:\n  line {}: mapping key \"{name}\" already defined at line {}",
        line(key),
        line(first)
    ))
}

fn number(text: String) -> Node {
    let tag = resolve(&text, Dialect::V3).tag();
    Node::Scalar(ScalarNode { text: text.into(), tag, ..ScalarNode::default() })
}

fn quoted(text: &str) -> Node {
    Node::Scalar(ScalarNode { style: Style::Double, ..ScalarNode::string(text) })
}

/// The node that comes of printing a value as JSON and reading that: all strings quoted.
pub(crate) fn node_through_json(value: &Value) -> Result<Node> {
    Ok(match value {
        Value::Null => Node::null(),
        Value::Bool(value) => number(value.to_string()),
        Value::Int(value) => number(value.to_string()),
        Value::Uint(value) => number(value.to_string()),
        Value::Float(value) => {
            number(format_json_float(*value).ok_or(Error::from(sluice_yaml::Error::Number(*value)))?)
        }
        Value::String(text) => quoted(text),
        Value::Sequence(items) => {
            let items = items.iter().map(node_through_json).collect::<Result<_>>()?;
            Node::Sequence(in_brackets(items))
        }
        Value::Mapping(entries) => {
            let entries = entries.iter().map(|(key, value)| Ok((quoted(key), node_through_json(value)?)));
            Node::Mapping(in_brackets(entries.collect::<Result<_>>()?))
        }
    })
}

fn in_brackets<T>(items: Vec<T>) -> Collection<T> {
    Collection { flow: true, ..Collection::from(items) }
}

/// The node that comes of a JSON document read with every number a float, then printed and read as YAML.
pub(crate) fn node_through_floats(value: &Value) -> Result<Node> {
    let float = |value: f64| number(format_float(value));
    Ok(match value {
        Value::Null => Node::null(),
        Value::Bool(value) => number(value.to_string()),
        Value::Int(value) => float(*value as f64),
        Value::Uint(value) => float(*value as f64),
        Value::Float(value) if !value.is_finite() => return Err(sluice_yaml::Error::Number(*value).into()),
        Value::Float(value) => float(*value),
        Value::String(text) => Node::string(text.as_str()),
        Value::Sequence(items) => {
            let mut nodes = Vec::with_capacity(items.len());
            for item in items {
                nodes.push(node_through_floats(item)?);
            }
            Node::Sequence(nodes.into())
        }
        Value::Mapping(entries) => {
            let mut nodes = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                nodes.push((Node::string(key.as_str()), node_through_floats(value)?));
            }
            Node::Mapping(nodes.into())
        }
    })
}

//! Nested metadata in formats without nesting: `age__list_0__map_enc`.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::tree::{Branch, Element, Item, Value};

const MAP: &str = "__map_";
const LIST: &str = "__list_";
/// Deeper than metadata ever is.
const DEEPEST: usize = 32;

#[derive(Default)]
struct Node {
    value: Option<Value>,
    keys: BTreeMap<String, Node>,
    indexes: BTreeMap<usize, Node>,
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Puts the nesting back that the names tell.
pub(super) fn unflatten(branch: Branch) -> Result<Branch, Error> {
    let mut root = Node::default();
    for item in branch {
        let Item::Entry(name, value) = item else { continue };
        let failed = |reason: &str| Error::Metadata(format!("Error while unflattening {name:?}: {reason}"));
        let steps = steps(&name).ok_or_else(|| failed("Too deep"))?;
        let mut node = &mut root;
        for step in steps {
            node = match step {
                Step::Key(key) => node.keys.entry(key.to_owned()).or_default(),
                Step::Index(index) => node.indexes.entry(index).or_default(),
            };
        }
        if node.value.is_some() {
            return Err(failed("Duplicate value"));
        }
        node.value = Some(value);
    }
    match convert(root).map_err(|reason| Error::Metadata(format!("Error while unflattening: {reason}")))? {
        Value::Map(branch) => Ok(branch),
        _ => Err(Error::Metadata("Internal error: cannot find root".to_owned())),
    }
}

/// The steps that a name tells, unless there are too many.
fn steps(name: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = name;
    let mut in_list = false;
    loop {
        let next = [(rest.find(MAP), MAP), (rest.find(LIST), LIST)]
            .into_iter()
            .filter_map(|(at, separator)| at.map(|at| (at, separator)))
            .min_by_key(|(at, _)| *at);
        let end = next.map_or(rest.len(), |(at, _)| at);
        let part = &rest[..end];
        // Go takes what is no number for zero.
        steps.push(if in_list { Step::Index(part.parse().unwrap_or(0)) } else { Step::Key(part) });
        let Some((at, separator)) = next else { return Some(steps) };
        if steps.len() == DEEPEST {
            return None;
        }
        in_list = separator == LIST;
        rest = &rest[at + separator.len()..];
    }
}

fn convert(node: Node) -> Result<Value, &'static str> {
    let kinds = usize::from(node.value.is_some())
        + usize::from(!node.keys.is_empty())
        + usize::from(!node.indexes.is_empty());
    if kinds > 1 {
        return Err("Type mismatch");
    }
    if let Some(value) = node.value {
        return Ok(value);
    }
    if node.indexes.is_empty() {
        let entries = node.keys.into_iter().map(|(key, node)| Ok(Item::Entry(key, convert(node)?)));
        return Ok(Value::Map(entries.collect::<Result<_, &'static str>>()?));
    }
    if node.indexes.keys().enumerate().any(|(wanted, index)| wanted != *index) {
        return Err("Incomplete list");
    }
    let elements = node.indexes.into_values().map(|node| Ok(Element::Value(convert(node)?)));
    Ok(Value::List(elements.collect::<Result<_, &'static str>>()?))
}

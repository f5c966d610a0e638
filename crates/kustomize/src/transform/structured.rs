//! Documents inside of scalars: replacements may reach into them.

use sluice_yaml::resolve::Tag;
use sluice_yaml::write::write_node;
use sluice_yaml::{Node, Style, Value};

use crate::error::{Error, Result};
use crate::tree::{self, Kind};
use crate::value::node_value;

/// Writes the value into the document that a scalar on the way of the path holds. An error means that the path
/// leads through no such document.
pub(super) fn set(
    root: &mut Node,
    value: &Node,
    path: &[String],
    create: Option<Kind>,
) -> Result<ScalarChange> {
    if path.len() < 2 {
        return Err(Error::new("not a structured data path"));
    }
    for end in 1..path.len() {
        let Ok(Some(Node::Scalar(scalar))) = super::replacements::lookup(root, &path[..end]) else {
            continue;
        };
        let Ok(Some(mut document)) = sluice_yaml::read_verbatim(scalar.text.as_str()) else {
            if sluice_yaml::read_node(scalar.text.as_str()).is_ok() {
                return Err(Error::new("unable to find field in structured data"));
            }
            continue;
        };
        let original = scalar.text.clone();
        let mut found = Vec::new();
        super::replacements::find(&mut document, &path[end..], create, &mut found)?;
        if found.is_empty() {
            return Err(Error::new("unable to find field in structured data"));
        }
        for steps in &found {
            let Some(target) = super::replacements::node_at(&mut document, steps) else { continue };
            match target {
                Node::Scalar(target) if !target.is_alias() => {
                    target.text = tree::owned_text(value);
                    // Inside of braces nothing is printed as an empty text.
                    if is_json(&original) && target.text.is_empty() && target.short_tag() == Tag::Null {
                        target.tag = Tag::Str;
                        target.style = Style::Single;
                    }
                }
                target => *target = tree::deep_copy(value),
            }
        }
        // The reference leaves the scalar alone, without an error, if a number has become a text.
        let text = match serialize(&document, &original) {
            Err(_) if is_json(&original) => original.to_string(),
            text => text?,
        };
        return Ok(ScalarChange { path: path[..end].to_vec(), text });
    }
    Err(Error::new("no structured data found in path"))
}

/// What becomes of the scalar.
pub(super) struct ScalarChange {
    pub(super) path: Vec<String>,
    pub(super) text: String,
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

fn serialize(document: &Node, original: &str) -> Result<String> {
    if !is_json(original) {
        return Ok(write_node(document).trim().to_owned());
    }
    let value = node_value(document)?;
    if original.contains('\n') && original.contains("  ") {
        let mut out = String::new();
        write_indented(&value, 0, &mut out)?;
        return Ok(out);
    }
    Ok(sluice_yaml::json::to_string(&value)?)
}

/// Go's `json.MarshalIndent` with two spaces.
fn write_indented(value: &Value, depth: usize, out: &mut String) -> Result<()> {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    match value {
        Value::Sequence(items) if !items.is_empty() => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                write_indented(item, depth + 1, out)?;
            }
            line(out, depth);
            out.push(']');
        }
        Value::Mapping(entries) if !entries.is_empty() => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, item)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                sluice_yaml::json::write_string(key, out);
                out.push_str(": ");
                write_indented(item, depth + 1, out)?;
            }
            line(out, depth);
            out.push('}');
        }
        other => out.push_str(&sluice_yaml::json::to_string(other)?),
    }
    Ok(())
}

//! Content hashes in the names of generated resources.

use sha2::{Digest, Sha256};
use sluice_yaml::{Mapping, Node, Value, json};
use smol_str::format_smolstr;

use crate::error::{Error, Result};
use crate::resource::ResourceMap;
use crate::tree;
use crate::value::node_value;

/// Appends its hash to the name of each resource that asks for it.
pub(crate) fn add_suffixes(map: &mut ResourceMap) -> Result<()> {
    for resource in &mut map.resources {
        if !resource.meta.needs_hash {
            continue;
        }
        let hash = hash(&resource.node)?;
        let name = resource.name();
        resource.push_id();
        resource.set_name(format_smolstr!("{name}-{hash}"))?;
    }
    Ok(())
}

fn hash(node: &Node) -> Result<String> {
    let kind = tree::field(node, "kind").map(tree::text).unwrap_or("");
    let (members, optional): (&[&str], &str) = match kind {
        "ConfigMap" => (&["data"], "binaryData"),
        "Secret" => (&["data", "type"], "stringData"),
        other => {
            return Err(Error::new(format!(
                "a name suffix hash is supported for ConfigMap and Secret only, not {other}"
            )));
        }
    };
    let mut content = Mapping::new();
    content.insert("kind".into(), kind.into());
    // The reference looks for a field of the name `metadata/name`: there is none.
    content.insert("name".into(), "".into());
    for member in members {
        content.insert((*member).into(), member_value(node, member)?);
    }
    if let value @ Value::Mapping(_) = member_value(node, optional)? {
        content.insert(optional.into(), value);
    }
    let text = json::to_string(&Value::Mapping(content))?;
    Ok(encode(&Sha256::digest(text.as_bytes())))
}

fn member_value(node: &Node, name: &str) -> Result<Value> {
    match tree::field(node, name) {
        None => Ok(Value::String(String::new())),
        Some(Node::Scalar(scalar)) => Ok(Value::String(scalar.text.to_string())),
        Some(Node::Sequence(_)) => Ok(Value::Null),
        Some(map) => Ok(floats(node_value(map)?)),
    }
}

/// All numbers pass through float64.
fn floats(value: Value) -> Value {
    match value {
        Value::Int(value) => Value::Float(value as f64),
        Value::Uint(value) => Value::Float(value as f64),
        Value::Sequence(items) => Value::Sequence(items.into_iter().map(floats).collect()),
        Value::Mapping(entries) => {
            Value::Mapping(entries.into_iter().map(|(key, value)| (key, floats(value))).collect())
        }
        other => other,
    }
}

/// Ten hexadecimal digits, with those that could form words replaced.
fn encode(digest: &[u8]) -> String {
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .take(10)
        .map(|digit| match digit {
            0 => 'g',
            1 => 'h',
            3 => 'k',
            10 => 'm',
            14 => 't',
            digit => char::from_digit(u32::from(digit), 16).unwrap_or('0'),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_contents_have_known_hashes() {
        let cases = [
            ("kind: ConfigMap\ndata: {compValue: red, otherValue: green, testValue: blue}\n", "97647ckcmg"),
            ("kind: ConfigMap\n", "6ct58987ht"),
            ("kind: Secret\ntype: Opaque\ndata: {}\n", "46f8b28mk5"),
            ("kind: ConfigMap\ndata: {x: 'y', z: w}\n", "c5cmhdg8m7"),
            ("kind: ConfigMap\ndata: {x: '<&>é'}\n", "d6c88cf49m"),
        ];
        for (text, expected) in cases {
            let node = sluice_yaml::read_node(text).expect("sound").expect("a document");
            assert_eq!(hash(&node).expect("a hash"), expected, "{text}");
        }
    }
}

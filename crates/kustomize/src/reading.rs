//! Text to resources.

use sluice_yaml::resolve::Tag;
use sluice_yaml::{Node, Value, read_commented, read_node};

use crate::error::{Context as _, Error, Result};
use crate::resource::{Resource, ResourceMap, SENTINEL};
use crate::tree;
use crate::value::{node_through_json, unprinted_value};

/// Reads all resources of a text; lists are taken apart.
pub(crate) fn read_resources(text: &[u8]) -> Result<Vec<Resource>> {
    let nodes = drop_bad(read_documents(text)?)?;
    Ok(inline_lists(nodes)?.into_iter().map(Resource::new).collect())
}

/// Like [`read_resources`], refusing equal identifiers.
pub(crate) fn read_map(text: &[u8]) -> Result<ResourceMap> {
    ResourceMap::new(read_resources(text)?)
}

const MALFORMED: &str = "MalformedYAMLError";

fn read_documents(text: &[u8]) -> Result<Vec<Node>> {
    let malformed = MALFORMED;
    let Ok(text) = std::str::from_utf8(text) else {
        // Where documents end is looked for in bytes: UTF-16 has one document, what follows it is lost.
        let text = sluice_yaml::text(text).context(malformed)?;
        return read_nodes(&[&text]);
    };
    let normal;
    let text = if text.contains("\r\n") {
        normal = text.replace("\r\n", "\n");
        normal.as_str()
    } else {
        text
    };
    read_nodes(&split_documents(text)?)
}

fn read_nodes(documents: &[&str]) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    let mut first_line = 0;
    for document in documents {
        let lines_before = first_line;
        first_line += document.bytes().filter(|byte| *byte == b'\n').count() as u32 + 1;
        // Comments change nothing but where they stand below blocks that keep their last breaks.
        let read = if keeps_breaks(document) { read_commented } else { read_node };
        let Some(mut node) = read(document).context(MALFORMED)? else { continue };
        if lines_before > 0 {
            tree::move_down(&mut node, lines_before);
        }
        if tree::is_null(&node) {
            continue;
        }
        let kind = tree::field(&node, "kind").filter(|kind| !tree::is_nil_or_empty(kind)).map(tree::text);
        let wraps = matches!(kind, Some("List" | "ResourceList"))
            && (tree::field(&node, "items").is_some() || tree::field(&node, "functionConfig").is_some());
        if documents.len() == 1 && wraps {
            let mut node = node;
            match tree::clear(&mut node, "items") {
                Some(Node::Sequence(items)) => nodes.extend(items),
                // Keys and values count as objects, which they are not.
                Some(Node::Mapping(entries)) => {
                    nodes.extend(entries.into_iter().flat_map(|(key, value)| [key, value]));
                }
                _ => {}
            }
            continue;
        }
        nodes.push(node);
    }
    for node in &mut nodes {
        expand_merges(node)?;
    }
    Ok(nodes)
}

/// Whether a document may have a block scalar with `+` and a comment.
fn keeps_breaks(document: &str) -> bool {
    let may_keep = |at: usize| {
        let before = document[..at].trim_end_matches(|hint: char| hint.is_ascii_digit());
        before.ends_with(['|', '>'])
    };
    document.contains('#') && document.match_indices('+').any(|(at, _)| may_keep(at))
}

/// Splits at lines that start with three dashes.
fn split_documents(text: &str) -> Result<Vec<&str>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut documents = Vec::new();
    let mut start = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find("\n---") {
        let at = from + found;
        let Some(length) = text[at + 1..].find('\n') else { break };
        let end = at + 1 + length + 1;
        let rest = text[at + 4..end].trim();
        if !rest.is_empty() && !rest.starts_with('#') {
            return Err(Error::new(format!("invalid document separator: {}", text[at..end].trim())));
        }
        documents.push(&text[start..=at]);
        start = end;
        from = end;
    }
    documents.push(&text[start..]);
    Ok(documents)
}

/// Puts what `<<` names into its map: what is there wins, then earlier maps.
fn expand_merges(node: &mut Node) -> Result<()> {
    match node {
        Node::Scalar(_) => Ok(()),
        Node::Sequence(items) => items.iter_mut().try_for_each(expand_merges),
        Node::Mapping(entries) => {
            for (key, value) in entries.iter_mut() {
                expand_merges(key)?;
                expand_merges(value)?;
            }
            let is_merge = |key: &Node| matches!(key, Node::Scalar(scalar) if scalar.tag == Tag::Merge);
            let mut merges =
                entries.iter().enumerate().filter(|(_, (key, _))| is_merge(key)).map(|(at, _)| at);
            let Some(at) = merges.next() else {
                // The reference removes what is spelt like a merge key, quoted or not.
                if let Some(at) = tree::position(entries, "<<") {
                    entries.remove(at);
                }
                return Ok(());
            };
            if merges.next().is_some() {
                return Err(Error::new("duplicate merge key"));
            }
            let value = std::mem::take(&mut entries[at].1);
            if let Some(at) = tree::position(entries, "<<") {
                entries.remove(at);
            }
            let maps = match value {
                Node::Mapping(map) => vec![map],
                Node::Sequence(items) => items
                    .into_iter()
                    .map(|item| match item {
                        Node::Mapping(map) => Ok(map),
                        Node::Sequence(_) => Err(Error::new("invalid map merge: received a nested sequence")),
                        Node::Scalar(_) => {
                            Err(Error::new("map merge requires map or sequence of maps as the value"))
                        }
                    })
                    .collect::<Result<_>>()?,
                Node::Scalar(_) => {
                    return Err(Error::new("map merge requires map or sequence of maps as the value"));
                }
            };
            for (key, value) in maps.into_iter().flatten() {
                if tree::position(entries, tree::text(&key)).is_none() {
                    entries.push((key, value));
                }
            }
            Ok(())
        }
    }
}

/// Drops empty objects; refuses those without a kind or name.
fn drop_bad(nodes: Vec<Node>) -> Result<Vec<Node>> {
    let mut result = Vec::with_capacity(nodes.len());
    for node in nodes {
        if tree::is_nil_or_empty(&node) {
            continue;
        }
        check_metadata(&node)?;
        result.push(node);
    }
    Ok(result)
}

/// Refuses an object without a kind, or without a name unless it is a list.
pub(crate) fn check_metadata(node: &Node) -> Result<()> {
    let present = |node: &'_ Node, name: &str| -> Option<String> {
        tree::field(node, name)
            .filter(|node| !tree::is_nil_or_empty(node))
            .map(|node| tree::text(node).to_owned())
    };
    let (api_version, kind) = (present(node, "apiVersion"), present(node, "kind"));
    let metadata = tree::field(node, "metadata").filter(|node| !tree::is_nil_or_empty(node));
    let member = |name: &str| metadata.and_then(|metadata| present(metadata, name));
    let (name, namespace) = (member("name"), member("namespace"));
    let some_metadata =
        ["name", "namespace", "labels", "annotations"].iter().any(|name| member(name).is_some());
    if api_version.is_none() && kind.is_none() && !some_metadata {
        return Err(Error::new("missing Resource metadata"));
    }
    let kind = kind.unwrap_or_default();
    let shown = format!(
        "{{{{{} {kind}}} {{{{{} {}}} {} {}}}}}",
        api_version.unwrap_or_default(),
        name.clone().unwrap_or_default(),
        namespace.unwrap_or_default(),
        go_map(metadata.and_then(|metadata| tree::field(metadata, "labels"))),
        go_map(metadata.and_then(|metadata| tree::field(metadata, "annotations")))
    );
    if kind.is_empty() {
        return Err(Error::new(format!("missing kind in object {shown}")));
    }
    if kind.ends_with("List") || name.is_some_and(|name| !name.is_empty()) {
        return Ok(());
    }
    Err(Error::new(format!("missing metadata.name in object {shown}")))
}

/// Go's `%v` of a map of texts.
fn go_map(node: Option<&Node>) -> String {
    let entries = node.and_then(Node::as_mapping).into_iter().flatten();
    let mut shown: Vec<String> = entries
        .filter(|(key, _)| tree::text(key) != SENTINEL)
        .map(|(key, value)| format!("{}:{}", tree::text(key), tree::text(value)))
        .collect();
    shown.sort();
    format!("map[{}]", shown.join(" "))
}

/// Replaces lists by their items, behind all else.
fn inline_lists(nodes: Vec<Node>) -> Result<Vec<Node>> {
    let is_list =
        |node: &Node| tree::field(node, "kind").is_some_and(|kind| tree::text(kind).ends_with("List"));
    if !nodes.iter().any(is_list) {
        return Ok(nodes);
    }
    let mut queue: std::collections::VecDeque<Node> = nodes.into();
    let mut result = Vec::new();
    while let Some(node) = queue.pop_front() {
        if !is_list(&node) {
            result.push(node);
            continue;
        }
        let kind = tree::field(&node, "kind").map(tree::text).unwrap_or("").to_owned();
        let value = unprinted_value(&node).with_context(|| format!("trouble expanding list of {kind}"))?;
        match value.get("items") {
            None => result.push(node),
            Some(Value::Null) => {}
            Some(Value::Sequence(items)) => {
                for item in items {
                    let item = node_through_json(item)?;
                    let items = match tree::field(&item, "kind").map(tree::text) {
                        Some("List" | "ResourceList") if tree::field(&item, "items").is_some() => {
                            match tree::field(&item, "items") {
                                Some(Node::Sequence(items)) => items.items.clone(),
                                _ => Vec::new(),
                            }
                        }
                        _ => vec![item],
                    };
                    queue.extend(drop_bad(items)?);
                }
            }
            Some(other) => {
                let found = match other {
                    Value::Mapping(_) => "map[string]interface {}",
                    Value::Bool(_) => "bool",
                    Value::Int(_) | Value::Uint(_) => "int",
                    Value::Float(_) => "float64",
                    _ => "string",
                };
                return Err(Error::new(format!("expected array in {kind}/items, but found {found}")));
            }
        }
    }
    Ok(result)
}

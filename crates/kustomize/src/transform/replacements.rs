//! `replacements`: values copied from one resource into others.

use sluice_yaml::Node;
use sluice_yaml::write::write_node;

use crate::error::{Error, Result};
use crate::kustomization::{FieldOptions, Replacement, Source, Target};
use crate::resource::{Resource, ResourceMap};
use crate::selector::CompiledSelector;
use crate::tree::{self, Kind, Writes};

const DEFAULT_PATH: &str = "metadata.name";
/// How many fields one path may lead to.
const MAX_MATCHES: usize = 1_000_000;
/// An index of a field that is found but not in the tree.
const NOWHERE: usize = usize::MAX;

pub(super) fn apply(map: &mut ResourceMap, replacements: &[Replacement]) -> Result<()> {
    for replacement in replacements {
        let has_source = replacement.source.is_some() || replacement.source_value.is_some();
        let (true, Some(targets)) = (has_source, &replacement.targets) else {
            return Err(Error::new("replacements must specify a source and at least one target"));
        };
        let mut value = match (&replacement.source, &replacement.source_value) {
            (Some(_), Some(_)) => {
                return Err(Error::new("value and resource selectors are mutually exclusive"));
            }
            (_, Some(text)) => Copied { node: Node::Scalar(tree::untyped(text.as_str())), from: None },
            (Some(source), None) => source_value(map, source)?,
            (None, None) => continue,
        };
        for target in targets {
            replace(map, &mut value, target)?;
        }
    }
    map.drop_empty();
    Ok(())
}

/// What is copied. A field that is copied whole is copied as it is by then: a target may be the source itself.
struct Copied {
    node: Node,
    from: Option<Place>,
}

/// A field of a resource of the map.
struct Place {
    resource: usize,
    steps: Vec<String>,
}

impl Copied {
    /// Looks at the source once more, after a change of its resource.
    fn refresh(&mut self, resource: &Node) {
        let Some(from) = &self.from else { return };
        if let Ok(Some(now)) = lookup(resource, &from.steps) {
            self.node = tree::deep_copy(now);
        }
    }
}

fn describe(source: &Source) -> String {
    let mut result = source.id.to_string();
    if !source.field_path.is_empty() {
        result.push(':');
        result.push_str(&source.field_path);
    }
    if let Some(options) = &source.options
        && (!options.delimiter.is_empty() || options.create)
    {
        result.push_str(&format!(":{}({}), create={}", options.delimiter, options.index, options.create));
    }
    result
}

fn source_value(map: &ResourceMap, source: &Source) -> Result<Copied> {
    let mut matches = map
        .resources
        .iter()
        .enumerate()
        .filter(|(_, resource)| resource.any_ids().iter().any(|id| id.is_selected_by(&source.id)));
    let Some((at, found)) = matches.next() else {
        return Err(Error::new(format!("nothing selected by {}", describe(source))));
    };
    if matches.next().is_some() {
        return Err(Error::new(format!("multiple matches for selector {}", describe(source))));
    }
    let path = if source.field_path.is_empty() { DEFAULT_PATH } else { &source.field_path };
    let steps = tree::split_path_with_brackets(path, '.');
    let value = lookup(&found.node, &steps)
        .map_err(|error| error.prefixed("error looking up replacement source"))?
        .filter(|value| !tree::is_nil_or_empty(value));
    let Some(value) = value else {
        return Err(Error::new(format!(
            "fieldPath `{path}` is missing for replacement source {}",
            source.id
        )));
    };
    let value = tree::deep_copy(value);
    let Some(options) = source.options.as_ref().filter(|options| !options.delimiter.is_empty()) else {
        return Ok(Copied { node: value, from: Some(Place { resource: at, steps }) });
    };
    let Node::Scalar(mut scalar) = value else {
        return Err(Error::new("delimiter option can only be used with scalar nodes"));
    };
    let part = usize::try_from(options.index)
        .ok()
        .and_then(|index| scalar.text.split(options.delimiter.as_str()).nth(index).map(Into::into));
    match part {
        Some(part) => {
            scalar.text = part;
            Ok(Copied { node: Node::Scalar(scalar), from: None })
        }
        None => Err(Error::new(format!(
            "options.index {} is out of bounds for value {}",
            options.index, scalar.text
        ))),
    }
}

fn replace(map: &mut ResourceMap, value: &mut Copied, target: &Target) -> Result<()> {
    let Some(select) = &target.select else {
        return Err(Error::new("target must specify resources to select"));
    };
    let blame = |error: Error| error.prefixed("error creating target selector");
    let select = CompiledSelector::new(select).map_err(blame)?;
    let reject: Vec<CompiledSelector> =
        target.reject.iter().map(CompiledSelector::new).collect::<Result<_>>().map_err(blame)?;
    let default = [DEFAULT_PATH.to_owned()];
    let paths = if target.field_paths.is_empty() { &default[..] } else { &target.field_paths };
    for (at, resource) in map.resources.iter_mut().enumerate() {
        let selected_by_labels = select.matches_labels(resource)
            && !reject.iter().any(|reject| reject.has_labels && reject.matches_labels(resource));
        if !selected_by_labels {
            continue;
        }
        let mut ids = resource.any_ids();
        ids.rotate_right(1);
        if reject.iter().any(|reject| reject.has_id && ids.iter().any(|id| reject.matches_id(id))) {
            continue;
        }
        if ids.iter().any(|id| select.matches_id(id)) {
            let marked = resource.is_marked();
            for path in paths {
                let is_source = value.from.as_ref().is_some_and(|from| from.resource == at);
                copy_to(resource, value, is_source, path, target.options.as_ref())?;
            }
            resource.check_mark(marked);
        }
    }
    Ok(())
}

fn copy_to(
    resource: &mut Resource,
    value: &mut Copied,
    is_source: bool,
    path: &str,
    options: Option<&FieldOptions>,
) -> Result<()> {
    let create = options.filter(|options| options.create).map(|_| Kind::of(&value.node));
    let steps = tree::split_path_with_brackets(path, '.');
    tree::check_depth(steps.len(), tree::depth(&value.node))
        .map_err(|error| error.prefixed("replacement target"))?;
    if let Ok(change) = super::structured::set(&mut resource.node, &value.node, &steps, create) {
        let mut writes = Writes::default();
        if let Some(Node::Scalar(scalar)) = lookup_mut(&mut resource.node, &change.path) {
            writes.set_text(scalar, change.text.into());
        }
        writes.apply(&mut resource.node);
        if is_source {
            value.refresh(&resource.node);
        }
        return Ok(());
    }
    let missing = || {
        let or_create = if create.is_some() { "find or create" } else { "find" };
        format!("unable to {or_create} field \"{path}\" in replacement target")
    };
    let mut found = Vec::new();
    find(&mut resource.node, &steps, create, &mut found).map_err(|error| error.prefixed(missing()))?;
    if found.is_empty() {
        return Err(Error::new(missing()));
    }
    for steps in &found {
        let mut writes = Writes::default();
        if let Some(target) = node_at(&mut resource.node, steps) {
            set_value(target, &value.node, options, &mut writes)?;
        }
        writes.apply(&mut resource.node);
        if is_source {
            value.refresh(&resource.node);
        }
    }
    Ok(())
}

fn set_value(
    target: &mut Node,
    value: &Node,
    options: Option<&FieldOptions>,
    writes: &mut Writes,
) -> Result<()> {
    let mut text = tree::owned_text(value);
    if let Some(options) = options.filter(|options| !options.delimiter.is_empty()) {
        let Node::Scalar(scalar) = &*target else {
            return Err(Error::new("delimiter option can only be used with scalar nodes"));
        };
        let mut parts: Vec<&str> = scalar.text.split(options.delimiter.as_str()).collect();
        let new = tree::text(value);
        match usize::try_from(options.index) {
            Err(_) => parts.insert(0, new),
            Ok(index) if index >= parts.len() => parts.push(new),
            Ok(index) => parts[index] = new,
        }
        text = parts.join(&options.delimiter).into();
    }
    match target {
        Node::Scalar(scalar) => writes.set_text(scalar, text),
        target => *target = tree::deep_copy(value),
    }
    Ok(())
}

fn list_index(part: &str) -> Option<usize> {
    let digits = part.strip_prefix('+').unwrap_or(part);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

fn is_bracketed(part: &str) -> bool {
    part.starts_with('[') && part.ends_with(']')
}

fn split_bracketed(part: &str) -> Result<(&str, &str)> {
    let inner = part.strip_suffix(']').unwrap_or(part);
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    inner
        .split_once('=')
        .ok_or_else(|| Error::new("list path element must contain fieldName=fieldValue for element to match"))
}

/// The reference's exact lookup: members, indexes, `-` for the last, `[key=value]`.
pub(super) fn lookup<'n>(root: &'n Node, path: &[String]) -> Result<Option<&'n Node>> {
    let mut node = root;
    for part in path.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        match step(node, part)? {
            Some(next) => node = next,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

fn step<'n>(node: &'n Node, part: &str) -> Result<Option<&'n Node>> {
    if let Ok(number) = part.parse::<i64>() {
        if number < 0 {
            return Err(Error::new(format!("array index {number} cannot be negative")));
        }
        if tree::is_null(node) {
            return Ok(None);
        }
        let Node::Sequence(items) = node else { return Err(tree::wrong_kind("SequenceNode", node)) };
        return Ok(items.get(number as usize));
    }
    match part {
        "-" => match node {
            Node::Sequence(items) => Ok(items.last()),
            node if tree::is_null(node) => Ok(None),
            node => Err(tree::wrong_kind("SequenceNode", node)),
        },
        "*" => Err(Error::new("wildcard is not supported in PathGetter")),
        part if is_bracketed(part) => {
            let (key, value) = split_bracketed(part)?;
            if tree::is_null(node) {
                return Ok(None);
            }
            let Node::Sequence(items) = node else { return Err(tree::wrong_kind("SequenceNode", node)) };
            Ok(items.iter().find(|item| match item {
                item if key.is_empty() => tree::text(item) == value,
                Node::Mapping(_) => tree::field(item, key).is_some_and(|found| tree::text(found) == value),
                _ => false,
            }))
        }
        part => tree::get(node, part),
    }
}

fn lookup_mut<'n>(root: &'n mut Node, path: &[String]) -> Option<&'n mut Node> {
    let mut steps = Vec::new();
    let mut node = &*root;
    for part in path.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        let next = step(node, part).ok()??;
        steps.push(position_of(node, next)?);
        node = next;
    }
    node_at(root, &steps)
}

fn position_of(parent: &Node, child: &Node) -> Option<usize> {
    match parent {
        Node::Sequence(items) => items.iter().position(|item| std::ptr::eq(item, child)),
        Node::Mapping(entries) => entries.iter().position(|(_, value)| std::ptr::eq(value, child)),
        Node::Scalar(_) => None,
    }
}

/// The node that the indexes lead to.
pub(super) fn node_at<'n>(root: &'n mut Node, steps: &[usize]) -> Option<&'n mut Node> {
    let mut node = root;
    for step in steps {
        node = match node {
            Node::Sequence(items) => items.get_mut(*step)?,
            Node::Mapping(entries) => &mut entries.get_mut(*step)?.1,
            Node::Scalar(_) => return None,
        };
    }
    Some(node)
}

fn kind_for(next: Option<&String>, default: Kind) -> Kind {
    match next.map(String::as_str) {
        None | Some("") => default,
        Some(part) if is_bracketed(part) || list_index(part).is_some() => Kind::Sequence,
        Some(_) => Kind::Mapping,
    }
}

/// All nodes that the path matches, as indexes from the root; makes what is missing if `create` says of what kind.
pub(super) fn find(
    root: &mut Node,
    path: &[String],
    create: Option<Kind>,
    found: &mut Vec<Vec<usize>>,
) -> Result<()> {
    find_from(root, path, create, &mut Vec::new(), found)
}

fn find_from(
    node: &mut Node,
    path: &[String],
    create: Option<Kind>,
    at: &mut Vec<usize>,
    found: &mut Vec<Vec<usize>>,
) -> Result<()> {
    let Some((part, rest)) = path.split_first() else {
        if found.len() >= MAX_MATCHES {
            return Err(Error::new("the path matches too many fields"));
        }
        found.push(at.clone());
        return Ok(());
    };
    if tree::is_null(node)
        && let Some(kind) = create
        && part != "*"
    {
        // What the reference adds to a null vanishes when it is printed.
        let mut added = kind_for(Some(part), kind).empty();
        return find_lost(&mut added, path, create, found);
    }
    if let Some(index) = list_index(part) {
        return find_index(node, index, rest, create, at, found);
    }
    if is_bracketed(part) {
        return find_elements(node, part, rest, create, at, found);
    }
    if part == "*" {
        return each_element(node, at, |item, at| find_from(item, rest, create, at, found));
    }
    find_member(node, part, rest, create, at, found)
}

/// Fields that are found, but where changes get lost.
fn find_lost(
    node: &mut Node,
    path: &[String],
    create: Option<Kind>,
    found: &mut Vec<Vec<usize>>,
) -> Result<()> {
    let mut lost = Vec::new();
    find_from(node, path, create, &mut Vec::new(), &mut lost)?;
    if !lost.is_empty() {
        found.push(vec![NOWHERE]);
    }
    Ok(())
}

fn items_of(node: &mut Node) -> Result<Option<&mut Vec<Node>>> {
    if tree::is_null(node) {
        return Ok(None);
    }
    match node {
        Node::Sequence(items) => Ok(Some(items)),
        other => Err(tree::wrong_kind("SequenceNode", other)),
    }
}

fn each_element(
    node: &mut Node,
    at: &mut Vec<usize>,
    mut visit: impl FnMut(&mut Node, &mut Vec<usize>) -> Result<()>,
) -> Result<()> {
    for (index, item) in items_of(node)?.into_iter().flatten().enumerate() {
        at.push(index);
        let result = visit(item, at);
        at.pop();
        result?;
    }
    Ok(())
}

fn find_index(
    node: &mut Node,
    index: usize,
    rest: &[String],
    create: Option<Kind>,
    at: &mut Vec<usize>,
    found: &mut Vec<Vec<usize>>,
) -> Result<()> {
    let length = items_of(node)?.map_or(0, |items| items.len());
    if length == index
        && let Some(kind) = create
        && let Node::Sequence(items) = node
    {
        items.push(kind_for(rest.first(), kind).empty());
    }
    let Some(item) = items_of(node)?.and_then(|items| items.get_mut(index)) else {
        return Err(Error::new(format!("index {index} specified but only {length} elements found")));
    };
    at.push(index);
    let result = find_from(item, rest, create, at, found);
    at.pop();
    result
}

fn find_elements(
    node: &mut Node,
    part: &str,
    rest: &[String],
    create: Option<Kind>,
    at: &mut Vec<usize>,
    found: &mut Vec<Vec<usize>>,
) -> Result<()> {
    let (key, pattern) = split_bracketed(part)?;
    let before = found.len();
    let has_items = items_of(node)?.is_some_and(|items| !items.is_empty());
    if has_items {
        let regexp = crate::selector::compile(pattern)?;
        each_element(node, at, |item, at| {
            if key.is_empty() {
                if regexp.is_match(write_node(item).trim()) {
                    found.push(at.clone());
                }
                return Ok(());
            }
            let Some(member) = tree::field(item, key) else { return Ok(()) };
            if !regexp.is_match(write_node(member).trim()) {
                return Ok(());
            }
            find_from(item, rest, create, at, found)
        })?;
    }
    let (Some(_), true) = (create, found.len() == before) else { return Ok(()) };
    // Nothing matched: an element that does.
    let value = Node::Scalar(tree::untyped(pattern));
    let element = if key.is_empty() { value } else { Node::Mapping(vec![(tree::key(key), value)].into()) };
    let matched = crate::selector::compile(pattern)?.is_match(pattern);
    match node {
        Node::Sequence(items) if matched => items.push(element),
        Node::Sequence(_) => return Err(Error::new(format!("failed to create element for \"{part}\""))),
        other => return Err(tree::wrong_kind("SequenceNode", other)),
    }
    let index = node.as_sequence().map_or(0, Vec::len) - 1;
    let Some(item) = node.as_sequence_mut().and_then(|items| items.get_mut(index)) else { return Ok(()) };
    at.push(index);
    let result = if key.is_empty() {
        found.push(at.clone());
        Ok(())
    } else {
        find_from(item, rest, create, at, found)
    };
    at.pop();
    result
}

fn find_member(
    node: &mut Node,
    part: &str,
    rest: &[String],
    create: Option<Kind>,
    at: &mut Vec<usize>,
    found: &mut Vec<Vec<usize>>,
) -> Result<()> {
    if tree::is_null(node) {
        return Ok(());
    }
    let Node::Mapping(entries) = node else { return Err(tree::wrong_kind("MappingNode", node)) };
    let index = match (tree::position(entries, part), create) {
        (Some(index), _) => index,
        (None, None) => return Ok(()),
        (None, Some(kind)) => {
            entries.push((tree::key(part), kind_for(rest.first(), kind).empty()));
            entries.len() - 1
        }
    };
    let Some((_, member)) = entries.get_mut(index) else { return Ok(()) };
    if let Node::Scalar(scalar) = &*member
        && !rest.is_empty()
    {
        if scalar.is_alias() {
            return Err(tree::wrong_kind("MappingNode", member));
        }
        // Looks into a document in the text, but changes there are lost.
        return match sluice_yaml::read_verbatim(scalar.text.as_str()) {
            Ok(Some(mut document)) => find_lost(&mut document, rest, create, found),
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
    }
    at.push(index);
    let result = find_from(member, rest, create, at, found);
    at.pop();
    result
}

//! Strategic merge of a patch into a resource.
//!
//! Follows the reference's walk step by step, because what it does to the parts of a resource that a patch does
//! not mention (dropping empty nulls, joining lists with themselves) shows in the output as well.

use std::collections::HashSet;

use sluice_yaml::node::ScalarNode;
use sluice_yaml::{Node, Style};
use smol_str::SmolStr;

use crate::error::{Error, Result};
use crate::schema::{Field, Schema, Shape};
use crate::tree::{self, Kind, Writes};

/// What the patch has at a place.
enum Source {
    Missing,
    Node(Node),
    /// The very node of the destination: parts of the patch that are new join with themselves.
    Same,
}

/// What a walk leaves at a place.
enum Outcome {
    /// Nothing; the destination is handed back for those who still look at it.
    Gone { dest: Option<Node> },
    /// The destination, changed in place.
    Dest(Node),
    /// The patch's node; the destination as it was.
    Origin { node: Node, dest: Option<Node> },
    /// A null that stays a null.
    KeptNull(Node),
}

/// What `$patch` says.
#[derive(PartialEq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

const DIRECTIVE: &str = "$patch";

impl Directive {
    fn parse(text: &str) -> Result<Self> {
        match text {
            "merge" => Ok(Self::Merge),
            "replace" => Ok(Self::Replace),
            "delete" => Ok(Self::Delete),
            other => Err(Error::new(format!("unknown patch strategy '{other}'"))),
        }
    }

    /// Takes the directive out of a map of the patch.
    fn take_from_map(node: &mut Node) -> Result<Self> {
        let Some(value) = tree::field(node, DIRECTIVE) else { return Ok(Self::Merge) };
        let directive = Self::parse(tree::text(value))?;
        tree::clear(node, DIRECTIVE);
        Ok(directive)
    }

    /// Takes the directive out of a list of the patch: an element with nothing else in it.
    fn take_from_list(items: &mut Vec<Node>) -> Result<Self> {
        let Some(element) = items.iter().find(|item| tree::field(item, DIRECTIVE).is_some()) else {
            return Ok(Self::Merge);
        };
        if element.as_mapping().is_none_or(|entries| entries.len() > 1) {
            return Ok(Self::Merge);
        }
        let value = tree::field(element, DIRECTIVE).map(tree::owned_text).unwrap_or_default();
        let directive = Self::parse(&value)?;
        items.retain(|item| {
            let empty = tree::is_null(item) || item.as_mapping().is_some_and(Vec::is_empty);
            let spent = tree::field(item, DIRECTIVE).is_some_and(|found| tree::text(found) == value);
            !empty && !spent
        });
        Ok(directive)
    }
}

/// Merges `patch` into `dest`. Afterwards `dest` is null if the patch deletes it.
///
/// An element that lacks the key of its list makes the reference lose others; `refuse_keyless` makes it an error.
pub(crate) fn strategic_merge(
    dest: &mut Node,
    patch: Node,
    schema: &Schema,
    refuse_keyless: bool,
) -> Result<()> {
    let mut merger = Merger { schema, writes: Writes::default(), refuse_keyless };
    let root = std::mem::take(dest);
    match merger.walk(Some(root), Source::Node(patch), None)? {
        Outcome::Gone { .. } => *dest = Node::null(),
        Outcome::Dest(node) | Outcome::KeptNull(node) => *dest = node,
        // `$patch: replace` of a whole resource has no effect.
        Outcome::Origin { dest: old, node } => *dest = old.unwrap_or(node),
    }
    merger.writes.apply(dest);
    Ok(())
}

struct Merger<'s> {
    schema: &'s Schema,
    writes: Writes,
    refuse_keyless: bool,
}

fn require(kind: Kind, name: &str, node: Option<&Node>) -> Result<()> {
    match node {
        Some(node) if !tree::is_null(node) && Kind::of(node) != kind => Err(tree::wrong_kind(name, node)),
        _ => Ok(()),
    }
}

impl Merger<'_> {
    fn walk(&mut self, dest: Option<Node>, source: Source, field: Option<Field>) -> Result<Outcome> {
        let field = field.or_else(|| self.own_schema(dest.as_ref(), &source));
        let origin = match &source {
            Source::Node(node) => Some(node),
            Source::Missing | Source::Same => None,
        };
        let decisive = [dest.as_ref(), origin].into_iter().flatten().find(|node| !tree::is_null(node));
        match decisive.map(Kind::of) {
            Some(Kind::Mapping) => {
                require(Kind::Mapping, "MappingNode", dest.as_ref())?;
                require(Kind::Mapping, "MappingNode", origin)?;
                self.walk_map(dest, source, field)
            }
            Some(Kind::Sequence) => {
                require(Kind::Sequence, "SequenceNode", dest.as_ref())?;
                require(Kind::Sequence, "SequenceNode", origin)?;
                match field {
                    Some(Field { shape: Shape::MergeList(ref keys), .. }) => {
                        let keys = keys.clone();
                        self.walk_list(dest, source, field.as_ref(), &keys)
                    }
                    _ => Ok(last_wins(dest, source)),
                }
            }
            Some(Kind::Scalar) => {
                require(Kind::Scalar, "ScalarNode", dest.as_ref())?;
                require(Kind::Scalar, "ScalarNode", origin)?;
                Ok(last_wins(dest, source))
            }
            None => self.walk_map(dest, source, field),
        }
    }

    /// The schema of an object that says itself what it is.
    fn own_schema(&self, dest: Option<&Node>, source: &Source) -> Option<Field> {
        let origin = match source {
            Source::Node(node) => Some(node),
            Source::Missing | Source::Same => None,
        };
        for node in [dest, origin].into_iter().flatten() {
            let member = |name: &str| {
                tree::field(node, name)
                    .filter(|node| !tree::is_nil_or_empty(node))
                    .map(tree::text)
                    .unwrap_or("")
            };
            let (api_version, kind) = (member("apiVersion"), member("kind"));
            if api_version.is_empty() || kind.is_empty() {
                continue;
            }
            if let Some(field) = self.schema.resource(api_version, kind) {
                return Some(field);
            }
        }
        None
    }

    fn walk_map(&mut self, dest: Option<Node>, source: Source, field: Option<Field>) -> Result<Outcome> {
        let Some(dest_node) = dest else {
            return match source {
                Source::Node(mut node) => {
                    // An unknown directive is no error here, nor is it taken out.
                    if Directive::take_from_map(&mut node)
                        .is_ok_and(|directive| directive == Directive::Delete)
                    {
                        return Ok(Outcome::Gone { dest: None });
                    }
                    self.join_with_itself(node, None, field)
                }
                Source::Missing | Source::Same => Ok(Outcome::Gone { dest: None }),
            };
        };
        if tree::is_null(&dest_node) {
            return match source {
                Source::Missing if tree::text(&dest_node).is_empty() => {
                    Ok(Outcome::Gone { dest: Some(dest_node) })
                }
                Source::Missing => Ok(Outcome::KeptNull(dest_node)),
                Source::Same => Ok(Outcome::Dest(dest_node)),
                Source::Node(mut node) => {
                    if Directive::take_from_map(&mut node)
                        .is_ok_and(|directive| directive == Directive::Delete)
                    {
                        return Ok(Outcome::Gone { dest: Some(dest_node) });
                    }
                    self.join_with_itself(node, Some(dest_node), field)
                }
            };
        }
        match source {
            Source::Missing => Ok(Outcome::Dest(self.members(dest_node, Some(Vec::new()), field)?)),
            Source::Same => {
                let mut node = dest_node;
                match Directive::take_from_map(&mut node)? {
                    Directive::Delete => Ok(Outcome::Gone { dest: Some(node) }),
                    Directive::Merge | Directive::Replace => {
                        Ok(Outcome::Dest(self.members(node, None, field)?))
                    }
                }
            }
            Source::Node(mut node) => {
                if tree::is_null(&node) {
                    return Ok(Outcome::Gone { dest: Some(dest_node) });
                }
                match Directive::take_from_map(&mut node)? {
                    Directive::Delete => Ok(Outcome::Gone { dest: Some(dest_node) }),
                    Directive::Replace => {
                        let node = self.members(node, None, field)?;
                        Ok(Outcome::Origin { node, dest: Some(dest_node) })
                    }
                    Directive::Merge => {
                        let patch = match node {
                            Node::Mapping(entries) => entries.items,
                            _ => Vec::new(),
                        };
                        Ok(Outcome::Dest(self.members(dest_node, Some(patch), field)?))
                    }
                }
            }
        }
    }

    /// A part of the patch that is new in the destination: cleaned of nulls and directives.
    fn join_with_itself(&mut self, node: Node, dest: Option<Node>, field: Option<Field>) -> Result<Outcome> {
        let node = self.members(node, None, field)?;
        Ok(Outcome::Origin { node, dest })
    }

    /// Walks the members of a map; without a patch the map joins with itself.
    fn members(
        &mut self,
        node: Node,
        patch: Option<Vec<(Node, Node)>>,
        field: Option<Field>,
    ) -> Result<Node> {
        let Node::Mapping(mut entries) = node else { return Ok(node) };
        let old = std::mem::take(&mut entries.items);
        let same = patch.is_none();
        let mut patch = patch.unwrap_or_default();
        // The reference visits keys sorted; only errors can tell.
        let mut result: Vec<(Node, Node)> = Vec::with_capacity(old.len() + patch.len());
        for (key, value) in old {
            let name = tree::owned_text(&key);
            if tree::position(&result, &name).is_some() {
                result.push((key, value));
                continue;
            }
            let source = if same {
                Source::Same
            } else {
                match tree::position(&patch, &name) {
                    Some(at) => {
                        let (_, value) = patch.remove(at);
                        // Only the first of equal keys counts.
                        patch.retain(|(other, _)| tree::text(other) != name);
                        Source::Node(value)
                    }
                    None => Source::Missing,
                }
            };
            let member = field.as_ref().and_then(|field| self.schema.member(field, &name));
            match self.walk(Some(value), source, member)? {
                Outcome::Gone { .. } => {}
                Outcome::KeptNull(node) => result.push((key, node)),
                Outcome::Dest(node) => {
                    if !tree::is_null(&node) {
                        result.push((key, node));
                    }
                }
                Outcome::Origin { node, dest } => {
                    if !tree::is_null(&node) {
                        result.push((key, self.replaced(dest, node)));
                    }
                }
            }
        }
        while !patch.is_empty() {
            let (key, value) = patch.remove(0);
            let name = tree::owned_text(&key);
            patch.retain(|(other, _)| tree::text(other) != name);
            let member = field.as_ref().and_then(|field| self.schema.member(field, &name));
            match self.walk(None, Source::Node(value), member)? {
                Outcome::Gone { .. } => {}
                Outcome::KeptNull(node) | Outcome::Dest(node) | Outcome::Origin { node, .. } => {
                    if tree::is_null(&node) {
                        continue;
                    }
                    let style = match &key {
                        Node::Scalar(key) => key.style,
                        _ => Style::Plain,
                    };
                    let key = Node::Scalar(ScalarNode { style, ..tree::untyped(name) });
                    let mut node = node;
                    if let Node::Scalar(scalar) = &mut node {
                        tree::quote_if_needed(scalar);
                    }
                    result.push((key, node));
                }
            }
        }
        // Its style and its comments stay.
        entries.items = result;
        Ok(Node::Mapping(entries))
    }

    /// The patch's node in the place of the old one, whose style it takes.
    fn replaced(&mut self, old: Option<Node>, new: Node) -> Node {
        match (old, new) {
            (Some(Node::Scalar(mut old)), Node::Scalar(mut new)) => {
                new.style = old.style;
                new.tagged = old.tagged;
                self.writes.assign(&mut old, new);
                Node::Scalar(old)
            }
            (_, new) => new,
        }
    }

    fn walk_list(
        &mut self,
        dest: Option<Node>,
        source: Source,
        field: Option<&Field>,
        keys: &[String],
    ) -> Result<Outcome> {
        let present = dest.filter(|node| !tree::is_null(node));
        let (dest_items, source_items) = match (present, source) {
            (None, Source::Node(Node::Sequence(items))) => (items.items, None),
            (Some(Node::Sequence(items)), Source::Missing) => (items.items, Some(Vec::new())),
            (Some(dest), Source::Node(node)) if tree::is_null(&node) => {
                return Ok(Outcome::Gone { dest: Some(dest) });
            }
            (Some(Node::Sequence(mut items)), Source::Same) => match Directive::take_from_list(&mut items)? {
                Directive::Delete => return Ok(Outcome::Gone { dest: None }),
                Directive::Merge | Directive::Replace => (items.items, None),
            },
            (Some(Node::Sequence(items)), Source::Node(Node::Sequence(mut patch))) => {
                match Directive::take_from_list(&mut patch)? {
                    Directive::Delete => return Ok(Outcome::Gone { dest: None }),
                    Directive::Replace => (patch.items, None),
                    Directive::Merge => (items.items, Some(patch.items)),
                }
            }
            (dest, _) => return Ok(Outcome::Gone { dest }),
        };
        let element = field.and_then(Schema::element);
        let mut lists = Lists::new(dest_items, source_items);
        lists.merge(self, keys, element.as_ref())?;
        Ok(Outcome::Dest(Node::Sequence(lists.finish().into())))
    }
}

fn last_wins(dest: Option<Node>, source: Source) -> Outcome {
    match source {
        Source::Node(node) => Outcome::Origin { node, dest },
        Source::Missing | Source::Same => match dest {
            Some(dest) => Outcome::Dest(dest),
            None => Outcome::Gone { dest: None },
        },
    }
}

/// Two lists being joined. Elements are known by their place in `arena`, as the reference knows them by address.
struct Lists {
    arena: Vec<Option<Node>>,
    dest: Vec<usize>,
    source: Vec<usize>,
    /// Whether both are one and the same.
    same: bool,
}

type Values = Vec<SmolStr>;

impl Lists {
    fn new(dest: Vec<Node>, source: Option<Vec<Node>>) -> Self {
        let mut arena: Vec<Option<Node>> = dest.into_iter().map(Some).collect();
        let dest: Vec<usize> = (0..arena.len()).collect();
        let same = source.is_none();
        let source = match source {
            None => dest.clone(),
            Some(items) => {
                let start = arena.len();
                arena.extend(items.into_iter().map(Some));
                (start..arena.len()).collect()
            }
        };
        Self { arena, dest, source, same }
    }

    fn finish(mut self) -> Vec<Node> {
        let dest = std::mem::take(&mut self.dest);
        dest.into_iter().filter_map(|at| self.arena.get(at).cloned().flatten()).collect()
    }

    fn node(&self, at: usize) -> Option<&Node> {
        self.arena.get(at).and_then(Option::as_ref)
    }

    /// The key values of all elements, the patch's first, each tuple once.
    fn key_values(&self, keys: &[String], refuse_keyless: bool) -> Result<Vec<Values>> {
        let mut seen: HashSet<Values> = HashSet::new();
        let mut result = Vec::new();
        for at in self.source.iter().chain(if self.same { [].iter() } else { self.dest.iter() }) {
            let Some(node) = self.node(*at) else { continue };
            let values: Values = if keys.is_empty() {
                vec![tree::owned_text(node)]
            } else {
                keys.iter()
                    .map(|key| {
                        tree::field(node, key)
                            .filter(|node| !tree::is_nil_or_empty(node))
                            .map(tree::owned_text)
                            .unwrap_or_default()
                    })
                    .collect()
            };
            if refuse_keyless && !keys.is_empty() && values.iter().all(|value| value.is_empty()) {
                return Err(Error::new(format!(
                    "an element of a list that merges by '{}' has no such field:\n{}",
                    keys.join("', '"),
                    sluice_yaml::write::write_node(node)
                )));
            }
            if seen.insert(values.clone()) {
                result.push(values);
            }
        }
        Ok(result)
    }

    fn merge(&mut self, merger: &mut Merger<'_>, keys: &[String], element: Option<&Field>) -> Result<()> {
        let mut tuples = self.key_values(keys, merger.refuse_keyless)?;
        let primitive = [String::new()];
        let keys = if keys.is_empty() { &primitive[..] } else { keys };
        if keys.len() > 1 {
            unify(&mut tuples);
        }
        let mut items: Vec<usize> = Vec::new();
        let mut valid_keys: Vec<&str> = Vec::new();
        for at in 0..tuples.len() {
            let values;
            (valid_keys, values) = valid(&tuples, &tuples[at], keys);
            let found = self.walk_element(merger, &valid_keys, &values, element)?;
            let vanished = found.is_none_or(|at| {
                self.node(at)
                    .is_none_or(|node| tree::is_null(node) || node.as_mapping().is_some_and(Vec::is_empty))
            });
            if vanished {
                let mut dest = std::mem::take(&mut self.dest);
                self.set_element(&mut dest, None, &valid_keys, &values)?;
                self.dest = dest;
                continue;
            }
            let Some(found) = found else { continue };
            self.complete(found, &valid_keys, &values);
            self.set_element(&mut items, Some(found), &valid_keys, &values)?;
        }
        if !tuples.is_empty() {
            self.append_rest(&mut items, &valid_keys)?;
            self.dest = items;
        }
        Ok(())
    }

    /// Adds key members that only the other list has.
    fn complete(&mut self, at: usize, keys: &[&str], values: &Values) {
        let Some(Some(Node::Mapping(entries))) = self.arena.get_mut(at) else { return };
        for (key, value) in keys.iter().zip(values) {
            if !value.is_empty() && tree::position(entries, key).is_none() {
                let mut scalar = tree::untyped(value.clone());
                tree::quote_if_needed(&mut scalar);
                entries.push((tree::key(key), Node::Scalar(scalar)));
            }
        }
    }

    fn walk_element(
        &mut self,
        merger: &mut Merger<'_>,
        keys: &[&str],
        values: &Values,
        element: Option<&Field>,
    ) -> Result<Option<usize>> {
        // Only the members that say something are compared.
        let (keys, values): (Vec<&str>, Values) = {
            let own: Vec<String> = keys.iter().map(ToString::to_string).collect();
            let (kept, kept_values) = valid(std::slice::from_ref(values), values, &own);
            let kept: Vec<&str> = keys.iter().copied().filter(|key| kept.contains(key)).collect();
            (kept, kept_values)
        };
        let dest = self.find(&self.dest, &keys, &values);
        let source = self.find(&self.source, &keys, &values);
        let element = element.cloned();
        let take = |arena: &mut Vec<Option<Node>>, at: usize| arena.get_mut(at).and_then(Option::take);
        match (dest, source) {
            (None, None) => Ok(None),
            (Some(dest), None) => self.walk_known(merger, dest, element),
            (Some(dest), Some(_)) if self.same => self.walk_known(merger, dest, element),
            (None, Some(source)) => {
                let Some(node) = take(&mut self.arena, source) else { return Ok(None) };
                match merger.walk(None, Source::Node(node), element)? {
                    Outcome::Gone { .. } => {
                        self.arena[source] = None;
                        Ok(None)
                    }
                    Outcome::Dest(node) | Outcome::KeptNull(node) | Outcome::Origin { node, .. } => {
                        self.arena[source] = Some(node);
                        Ok(Some(source))
                    }
                }
            }
            (Some(dest), Some(source)) => {
                let node = take(&mut self.arena, dest);
                let Some(patch) = self.node(source).cloned() else { return Ok(None) };
                let outcome = merger.walk(node, Source::Node(patch), element)?;
                if let Some(Some(spent)) = self.arena.get_mut(source) {
                    tree::clear(spent, DIRECTIVE);
                }
                match outcome {
                    Outcome::Gone { dest: node } => {
                        self.arena[dest] = node;
                        Ok(None)
                    }
                    Outcome::Dest(node) | Outcome::KeptNull(node) => {
                        self.arena[dest] = Some(node);
                        Ok(Some(dest))
                    }
                    Outcome::Origin { node, dest: old } => {
                        self.arena[dest] = old;
                        self.arena[source] = Some(node);
                        Ok(Some(source))
                    }
                }
            }
        }
    }

    /// An element that the patch does not mention, or that joins with itself.
    fn walk_known(
        &mut self,
        merger: &mut Merger<'_>,
        dest: usize,
        element: Option<Field>,
    ) -> Result<Option<usize>> {
        let node = self.arena.get_mut(dest).and_then(Option::take);
        let source = if self.same { Source::Same } else { Source::Missing };
        match merger.walk(node, source, element)? {
            Outcome::Gone { dest: node } => {
                self.arena[dest] = node;
                Ok(None)
            }
            Outcome::Dest(node) | Outcome::KeptNull(node) | Outcome::Origin { node, .. } => {
                self.arena[dest] = Some(node);
                Ok(Some(dest))
            }
        }
    }

    /// The first element whose members have exactly these values.
    fn find(&self, list: &[usize], keys: &[&str], values: &Values) -> Option<usize> {
        let first = keys.first().copied().unwrap_or("");
        list.iter().copied().find(|at| {
            let Some(node) = self.node(*at) else { return false };
            if first.is_empty() {
                return values.first().is_some_and(|value| tree::text(node) == value.as_str());
            }
            node.as_mapping().is_some()
                && keys.iter().zip(values).all(|(key, value)| {
                    tree::field(node, key).is_some_and(|found| tree::text(found) == value.as_str())
                })
        })
    }

    /// Whether the element has the member with the value; an empty value asks only for the member.
    fn matches(node: &Node, key: &str, value: &str) -> Result<bool> {
        if tree::is_null(node) {
            return Ok(false);
        }
        if key.is_empty() {
            return match node {
                Node::Scalar(scalar) => Ok(scalar.text == value),
                other => Err(tree::wrong_kind("ScalarNode", other)),
            };
        }
        match node {
            Node::Mapping(_) => {
                Ok(tree::field(node, key).is_some_and(|found| value.is_empty() || tree::text(found) == value))
            }
            other => Err(tree::wrong_kind("MappingNode", other)),
        }
    }

    /// Puts an element in the place of those that match, or behind all; without an element they are removed.
    fn set_element(
        &self,
        list: &mut Vec<usize>,
        element: Option<usize>,
        keys: &[&str],
        values: &[SmolStr],
    ) -> Result<()> {
        let by_member = keys.first().is_some_and(|key| !key.is_empty())
            && values.first().is_some_and(|value| !value.is_empty());
        let mut result = Vec::with_capacity(list.len() + 1);
        let mut replaced = false;
        for at in list.drain(..) {
            let Some(node) = self.node(at) else { continue };
            if tree::is_null(node) || node.as_mapping().is_some_and(Vec::is_empty) {
                continue;
            }
            if node.as_mapping().is_none() && by_member {
                result.push(at);
                continue;
            }
            let mut matched = !keys.is_empty();
            let mut last = false;
            for (index, key) in keys.iter().enumerate() {
                if let Some(value) = values.get(index) {
                    last = Self::matches(node, key, value)?;
                }
                if !last {
                    matched = false;
                    break;
                }
            }
            if !matched {
                if !values.is_empty() {
                    result.push(at);
                }
                continue;
            }
            replaced = true;
            result.extend(element);
        }
        if let Some(element) = element
            && !replaced
            && self.node(element).is_some_and(|node| !tree::is_null(node))
        {
            result.push(element);
        }
        *list = result;
        Ok(())
    }

    /// Adds what is left of the destination behind the merged elements.
    fn append_rest(&self, items: &mut Vec<usize>, keys: &[&str]) -> Result<()> {
        for at in self.dest.iter().copied() {
            let Some(node) = self.node(at) else { continue };
            if keys.first().is_none_or(|key| key.is_empty()) {
                let value = tree::owned_text(node);
                self.set_element(items, Some(at), &[""], &[value])?;
                continue;
            }
            let mut values: Values = Vec::new();
            for key in keys {
                match tree::get(node, key)? {
                    Some(found) => values.push(tree::owned_text(found)),
                    None => items.push(at),
                }
            }
            if keys.len() > 1 {
                self.set_element(items, None, keys, &values)?;
            }
            self.set_element(items, Some(at), keys, &values)?;
        }
        Ok(())
    }
}

/// The keys that any tuple has a value for, and this tuple's values for them.
fn valid<'k>(tuples: &[Values], values: &Values, keys: &'k [String]) -> (Vec<&'k str>, Values) {
    let used: Vec<bool> = (0..keys.len())
        .map(|at| tuples.iter().any(|tuple| tuple.get(at).is_some_and(|value| !value.is_empty())))
        .collect();
    if !used.contains(&true) {
        return (keys.iter().map(String::as_str).collect(), values.clone());
    }
    let chosen = keys.iter().zip(values).zip(&used).filter(|(_, used)| **used);
    chosen.map(|((key, value), _)| (key.as_str(), value.clone())).unzip()
}

/// Tuples that agree where both are set become one.
fn unify(tuples: &mut [Values]) {
    for i in 0..tuples.len() {
        let first = tuples[i].clone();
        for j in 0..tuples.len() {
            if let Some(joined) = join(&first, &tuples[j]) {
                tuples[i].clone_from(&joined);
                tuples[j] = joined;
            }
        }
    }
}

fn join(first: &Values, second: &Values) -> Option<Values> {
    let mut common = false;
    let mut result = Vec::with_capacity(first.len());
    for (a, b) in first.iter().zip(second) {
        if a == b {
            common = true;
            result.push(a.clone());
        } else if !a.is_empty() && !b.is_empty() {
            return None;
        } else {
            result.push(if a.is_empty() { b.clone() } else { a.clone() });
        }
    }
    common.then_some(result)
}

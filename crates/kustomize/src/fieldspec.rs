//! Fields by path, for objects of certain kinds.

use std::collections::HashMap;

use sluice_yaml::Node;
use sluice_yaml::resolve::Tag;

use crate::error::{Error, Result};
use crate::id::{Gvk, ResId, parse_api_version};
use crate::resource::Resource;
use crate::tree::{self, Kind};

/// A field that a transformer looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    pub(crate) gvk: Gvk,
    pub(crate) path: String,
    pub(crate) create: bool,
}

/// A field with its path taken apart.
#[derive(Clone, Debug)]
pub(crate) struct CompiledSpec {
    pub(crate) spec: FieldSpec,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    name: String,
    is_sequence: bool,
}

impl CompiledSpec {
    pub(crate) fn new(spec: &FieldSpec) -> Self {
        let steps = tree::split_path(&spec.path, '/')
            .into_iter()
            .map(|part| match part.strip_suffix("[]") {
                Some(name) => Step { name: name.to_owned(), is_sequence: true },
                None => Step { name: part, is_sequence: false },
            })
            .collect();
        Self { spec: spec.clone(), steps }
    }

    pub(crate) fn applies_to(&self, gvk: &Gvk) -> bool {
        gvk.is_selected(&self.spec.gvk)
    }

    /// Calls `set` on each node that the path leads to. `create` is the kind of node to make at the end of a path
    /// that the specification lets be made; what a null turns into carries `create_tag`.
    pub(crate) fn visit(
        &self,
        root: &mut Node,
        create: Option<Kind>,
        set: &mut dyn FnMut(&mut Node) -> Result<()>,
    ) -> Result<()> {
        tree::check_depth(self.steps.len(), 0)?;
        walk(root, &self.steps, create.filter(|_| self.spec.create), set)
    }

    /// The error of a field, with the object it is in.
    pub(crate) fn blame(&self, error: Error, resource: &Resource) -> Error {
        let (group, version) = parse_api_version(&resource.api_version());
        let id = ResId {
            gvk: Gvk { group, version, kind: resource.kind() },
            name: resource.name(),
            namespace: resource.namespace(),
            cluster_scoped: false,
        };
        error.prefixed(format!("considering field '{}' of object {id}", self.spec.path))
    }
}

fn walk(
    node: &mut Node,
    steps: &[Step],
    create: Option<Kind>,
    set: &mut dyn FnMut(&mut Node) -> Result<()>,
) -> Result<()> {
    let Some((step, rest)) = steps.split_first() else { return set(node) };
    if tree::is_null(node) {
        return Ok(());
    }
    match node {
        Node::Sequence(items) => items.iter_mut().try_for_each(|item| {
            let path: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
            walk(item, steps, create, set)
                .map_err(|error| error.prefixed(format!("visit traversal on path: [{}]", path.join(" "))))
        }),
        Node::Mapping(_) => {
            if step.name.is_empty() {
                return Err(Error::new("cannot set or create an empty field name"));
            }
            // What a lookup cannot find is made only where the specification allows, never for a list.
            let made = match create {
                Some(_) if step.is_sequence => None,
                Some(kind) if rest.is_empty() => Some(kind),
                Some(_) => Some(Kind::Mapping),
                None => None,
            };
            let turned = if step.is_sequence { Some(Kind::Sequence) } else { made };
            // Steps that read as a number, a dash or brackets are list steps in the reference: they fail on maps.
            let field = match made {
                Some(kind) => tree::get_or_create(node, step.name.trim(), kind)?,
                None => lookup(node, &step.name)?,
            };
            let Some(field) = field else { return Ok(()) };
            if tree::is_null(field)
                && let Some(kind) = turned
            {
                match (kind, &mut *field) {
                    (Kind::Scalar, Node::Scalar(scalar)) => scalar.tag = Tag::None,
                    _ => *field = kind.empty(),
                }
            }
            walk(field, rest, create, set)
        }
        Node::Scalar(_) => Err(Error::new("expected sequence or mapping node")),
    }
}

/// One step of the reference's path lookup from a mapping.
fn lookup<'a>(node: &'a mut Node, part: &str) -> Result<Option<&'a mut Node>> {
    let part = part.trim();
    if part.is_empty() {
        return Ok(Some(node));
    }
    if let Ok(index) = part.parse::<i64>() {
        if index < 0 {
            return Err(Error::new(format!("array index {index} cannot be negative")));
        }
        return Err(tree::wrong_kind("SequenceNode", node));
    }
    if part == "*" {
        return Err(Error::new("wildcard is not supported in PathGetter"));
    }
    tree::get_mut(node, part)
}

/// Adds a field unless it is there; the same field with another `create` is a conflict.
pub(crate) fn merge_one(list: &mut Vec<FieldSpec>, incoming: &FieldSpec) -> Result<()> {
    let known = list.iter().find(|known| known.gvk.is_selected(&incoming.gvk) && known.path == incoming.path);
    match known {
        Some(known) if known.create != incoming.create => Err(Error::new("conflicting fieldspecs")),
        Some(_) => Ok(()),
        None => {
            list.push(incoming.clone());
            Ok(())
        }
    }
}

pub(crate) fn merge_all(list: &mut Vec<FieldSpec>, incoming: &[FieldSpec]) -> Result<()> {
    incoming.iter().try_for_each(|spec| merge_one(list, spec))
}

/// Which of many fields matter for a kind, found once per kind.
pub(crate) struct SpecIndex {
    pub(crate) specs: Vec<CompiledSpec>,
    by_gvk: HashMap<Gvk, std::rc::Rc<[usize]>>,
}

impl SpecIndex {
    pub(crate) fn new(specs: &[FieldSpec]) -> Self {
        Self { specs: specs.iter().map(CompiledSpec::new).collect(), by_gvk: HashMap::new() }
    }

    /// Indexes of the fields for a kind, in order.
    pub(crate) fn for_gvk(&mut self, gvk: &Gvk) -> std::rc::Rc<[usize]> {
        if let Some(found) = self.by_gvk.get(gvk) {
            return found.clone();
        }
        let found: std::rc::Rc<[usize]> = self
            .specs
            .iter()
            .enumerate()
            .filter(|(_, spec)| spec.applies_to(gvk))
            .map(|(at, _)| at)
            .collect();
        self.by_gvk.insert(gvk.clone(), found.clone());
        found
    }
}

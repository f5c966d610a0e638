//! References to resources whose names changed.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use sluice_yaml::{Node, Value};
use smol_str::SmolStr;

use crate::config::NameReference;
use crate::error::{Error, Result};
use crate::fieldspec::{CompiledSpec, FieldSpec};
use crate::id::{Gvk, ResId};
use crate::resource::{Resource, ResourceMap};
use crate::tree::{self, Writes};

/// What the search for a referred resource needs to know of each.
struct Candidate {
    id: ResId,
    effective_namespace: SmolStr,
    original_namespace: SmolStr,
    previous: Vec<ResId>,
    prefixes: Vec<SmolStr>,
    suffixes: Vec<SmolStr>,
}

struct Candidates {
    all: Vec<Candidate>,
    by_previous_name: HashMap<SmolStr, Vec<usize>>,
    /// Those that had no name at some time.
    nameless: Vec<usize>,
    by_original_namespace: HashMap<SmolStr, Vec<usize>>,
}

/// A field that may hold the name of a kind of resource.
struct Reference<'c> {
    target: &'c Gvk,
    spec: CompiledSpec,
    referrer: Gvk,
}

/// Updates all references.
pub(crate) fn update_references(map: &mut ResourceMap, config: &[NameReference]) -> Result<()> {
    let candidates = Candidates::new(map);
    let references: Vec<Reference<'_>> = config
        .iter()
        .flat_map(|reference| {
            reference.referrers.iter().map(|spec| Reference {
                target: &reference.gvk,
                spec: CompiledSpec::new(&FieldSpec {
                    create: spec.create,
                    path: spec.path.clone(),
                    gvk: Gvk::default(),
                }),
                referrer: spec.gvk.clone(),
            })
        })
        .collect();
    let mut by_gvk: HashMap<Gvk, Rc<[usize]>> = HashMap::new();
    for at in 0..map.resources.len() {
        let resource = &mut map.resources[at];
        let original = resource.original_id().gvk;
        let applicable = by_gvk
            .entry(original.clone())
            .or_insert_with(|| {
                references
                    .iter()
                    .enumerate()
                    .filter(|(_, reference)| original.is_selected(&reference.referrer))
                    .map(|(index, _)| index)
                    .collect()
            })
            .clone();
        let referrer = Referrer::new(resource, &candidates, at)?;
        for index in applicable.iter() {
            referrer.update(resource, &references[*index])?;
        }
    }
    Ok(())
}

impl Candidates {
    fn new(map: &ResourceMap) -> Self {
        let mut result = Self {
            all: Vec::with_capacity(map.resources.len()),
            by_previous_name: HashMap::new(),
            nameless: Vec::new(),
            by_original_namespace: HashMap::new(),
        };
        for (at, resource) in map.resources.iter().enumerate() {
            let id = resource.id();
            let previous: Vec<ResId> = resource.previous_ids().collect();
            if resource.meta.nameless {
                result.nameless.push(at);
            }
            for old in &previous {
                let known = result.by_previous_name.entry(old.name.clone()).or_default();
                if known.last() != Some(&at) {
                    known.push(at);
                }
            }
            let original_namespace = resource.original_id().effective_namespace();
            result.by_original_namespace.entry(original_namespace.clone()).or_default().push(at);
            result.all.push(Candidate {
                effective_namespace: id.effective_namespace(),
                original_namespace,
                id,
                previous,
                prefixes: resource.meta.prefixes.clone(),
                suffixes: resource.meta.suffixes.clone(),
            });
        }
        result
    }
}

/// The resource whose fields are being updated.
struct Referrer<'c> {
    candidates: &'c Candidates,
    own: &'c Candidate,
    /// Namespaces of the service accounts that a role binding names.
    subject_namespaces: HashSet<SmolStr>,
    role_ref: Option<Gvk>,
}

impl<'c> Referrer<'c> {
    fn new(resource: &Resource, candidates: &'c Candidates, at: usize) -> Result<Self> {
        let own = &candidates.all[at];
        let subject_namespaces =
            if own.id.cluster_scoped { HashSet::new() } else { subject_namespaces(resource, &own.id)? };
        Ok(Self { candidates, own, subject_namespaces, role_ref: role_ref(resource) })
    }

    fn update(&self, resource: &mut Resource, reference: &Reference<'_>) -> Result<()> {
        let mut writes = Writes::default();
        let result = reference.spec.visit(&mut resource.node, None, &mut |node| {
            if tree::is_null(node) {
                return Ok(());
            }
            match node {
                Node::Scalar(_) => self.set_scalar(node, reference, &mut writes),
                Node::Mapping(_) => self.set_map(node, reference, &mut writes),
                Node::Sequence(items) => items.iter_mut().try_for_each(|item| match item {
                    item if tree::is_null(item) => Ok(()),
                    Node::Scalar(_) => self.set_scalar(item, reference, &mut writes),
                    Node::Mapping(_) => self.set_map(item, reference, &mut writes),
                    Node::Sequence(_) => {
                        Err(Error::new("unsupported kind of element in a list of references"))
                    }
                }),
            }
        });
        result.map_err(|error| {
            reference.spec.blame(error, resource).prefixed(format!(
                "updating name reference in '{}' field of '{}'",
                reference.spec.spec.path, self.own.id
            ))
        })?;
        writes.apply(&mut resource.node);
        Ok(())
    }

    /// Whether the resource may refer to the other one at all.
    fn may_refer_to(&self, other: &Candidate) -> bool {
        self.own.id.cluster_scoped
            || other.id.cluster_scoped
            || other.effective_namespace == self.own.effective_namespace
            || self.subject_namespaces.contains(&other.id.namespace)
    }

    fn set_scalar(&self, node: &mut Node, reference: &Reference<'_>, writes: &mut Writes) -> Result<()> {
        let old = tree::owned_text(node);
        let Some(found) = self.select(&old, reference, None, false)? else { return Ok(()) };
        if found.id.name == old {
            return Ok(());
        }
        tree::set_scalar(node, tree::untyped(found.id.name.clone()), writes)
    }

    fn set_map(&self, node: &mut Node, reference: &Reference<'_>, writes: &mut Writes) -> Result<()> {
        let Some(name) = tree::field(node, "name") else {
            return Err(Error::new("path config error; no 'name' field in node"));
        };
        let old = tree::owned_text(name);
        let namespace = tree::field(node, "namespace").map(tree::owned_text);
        let Some(found) = self.select(&old, reference, namespace.as_ref(), true)? else { return Ok(()) };
        let (name, namespace) = (found.id.name.clone(), found.id.namespace.clone());
        if name == old && namespace.is_empty() {
            return Ok(());
        }
        tree::set_field(node, "name", tree::untyped(name), writes)?;
        if namespace.is_empty() {
            return Ok(());
        }
        tree::set_field(node, "namespace", tree::untyped(namespace), writes)
    }

    /// Finds the resource that a name means. `in_map`: the name stands in a map, which may have a `namespace`.
    fn select(
        &self,
        old: &SmolStr,
        reference: &Reference<'_>,
        namespace: Option<&SmolStr>,
        in_map: bool,
    ) -> Result<Option<&'c Candidate>> {
        let all = &self.candidates.all;
        let mut nameless = self.candidates.nameless.iter().map(|at| &all[*at]);
        if let Some(other) = nameless.find(|other| self.may_refer_to(other)) {
            return Err(Error::new(format!("the name of resource \"{}\" was no text", other.id)));
        }
        let Some(named) = self.candidates.by_previous_name.get(old) else { return Ok(None) };
        let mut found: Vec<&'c Candidate> =
            named.iter().map(|at| &all[*at]).filter(|other| self.may_refer_to(other)).collect();
        if let Some(namespace) = namespace {
            let originally_there =
                self.candidates.by_original_namespace.get(namespace).is_some_and(|group| {
                    *namespace != crate::id::NO_NAMESPACE
                        && group.iter().any(|at| self.may_refer_to(&all[*at]))
                });
            found.retain(|other| {
                let there =
                    if originally_there { &other.original_namespace } else { &other.effective_namespace };
                there == namespace && *namespace != crate::id::NO_NAMESPACE
            });
        }
        found.retain(|other| other.previous.iter().any(|id| id.gvk.is_selected(reference.target)));
        if reference.spec.spec.path.ends_with("roleRef/name")
            && let Some(role) = &self.role_ref
        {
            found.retain(|other| other.previous.iter().any(|id| id.gvk.is_selected(role)));
        }
        if !self.own.id.cluster_scoped {
            found.retain(|other| {
                other.id.cluster_scoped
                    || other.id.gvk.kind == "ServiceAccount"
                    || other.effective_namespace == self.own.effective_namespace
            });
        }
        if let [one] = found.as_slice() {
            return Ok(Some(one));
        }
        found.retain(|other| self.same_context(other, true));
        if found.len() > 1 {
            found.retain(|other| self.same_context(other, false));
        }
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            [first, rest @ ..] => {
                let alike = rest.iter().all(|other| {
                    other.id.name == first.id.name && (!in_map || other.id.namespace == first.id.namespace)
                });
                if alike {
                    return Ok(Some(first));
                }
                let ids: Vec<String> = found.iter().map(|other| other.id.to_string()).collect();
                Err(Error::new(format!("found multiple possible referrals: {}\n", ids.join(", "))))
            }
        }
    }

    /// Whether both went through the same prefixes and suffixes, as far as both lists go.
    fn same_context(&self, other: &Candidate, allow_empty: bool) -> bool {
        let agree = |a: &[SmolStr], b: &[SmolStr]| {
            (allow_empty && (a.is_empty() || b.is_empty())) || same_ending(a, b)
        };
        agree(&self.own.prefixes, &other.prefixes) && agree(&self.own.suffixes, &other.suffixes)
    }
}

/// Whether the shorter list is the tail of the longer; an empty one only of an empty one.
fn same_ending(a: &[SmolStr], b: &[SmolStr]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.is_empty() { long.is_empty() } else { long.ends_with(short) }
}

fn role_ref(resource: &Resource) -> Option<Gvk> {
    let role = tree::field(&resource.node, "roleRef")?;
    let group = tree::field(role, "apiGroup")?;
    let kind = tree::field(role, "kind")?;
    Some(Gvk { group: tree::owned_text(group), kind: tree::owned_text(kind), version: SmolStr::default() })
}

fn subject_namespaces(resource: &Resource, id: &ResId) -> Result<HashSet<SmolStr>> {
    let mut result = HashSet::new();
    if id.gvk.kind != "RoleBinding" {
        return Ok(result);
    }
    let Some(Node::Sequence(subjects)) = tree::field(&resource.node, "subjects") else { return Ok(result) };
    for subject in subjects {
        let (Some(Node::Scalar(namespace)), Some(kind)) =
            (tree::field(subject, "namespace"), tree::field(subject, "kind"))
        else {
            continue;
        };
        if tree::text(kind) != "ServiceAccount" {
            continue;
        }
        match crate::value::scalar_value(namespace) {
            Ok(Value::String(text)) => {
                result.insert(text.into());
            }
            _ => {
                return Err(Error::new(format!("Invalid Input: namespace is blank for resource \"{id}\"\n")));
            }
        }
    }
    Ok(result)
}

//! References to resources whose names changed.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use sluice_yaml::{Node, Value};
use smol_str::SmolStr;

use crate::config::NameReference;
use crate::error::{Error, Result};
use crate::fieldspec::{CompiledSpec, FieldSpec};
use crate::id::{Gvk, ResId, effective_namespace};
use crate::positions::Positions;
use crate::resource::{Meta, Resource, ResourceMap};
use crate::tree::{self, Writes};

/// What the search for a referred resource needs to know of each.
struct Candidate {
    gvk: Rc<Gvk>,
    name: SmolStr,
    namespace: SmolStr,
    cluster_scoped: bool,
    /// Taken from the resource while references are updated, which leaves it alone.
    meta: Meta,
}

impl Candidate {
    fn id(&self) -> ResId {
        ResId {
            gvk: Gvk::clone(&self.gvk),
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            cluster_scoped: self.cluster_scoped,
        }
    }

    fn effective_namespace(&self) -> SmolStr {
        effective_namespace(&self.namespace, self.cluster_scoped)
    }

    /// The effective namespace that it had first.
    fn original_namespace(&self) -> SmolStr {
        match self.meta.previous.first() {
            Some(first) => effective_namespace(&first.namespace, false),
            None => self.effective_namespace(),
        }
    }

    /// Whether it had the group, version and kind at some time; group and version never change.
    fn was_selected(&self, selector: &Gvk) -> bool {
        self.meta.previous.iter().any(|previous| self.gvk.is_selected_as(&previous.kind, selector))
    }
}

struct Candidates {
    all: Vec<Candidate>,
    by_previous_name: Positions,
    /// Those that had no name at some time.
    nameless: Vec<usize>,
    by_original_namespace: HashMap<SmolStr, Vec<usize>>,
}

/// A field that may hold the name of a kind of resource.
struct Reference<'c> {
    target: &'c Gvk,
    spec: &'c FieldSpec,
    /// Only the fields of the kinds that are there are looked for.
    compiled: OnceCell<Box<CompiledSpec>>,
}

impl Reference<'_> {
    fn compiled(&self) -> &CompiledSpec {
        self.compiled.get_or_init(|| {
            let (create, path) = (self.spec.create, self.spec.path.clone());
            Box::new(CompiledSpec::new(&FieldSpec { create, path, gvk: Gvk::default() }))
        })
    }
}

/// Updates all references.
pub(crate) fn update_references(map: &mut ResourceMap, config: &[NameReference]) -> Result<()> {
    let candidates = Candidates::new(map);
    let result = update_all(map, &candidates, config);
    for (resource, candidate) in map.resources.iter_mut().zip(candidates.all) {
        resource.meta = candidate.meta;
    }
    result
}

fn update_all(map: &mut ResourceMap, candidates: &Candidates, config: &[NameReference]) -> Result<()> {
    let references: Vec<Reference<'_>> = config
        .iter()
        .flat_map(|reference| {
            let target = &reference.gvk;
            reference.referrers.iter().map(move |spec| Reference { target, spec, compiled: OnceCell::new() })
        })
        .collect();
    let mut by_gvk: HashMap<Gvk, Rc<[usize]>> = HashMap::new();
    for (resource, own) in map.resources.iter_mut().zip(&candidates.all) {
        let kind = own.meta.previous.first().map_or(&own.gvk.kind, |first| &first.kind);
        let original = Gvk { kind: kind.clone(), ..Gvk::clone(&own.gvk) };
        let applicable = by_gvk
            .entry(original)
            .or_insert_with_key(|original| {
                references
                    .iter()
                    .enumerate()
                    .filter(|(_, reference)| original.is_selected(&reference.spec.gvk))
                    .map(|(index, _)| index)
                    .collect()
            })
            .clone();
        let referrer = Referrer::new(resource, candidates, own)?;
        for index in applicable.iter() {
            referrer.update(resource, &references[*index])?;
        }
    }
    Ok(())
}

impl Candidates {
    fn new(map: &mut ResourceMap) -> Self {
        let mut gvks: HashMap<Gvk, Rc<Gvk>> = HashMap::new();
        let all: Vec<Candidate> = map
            .resources
            .iter_mut()
            .map(|resource| {
                let ResId { gvk, name, namespace, cluster_scoped } = resource.id();
                let gvk = gvks.entry(gvk).or_insert_with_key(|gvk| Rc::new(gvk.clone())).clone();
                Candidate { gvk, name, namespace, cluster_scoped, meta: std::mem::take(&mut resource.meta) }
            })
            .collect();
        let mut by_original_namespace: HashMap<SmolStr, Vec<usize>> = HashMap::new();
        for (at, candidate) in all.iter().enumerate() {
            by_original_namespace.entry(candidate.original_namespace()).or_default().push(at);
        }
        let names = all.iter().enumerate().flat_map(|(at, candidate)| {
            candidate.meta.previous.iter().map(move |previous| (previous.name.as_str(), at))
        });
        let count = all.iter().map(|candidate| candidate.meta.previous.len()).sum();
        Self {
            by_previous_name: Positions::new(count, names),
            nameless: all.iter().enumerate().filter(|(_, one)| one.meta.nameless).map(|(at, _)| at).collect(),
            by_original_namespace,
            all,
        }
    }

    /// Those that had the name at some time, in their order.
    fn named(&self, name: &SmolStr) -> impl Iterator<Item = &Candidate> {
        let candidates = self.by_previous_name.find(name.as_str()).map(|at| &self.all[at]);
        candidates.filter(move |one| one.meta.previous.iter().any(|previous| previous.name == *name))
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
    fn new(resource: &Resource, candidates: &'c Candidates, own: &'c Candidate) -> Result<Self> {
        let subject_namespaces =
            if own.cluster_scoped { HashSet::new() } else { subject_namespaces(resource, own)? };
        Ok(Self { candidates, own, subject_namespaces, role_ref: role_ref(resource) })
    }

    fn update(&self, resource: &mut Resource, reference: &Reference<'_>) -> Result<()> {
        let mut writes = Writes::default();
        let result = reference.compiled().visit(&mut resource.node, None, &mut |node| {
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
                        Err(Error::new("an item of a list of references is expected to be either a string or a map of string"))
                    }
                }),
            }
        });
        result.map_err(|error| {
            reference.compiled().blame(error, resource).prefixed(format!(
                "updating name reference in '{}' field of '{}'",
                reference.spec.path,
                self.own.id()
            ))
        })?;
        writes.apply(&mut resource.node);
        Ok(())
    }

    /// Whether the resource may refer to the other one at all.
    fn may_refer_to(&self, other: &Candidate) -> bool {
        self.own.cluster_scoped
            || other.cluster_scoped
            || other.effective_namespace() == self.own.effective_namespace()
            || self.subject_namespaces.contains(&other.namespace)
    }

    fn set_scalar(&self, node: &mut Node, reference: &Reference<'_>, writes: &mut Writes) -> Result<()> {
        let old = tree::owned_text(node);
        let Some(found) = self.select(&old, reference, None, false)? else { return Ok(()) };
        if found.name == old {
            return Ok(());
        }
        tree::set_scalar(node, tree::untyped(found.name.clone()), writes)
    }

    fn set_map(&self, node: &mut Node, reference: &Reference<'_>, writes: &mut Writes) -> Result<()> {
        let Some(name) = tree::field(node, "name") else {
            return Err(Error::new("path config error; no 'name' field in node"));
        };
        let old = tree::owned_text(name);
        let namespace = tree::field(node, "namespace").map(tree::owned_text);
        let Some(found) = self.select(&old, reference, namespace.as_ref(), true)? else { return Ok(()) };
        let (name, namespace) = (found.name.clone(), found.namespace.clone());
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
            return Err(Error::new(format!("the name of resource \"{}\" was no text", other.id())));
        }
        let mut found: Vec<&'c Candidate> =
            self.candidates.named(old).filter(|other| self.may_refer_to(other)).collect();
        if found.is_empty() {
            return Ok(None);
        }
        if let Some(namespace) = namespace {
            let originally_there =
                self.candidates.by_original_namespace.get(namespace).is_some_and(|group| {
                    *namespace != crate::id::NO_NAMESPACE
                        && group.iter().any(|at| self.may_refer_to(&all[*at]))
                });
            found.retain(|other| {
                let there =
                    if originally_there { other.original_namespace() } else { other.effective_namespace() };
                there == *namespace && *namespace != crate::id::NO_NAMESPACE
            });
        }
        found.retain(|other| other.was_selected(reference.target));
        if reference.spec.path.ends_with("roleRef/name")
            && let Some(role) = &self.role_ref
        {
            found.retain(|other| other.was_selected(role));
        }
        if !self.own.cluster_scoped {
            found.retain(|other| {
                other.cluster_scoped
                    || other.gvk.kind == "ServiceAccount"
                    || other.effective_namespace() == self.own.effective_namespace()
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
                let alike = rest
                    .iter()
                    .all(|other| other.name == first.name && (!in_map || other.namespace == first.namespace));
                if alike {
                    return Ok(Some(first));
                }
                let ids: Vec<String> = found.iter().map(|other| other.id().to_string()).collect();
                Err(Error::new(format!("found multiple possible referrals: {}\n", ids.join(", "))))
            }
        }
    }

    /// Whether both went through the same prefixes and suffixes, as far as both lists go.
    fn same_context(&self, other: &Candidate, allow_empty: bool) -> bool {
        let agree = |a: &[SmolStr], b: &[SmolStr]| {
            (allow_empty && (a.is_empty() || b.is_empty())) || same_ending(a, b)
        };
        agree(&self.own.meta.prefixes, &other.meta.prefixes)
            && agree(&self.own.meta.suffixes, &other.meta.suffixes)
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

fn subject_namespaces(resource: &Resource, own: &Candidate) -> Result<HashSet<SmolStr>> {
    let mut result = HashSet::new();
    if own.gvk.kind != "RoleBinding" {
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
                return Err(Error::new(format!(
                    "Invalid Input: namespace is blank for resource \"{}\"\n",
                    own.id()
                )));
            }
        }
    }
    Ok(result)
}

//! The built-in transformers.

mod images;
mod name_references;
mod names;
mod namespace;
mod patches;
mod replacements;
mod structured;
mod variables;

use std::collections::BTreeMap;

use sluice_yaml::Node;
use sluice_yaml::resolve::Tag;

use crate::error::{Error, Result};
use crate::fieldspec::{CompiledSpec, FieldSpec, SpecIndex};
use crate::hash;
use crate::id::ResId;
use crate::kustomization::{Image, Replacement, Replica, Selector};
use crate::resource::{Resource, ResourceMap};
use crate::tree::{self, Kind, Writes};

pub(crate) use name_references::update_references;
pub(crate) use namespace::{NamespaceTransformer, SubjectMode};
pub(crate) use patches::{JsonPatchTransformer, PatchTransformer, StrategicMergeTransformer, note_options};
pub(crate) use variables::{describe as describe_var, resolve_variables};

/// What a transformer may look at besides the resources.
pub(crate) struct Surroundings<'s> {
    pub(crate) schema: &'s crate::state::SchemaState,
    pub(crate) null_deletes_metadata: bool,
    pub(crate) refuse_keyless: bool,
}

impl Surroundings<'_> {
    /// The identifier of the resource that a patch is for.
    fn id_of_patch(&self, patch: &Resource) -> ResId {
        let scopes = self.schema.scopes();
        if scopes.is_builtin() {
            return patch.original_id();
        }
        let mut id = patch.original_id();
        if patch.meta.previous.is_empty() {
            id.cluster_scoped = scopes.is_cluster_scoped(&patch.api_version(), &patch.kind());
        }
        id
    }
}

/// A configured transformer.
pub(crate) enum Transformer {
    Namespace(NamespaceTransformer),
    Prefix { prefix: String, specs: Vec<FieldSpec> },
    Suffix { suffix: String, specs: Vec<FieldSpec> },
    Labels { labels: BTreeMap<String, String>, specs: Vec<FieldSpec> },
    Annotations { annotations: BTreeMap<String, String>, specs: Vec<FieldSpec> },
    StrategicMerge(StrategicMergeTransformer),
    Patch(PatchTransformer),
    JsonPatch(JsonPatchTransformer),
    Replicas { replica: Replica, specs: Vec<FieldSpec> },
    Images { image: Image, specs: Vec<FieldSpec> },
    Replacements(Vec<Replacement>),
    ValueAdd { value: String, targets: Vec<ValueTarget> },
    Hash,
    Several(Vec<Transformer>),
}

/// A field that a value goes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct ValueTarget {
    pub(crate) selector: Option<Selector>,
    pub(crate) field_path: String,
    pub(crate) file_path_position: i64,
}

impl Transformer {
    /// Changes the resources.
    pub(crate) fn run(&self, map: &mut ResourceMap, surroundings: &Surroundings<'_>) -> Result<()> {
        match self {
            Self::Namespace(transformer) => transformer.run(map),
            Self::Prefix { prefix, specs } => names::affix(map, prefix, specs, names::Side::Prefix),
            Self::Suffix { suffix, specs } => names::affix(map, suffix, specs, names::Side::Suffix),
            Self::Labels { labels, specs } => add_entries(map, labels, specs),
            Self::Annotations { annotations, specs } => add_entries(map, annotations, specs),
            Self::StrategicMerge(transformer) => transformer.run(map, surroundings),
            Self::Patch(transformer) => transformer.run(map, surroundings),
            Self::JsonPatch(transformer) => transformer.run(map),
            Self::Replicas { replica, specs } => set_replicas(map, replica, specs),
            Self::Images { image, specs } => images::update(map, image, specs),
            Self::Replacements(replacements) => replacements::apply(map, replacements),
            Self::ValueAdd { value, targets } => add_value(map, value, targets),
            Self::Hash => hash::add_suffixes(map),
            Self::Several(transformers) => {
                transformers.iter().try_for_each(|transformer| transformer.run(map, surroundings))
            }
        }
    }
}

/// Labels or annotations on all fields that the specifications name. An entry that is new in several places of
/// a resource is one shared scalar, as in the reference.
fn add_entries(map: &mut ResourceMap, entries: &BTreeMap<String, String>, specs: &[FieldSpec]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut index = SpecIndex::new(specs);
    for resource in &mut map.resources {
        for (key, value) in entries {
            let applicable = index.for_gvk(&resource.gvk());
            if applicable.is_empty() {
                continue;
            }
            let mark = resource.new_shared_mark();
            for at in applicable.iter() {
                let mut writes = Writes::default();
                let spec = &index.specs[*at];
                let result = spec.visit(&mut resource.node, Some(Kind::Mapping), &mut |node| {
                    set_entry(node, key, value, mark, &mut writes)
                });
                result.map_err(|error| spec.blame(error, resource))?;
                writes.apply(&mut resource.node);
            }
        }
    }
    Ok(())
}

fn set_entry(node: &mut Node, key: &str, value: &str, mark: u32, writes: &mut Writes) -> Result<()> {
    if tree::is_null(node) {
        // A null that may not be created cannot take entries: the reference finds no field and appends to it,
        // which prints as null.
        return Ok(());
    }
    match node {
        // A blank key means the field itself, which is no scalar.
        Node::Mapping(_) if key.is_empty() => Err(tree::wrong_kind("ScalarNode", node)),
        Node::Mapping(entries) => match tree::position(entries, key) {
            Some(_) => tree::set_field(node, key, tree::string(value), writes),
            None => {
                let mut scalar = tree::string(value);
                tree::quote_if_needed(&mut scalar);
                scalar.line = mark;
                entries.reserve_exact(1);
                entries.push((tree::key(key), Node::Scalar(scalar)));
                Ok(())
            }
        },
        other => Err(tree::wrong_kind("MappingNode", other)),
    }
}

fn set_replicas(map: &mut ResourceMap, replica: &Replica, specs: &[FieldSpec]) -> Result<()> {
    let mut found = false;
    for spec in specs {
        let compiled = CompiledSpec::new(spec);
        for resource in &mut map.resources {
            let wanted = resource
                .any_ids()
                .iter()
                .any(|id| id.name == replica.name.as_str() && id.gvk.is_selected(&spec.gvk));
            if !wanted || resource.is_empty() {
                continue;
            }
            found = true;
            if !compiled.applies_to(&resource.gvk()) {
                continue;
            }
            let mut writes = Writes::default();
            let result = compiled.visit(&mut resource.node, Some(Kind::Scalar), &mut |node| {
                let mut count = tree::untyped(replica.count.to_string());
                count.tag = Tag::Int;
                tree::set_scalar(node, count, &mut writes)
            });
            result.map_err(|error| compiled.blame(error, resource))?;
            writes.apply(&mut resource.node);
        }
    }
    if found {
        return Ok(());
    }
    let gvks: Vec<String> = specs.iter().map(|spec| spec.gvk.to_string()).collect();
    Err(Error::new(format!(
        "resource with name {} does not match a config with the following GVK [{}]",
        replica.name,
        gvks.join(" ")
    )))
}

fn add_value(map: &mut ResourceMap, value: &str, targets: &[ValueTarget]) -> Result<()> {
    for target in targets {
        let selected = match &target.selector {
            Some(selector) => crate::selector::select(map, selector)?,
            None => (0..map.resources.len()).collect(),
        };
        for at in selected {
            let resource = &mut map.resources[at];
            if target.field_path == "metadata/namespace" {
                let transformer = NamespaceTransformer {
                    namespace: value.to_owned(),
                    specs: Vec::new(),
                    unset_only: false,
                    subjects: SubjectMode::DefaultOnly,
                };
                transformer.run_on(resource)?;
                continue;
            }
            let steps = split_value_path(&target.field_path);
            let mut writes = Writes::default();
            if let Some(node) = create_path(&mut resource.node, &steps)? {
                let Node::Scalar(scalar) = &*node else { return Err(tree::wrong_kind("ScalarNode", node)) };
                let text = if target.file_path_position > 0 {
                    insert_path_part(&scalar.text, target.file_path_position as usize - 1, value)
                } else {
                    value.to_owned()
                };
                tree::set_scalar(node, tree::untyped(text), &mut writes)?;
            }
            writes.apply(&mut resource.node);
        }
    }
    Ok(())
}

/// The node at the end of a path, made if it is missing; nothing if the path leads through a null.
fn create_path<'n>(root: &'n mut Node, steps: &[String]) -> Result<Option<&'n mut Node>> {
    tree::check_depth(steps.len(), 0)?;
    let mut node = root;
    for (at, step) in steps.iter().enumerate() {
        let kind = if at + 1 == steps.len() { Kind::Scalar } else { Kind::Mapping };
        match tree::get_or_create(node, step, kind)? {
            Some(next) => node = next,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

fn split_value_path(path: &str) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for part in path.split('/') {
        match fields.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push('/');
                last.push_str(part);
            }
            _ => fields.push(part.to_owned()),
        }
    }
    fields.retain(|field| !field.trim().is_empty());
    fields
}

/// Puts a part into a path before the part at `position`.
fn insert_path_part(path: &str, position: usize, part: &str) -> String {
    if part.is_empty() {
        return path.to_owned();
    }
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert(position.min(parts.len()), part);
    let joined = parts.join("/");
    if rooted { format!("/{joined}") } else { crate::path::clean(&joined) }
}

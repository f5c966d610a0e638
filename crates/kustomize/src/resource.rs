//! Resources and lists of them.

use std::sync::Arc;

use sluice_yaml::node::ScalarNode;
use sluice_yaml::{Node, Style};
use smol_str::SmolStr;

use crate::error::{Error, Result};
use crate::id::{Gvk, ResId, parse_api_version};
use crate::positions::Positions;
use crate::scope::Scopes;
use crate::seen::SeenIds;
use crate::tree::{self, Kind, Writes};

/// What a generator wants to happen when its result exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behavior {
    #[default]
    Unspecified,
    Create,
    Replace,
    Merge,
}

impl Behavior {
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "create" => Self::Create,
            "replace" => Self::Replace,
            "merge" => Self::Merge,
            _ => Self::Unspecified,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Merge => "merge",
        }
    }
}

/// A name that a resource had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) namespace: SmolStr,
    pub(crate) name: SmolStr,
    pub(crate) kind: SmolStr,
}

/// What the reference keeps in annotations of its own while it builds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meta {
    pub(crate) previous: Vec<Previous>,
    /// Whether it had no name when one was to be remembered: a map may have been put in its place. The reference cannot
    /// read what it has written down of such a resource.
    pub(crate) nameless: bool,
    pub(crate) prefixes: Vec<SmolStr>,
    pub(crate) suffixes: Vec<SmolStr>,
    pub(crate) behavior: Behavior,
    pub(crate) needs_hash: bool,
    pub(crate) allow_name_change: bool,
    pub(crate) allow_kind_change: bool,
}

/// Stands for all of [`Meta`] among the annotations, so that the map exists when the reference's would,
/// and is lost when the reference's would be lost.
pub(crate) const SENTINEL: &str = "internal.config.kubernetes.io/sluice";
const INTERNAL_PREFIX: &str = "internal.config.kubernetes.io/";
pub(crate) const ORIGIN: &str = "config.kubernetes.io/origin";
pub(crate) const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// Annotations of the reference that never reach the output.
fn is_build_annotation(key: &str) -> bool {
    if let Some(name) = key.strip_prefix(INTERNAL_PREFIX) {
        return matches!(
            name,
            "sluice"
                | "previousKinds"
                | "previousNames"
                | "prefixes"
                | "suffixes"
                | "previousNamespaces"
                | "allowNameChange"
                | "allowKindChange"
                | "refBy"
                | "generatorBehavior"
                | "needsHashSuffix"
                | "path"
                | "index"
                | "seqindent"
                | "id"
                | "annotations-migration-resource-id"
        );
    }
    matches!(
        key,
        "config.kubernetes.io/path"
            | "config.kubernetes.io/index"
            | "config.k8s.io/id"
            | "kustomize.sigs.k8s.io/helm-generated"
    )
}

/// A resource with its history.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) node: Node,
    pub(crate) meta: Meta,
    /// Names of the vars that point here.
    pub(crate) variables: Vec<String>,
    /// Which kinds have no namespace.
    pub(crate) scopes: Scopes,
    /// Where it was read.
    pub(crate) file: Option<Arc<str>>,
    /// Number of shared scalars made so far.
    shared: u32,
}

impl Resource {
    pub(crate) fn new(node: Node) -> Self {
        Self {
            node,
            meta: Meta::default(),
            variables: Vec::new(),
            scopes: Scopes::default(),
            file: None,
            shared: 0,
        }
    }

    pub(crate) fn kind(&self) -> SmolStr {
        tree::field(&self.node, "kind").map(tree::owned_text).unwrap_or_default()
    }

    pub(crate) fn api_version(&self) -> SmolStr {
        tree::field(&self.node, "apiVersion").map(tree::owned_text).unwrap_or_default()
    }

    fn metadata(&self) -> Option<&Node> {
        tree::field(&self.node, "metadata").filter(|node| !tree::is_nil_or_empty(node))
    }

    fn metadata_text(&self, name: &str) -> SmolStr {
        self.metadata()
            .and_then(|metadata| tree::field(metadata, name))
            .filter(|node| !tree::is_nil_or_empty(node))
            .map(tree::owned_text)
            .unwrap_or_default()
    }

    pub(crate) fn name(&self) -> SmolStr {
        self.metadata_text("name")
    }

    /// Whether the current name is this one.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let own = self.metadata().and_then(|metadata| tree::field(metadata, "name"));
        own.filter(|node| !tree::is_nil_or_empty(node)).map_or("", tree::text) == name
    }

    pub(crate) fn namespace(&self) -> SmolStr {
        self.metadata_text("namespace")
    }

    pub(crate) fn gvk(&self) -> Gvk {
        Gvk::new(&self.api_version(), &self.kind())
    }

    /// The current identifier.
    pub(crate) fn id(&self) -> ResId {
        let api_version = self.api_version();
        let kind = self.kind();
        let cluster_scoped = self.scopes.is_cluster_scoped(&api_version, &kind);
        let (group, version) = parse_api_version(&api_version);
        let gvk = Gvk { group, version, kind };
        ResId { gvk, name: self.name(), namespace: self.namespace(), cluster_scoped }
    }

    /// The identifiers that it had, oldest first.
    pub(crate) fn previous_ids(&self) -> impl Iterator<Item = ResId> {
        let (group, version) = parse_api_version(&self.api_version());
        self.meta.previous.iter().map(move |previous| ResId {
            gvk: Gvk { group: group.clone(), version: version.clone(), kind: previous.kind.clone() },
            name: previous.name.clone(),
            namespace: previous.namespace.clone(),
            cluster_scoped: false,
        })
    }

    /// The first identifier.
    pub(crate) fn original_id(&self) -> ResId {
        self.previous_ids().next().unwrap_or_else(|| self.id())
    }

    /// All identifiers, current last.
    pub(crate) fn any_ids(&self) -> Vec<ResId> {
        let mut ids: Vec<ResId> = self.previous_ids().collect();
        ids.push(self.id());
        ids
    }

    pub(crate) fn has_any_id(&self, wanted: &ResId) -> bool {
        // Names first: that settles nearly all.
        let named = self.name() == wanted.name
            || self.meta.previous.iter().any(|previous| previous.name == wanted.name);
        named && self.any_ids().iter().any(|id| wanted.equals(id))
    }

    /// Remembers the current identifier before it changes.
    pub(crate) fn push_id(&mut self) {
        let id = self.id();
        if id.name.is_empty() {
            self.meta.nameless = true;
        } else {
            self.meta.previous.reserve_exact(1);
            self.meta.previous.push(Previous {
                namespace: id.effective_namespace(),
                name: id.name,
                kind: id.gvk.kind,
            });
        }
        self.mark();
    }

    /// Notes among the annotations that there is something in [`Meta`].
    pub(crate) fn mark(&mut self) {
        let present = self.annotations().is_some_and(|annotations| {
            annotations.as_mapping().is_some_and(|entries| tree::position(entries, SENTINEL).is_some())
        });
        if present {
            return;
        }
        self.drop_empty_annotations();
        let value = ScalarNode { style: Style::Single, ..tree::string("1") };
        let path = ["metadata", "annotations", SENTINEL];
        // A resource whose metadata is no map has no name and was refused before.
        let _ = tree::set_map_field(&mut self.node, &path, value, &mut Writes::default());
    }

    fn drop_empty_annotations(&mut self) {
        let Some(metadata) = tree::field_mut(&mut self.node, "metadata") else { return };
        let empty = tree::field(metadata, "annotations").is_some_and(|node| match node {
            Node::Scalar(_) => true,
            node => tree::is_nil_or_empty(node),
        });
        if empty {
            tree::clear(metadata, "annotations");
        }
    }

    /// Forgets the history if something removed the annotations in which the reference keeps it.
    pub(crate) fn check_mark(&mut self, before: bool) {
        if before && !self.is_marked() {
            self.meta = Meta::default();
        }
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.annotations().and_then(|annotations| tree::field(annotations, SENTINEL)).is_some()
    }

    pub(crate) fn annotations(&self) -> Option<&Node> {
        tree::field(self.metadata()?, "annotations")
    }

    /// Entries of `metadata.labels` or `metadata.annotations` as texts.
    pub(crate) fn metadata_map(&self, name: &str) -> Vec<(SmolStr, SmolStr)> {
        let entries =
            self.metadata().and_then(|metadata| tree::field(metadata, name)).and_then(Node::as_mapping);
        let Some(entries) = entries else { return Vec::new() };
        let mut result: Vec<(SmolStr, SmolStr)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = tree::owned_text(key);
            let value = tree::owned_text(value);
            match result.iter_mut().find(|(known, _)| *known == key) {
                Some(entry) => entry.1 = value,
                None => result.push((key, value)),
            }
        }
        result
    }

    /// Writes `metadata.labels` or `metadata.annotations` anew, all strings; removes it when empty.
    pub(crate) fn set_metadata_map(&mut self, name: &str, mut map: Vec<(SmolStr, SmolStr)>) -> Result<()> {
        let Some(metadata) = tree::get_or_create(&mut self.node, "metadata", Kind::Mapping)? else {
            return Ok(());
        };
        tree::clear(metadata, name);
        if map.is_empty() {
            return Ok(());
        }
        map.sort();
        if map.first().is_some_and(|(key, _)| key.is_empty()) {
            // For the reference a blank name means the map itself, which is no scalar.
            tree::get_or_create(metadata, name, Kind::Mapping)?;
            return Err(tree::wrong_kind("ScalarNode", &Kind::Mapping.empty()));
        }
        let entries = map
            .into_iter()
            .map(|(key, value)| {
                let style = if value.contains('\n') { Style::Literal } else { Style::Plain };
                let mut value = ScalarNode { style, ..tree::string(value) };
                tree::quote_if_needed(&mut value);
                (tree::key(&key), Node::Scalar(value))
            })
            .collect();
        if let Some(map) = tree::get_or_create(metadata, name, Kind::Mapping)? {
            *map = Node::Mapping(entries);
        }
        Ok(())
    }

    /// All annotations become strings, an empty map goes.
    pub(crate) fn rewrite_annotations(&mut self) -> Result<()> {
        let map = self.metadata_map("annotations");
        self.set_metadata_map("annotations", map)
    }

    pub(crate) fn set_name(&mut self, name: SmolStr) -> Result<()> {
        tree::set_map_field(
            &mut self.node,
            &["metadata", "name"],
            tree::untyped(name),
            &mut Writes::default(),
        )
    }

    pub(crate) fn set_kind(&mut self, kind: SmolStr) -> Result<()> {
        tree::set_field(&mut self.node, "kind", tree::untyped(kind), &mut Writes::default())
    }

    pub(crate) fn set_api_version(&mut self, api_version: &str) -> Result<()> {
        tree::set_field(&mut self.node, "apiVersion", tree::untyped(api_version), &mut Writes::default())
    }

    pub(crate) fn set_namespace(&mut self, namespace: SmolStr) -> Result<()> {
        if namespace.is_empty() {
            if let Some(metadata) = tree::field_mut(&mut self.node, "metadata") {
                tree::clear(metadata, "namespace");
            }
            return Ok(());
        }
        let path = ["metadata", "namespace"];
        tree::set_map_field(&mut self.node, &path, tree::untyped(namespace), &mut Writes::default())
    }

    /// A mark for a scalar that is about to stand in several places.
    pub(crate) fn new_shared_mark(&mut self) -> u32 {
        self.shared += 1;
        tree::shared_mark(self.shared)
    }

    pub(crate) fn is_empty(&self) -> bool {
        tree::is_nil_or_empty(&self.node)
    }

    /// Takes over name, namespace, labels, annotations and history of the resource that this one replaces.
    pub(crate) fn copy_metadata_from(&mut self, other: &Self) -> Result<()> {
        let labels = union(other.metadata_map("labels"), self.metadata_map("labels"));
        if self.set_metadata_map("labels", labels).is_err() {
            // The reference leaves off here and says nothing.
            return Ok(());
        }
        let hash = self.meta.needs_hash && other.meta.needs_hash;
        let mut annotations = union(other.metadata_map("annotations"), self.metadata_map("annotations"));
        annotations.retain(|(key, _)| !is_build_annotation(key));
        let marked = other.is_marked();
        if marked {
            annotations.push((SENTINEL.into(), "1".into()));
        }
        self.set_metadata_map("annotations", annotations)?;
        self.meta = Meta { needs_hash: hash, ..other.meta.clone() };
        self.set_name(other.name())?;
        self.set_namespace(other.namespace())?;
        self.variables.clone_from(&other.variables);
        Ok(())
    }

    /// What may not reach the output goes; annotations end as strings.
    pub(crate) fn finish(&mut self, keep_origin: bool, keep_transformations: bool) -> Result<()> {
        let mut annotations = self.metadata_map("annotations");
        if annotations.is_empty() && keep_origin && keep_transformations {
            return Ok(());
        }
        annotations.retain(|(key, _)| {
            !is_build_annotation(key)
                && (keep_origin || key != ORIGIN)
                && (keep_transformations || key != TRANSFORMATIONS)
        });
        self.set_metadata_map("annotations", annotations)
    }
}

/// Both lists; the second wins.
pub(crate) fn union(
    first: Vec<(SmolStr, SmolStr)>,
    second: Vec<(SmolStr, SmolStr)>,
) -> Vec<(SmolStr, SmolStr)> {
    let mut result = first;
    for (key, value) in second {
        match result.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => result.push((key, value)),
        }
    }
    result
}

/// Resources in the order they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResourceMap {
    pub(crate) resources: Vec<Resource>,
}

impl ResourceMap {
    pub(crate) fn new(resources: Vec<Resource>) -> Result<Self> {
        let map = Self { resources };
        map.check_unique()?;
        Ok(map)
    }

    /// The error about a second resource of one identifier, with the files that have them.
    fn already_registered(&self, id: &ResId, second: &Resource) -> Error {
        let first = self.resources.iter().find(|resource| resource.id().equals(id));
        let files = match (first.and_then(|first| first.file.as_ref()), &second.file) {
            (Some(first), Some(second)) if first == second => format!(" (twice in '{first}')"),
            (Some(first), Some(second)) => format!(" (in '{first}' and '{second}')"),
            _ => String::new(),
        };
        Error::new(format!("may not add resource with an already registered id: {id}{files}"))
    }

    /// Fails if two resources have the same current identifier.
    pub(crate) fn check_unique(&self) -> Result<()> {
        self.check_unique_from(0)
    }

    /// Fails if a resource from a position on has the current identifier of one before it.
    fn check_unique_from(&self, start: usize) -> Result<()> {
        let all = &self.resources;
        let added = all.get(start..).unwrap_or_default();
        let repeated = |at: &usize, before: &[usize]| {
            let id = all[*at].id();
            before.iter().any(|other| all[*other].is_named(&id.name) && all[*other].id().equals(&id))
        };
        // A look at all names is quicker for a few than to learn where all stand.
        let second = if added.len() < all.len() / 64 {
            (start..all.len()).find(|at| {
                let id = all[*at].id();
                all[..*at].iter().any(|other| other.is_named(&id.name) && other.id().equals(&id))
            })
        } else {
            let ids = all.iter().enumerate().map(|(at, resource)| (resource.id().key(), at));
            let alike = Positions::new(all.len(), ids);
            let seconds = alike.groups().filter_map(|group| {
                let mut later = (1..group.len()).filter(|at| group[*at] >= start);
                later.find(|at| repeated(&group[*at], &group[..*at])).map(|at| group[at])
            });
            seconds.min()
        };
        match second {
            None => Ok(()),
            Some(at) => Err(self.already_registered(&all[at].id(), &all[at])),
        }
    }

    /// Appends all; equal identifiers are an error.
    pub(crate) fn append_all(&mut self, other: Self) -> Result<()> {
        let start = self.resources.len();
        self.extend(other);
        self.check_unique_from(start)
    }

    /// Like [`Self::append_all`], for one of many: `seen` learns what is here.
    pub(crate) fn append_seen(&mut self, other: Self, seen: &mut SeenIds) -> Result<()> {
        let start = self.resources.len();
        self.extend(other);
        // The first of them is as often the only one: nothing is to be remembered for it.
        if start > 0 && !seen.may_repeat(&self.resources, start) {
            return Ok(());
        }
        self.check_unique_from(start)
    }

    fn extend(&mut self, other: Self) {
        let start = self.resources.len();
        if start == 0 {
            *self = other;
        } else {
            let more = other.resources.len();
            if start + more > self.resources.capacity() {
                // Twice the room, as vectors take it, would be much of the memory of a large build.
                self.resources.reserve_exact(more.max(start / 8));
            }
            self.resources.extend(other.resources);
        }
    }

    /// Indexes of the resources that have or had the identifier.
    pub(crate) fn matching_any_id(&self, id: &ResId) -> Vec<usize> {
        self.resources
            .iter()
            .enumerate()
            .filter(|(_, resource)| !resource.is_empty() && resource.has_any_id(id))
            .map(|(at, _)| at)
            .collect()
    }

    /// The only resource that has or had the identifier.
    pub(crate) fn get_by_id(&self, id: &ResId) -> Result<usize> {
        let matches = self.matching_any_id(id);
        let problem = match matches.as_slice() {
            [one] => return Ok(*one),
            [] => format!("no matches for Id {id}"),
            _ => format!("multiple matches for Id {id}"),
        };
        Err(Error::new(format!("{problem}; failed to find unique target for patch {id}")))
    }

    /// Takes in what a generator made.
    pub(crate) fn absorb(&mut self, mut resource: Resource) -> Result<()> {
        let id = resource.id();
        let matches = self.matching_any_id(&id);
        let behavior = resource.meta.behavior;
        match matches.as_slice() {
            [] => match behavior {
                Behavior::Merge | Behavior::Replace => {
                    Err(Error::new(format!("id {} does not exist; cannot merge or replace", go_syntax(&id))))
                }
                _ => self.append_all(Self { resources: vec![resource] }),
            },
            [at] => {
                let old = &self.resources[*at];
                match behavior {
                    Behavior::Replace => resource.copy_metadata_from(old)?,
                    Behavior::Merge => {
                        let origin =
                            old.metadata_map("annotations").into_iter().find(|(key, _)| key == ORIGIN);
                        let data = union(data_map(old, "data"), data_map(&resource, "data"));
                        let binary = union(data_map(old, "binaryData"), data_map(&resource, "binaryData"));
                        resource.copy_metadata_from(old)?;
                        set_data_map(&mut resource, "data", data);
                        set_data_map(&mut resource, "binaryData", binary);
                        if let Some(origin) = origin {
                            let annotations = union(resource.metadata_map("annotations"), vec![origin]);
                            resource.set_metadata_map("annotations", annotations)?;
                        }
                    }
                    _ => {
                        return Err(Error::new(format!(
                            "id {} exists; can not use behavior: '{}', behavior must be merge or replace",
                            go_syntax(&id),
                            behavior.name()
                        )));
                    }
                }
                self.resources[*at] = resource;
                Ok(())
            }
            _ => Err(Error::new(format!(
                "found multiple objects {} that could accept merge of {id}",
                matches.iter().map(|at| self.resources[*at].id().to_string()).collect::<Vec<_>>().join(" ")
            ))),
        }
    }

    /// Tells all resources which kinds have no namespace.
    pub(crate) fn set_scopes(&mut self, scopes: &Scopes) {
        for resource in &mut self.resources {
            resource.scopes.clone_from(scopes);
        }
    }

    pub(crate) fn drop_empty(&mut self) {
        self.resources.retain(|resource| !resource.is_empty());
    }
}

/// Go's `%#v` of an identifier, which two errors use.
fn go_syntax(id: &ResId) -> String {
    format!(
        "resid.ResId{{Gvk:resid.Gvk{{Group:{:?}, Version:{:?}, Kind:{:?}, isClusterScoped:{}}}, Name:{:?}, Namespace:{:?}}}",
        id.gvk.group, id.gvk.version, id.gvk.kind, id.cluster_scoped, id.name, id.namespace
    )
}

fn data_map(resource: &Resource, name: &str) -> Vec<(SmolStr, SmolStr)> {
    let Some(entries) = tree::field(&resource.node, name).and_then(Node::as_mapping) else {
        return Vec::new();
    };
    union(
        Vec::new(),
        entries.iter().map(|(key, value)| (tree::owned_text(key), tree::owned_text(value))).collect(),
    )
}

fn set_data_map(resource: &mut Resource, name: &str, mut map: Vec<(SmolStr, SmolStr)>) {
    tree::clear(&mut resource.node, name);
    if map.is_empty() {
        return;
    }
    map.sort();
    let entries =
        map.into_iter().map(|(key, value)| (tree::key(&key), Node::Scalar(data_value(value)))).collect();
    if let Some(root) = resource.node.as_mapping_mut() {
        root.push((tree::key(name), Node::Mapping(entries)));
    }
}

/// The value of an entry of a ConfigMap or Secret.
pub(crate) fn data_value(text: SmolStr) -> ScalarNode {
    let style = if text.contains('\n') { Style::Literal } else { Style::Plain };
    ScalarNode { style, ..tree::string(text) }
}

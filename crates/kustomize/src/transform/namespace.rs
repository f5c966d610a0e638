//! The namespace of resources, and of what refers to them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};

use sluice_yaml::Node;

use crate::error::{Context as _, Error, Result};
use crate::fieldspec::{CompiledSpec, FieldSpec};
use crate::resource::{Resource, ResourceMap};
use crate::tree::{self, Kind, Writes};

/// Which subjects of role bindings get the namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum SubjectMode {
    #[default]
    DefaultOnly,
    AllServiceAccounts,
    None,
}

impl SubjectMode {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "defaultOnly" => Ok(Self::DefaultOnly),
            "allServiceAccounts" => Ok(Self::AllServiceAccounts),
            "none" => Ok(Self::None),
            other => Err(Error::new(format!(
                "invalid value \"{other}\" for setRoleBindingSubjects: must be one of \"defaultOnly\", \"none\" or \
                 \"allServiceAccounts\""
            ))),
        }
    }
}

/// Sets a namespace.
pub(crate) struct NamespaceTransformer {
    pub(crate) namespace: String,
    pub(crate) specs: Vec<FieldSpec>,
    pub(crate) unset_only: bool,
    pub(crate) subjects: SubjectMode,
}

impl NamespaceTransformer {
    pub(super) fn run(&self, map: &mut ResourceMap) -> Result<()> {
        if self.namespace.is_empty() {
            return Ok(());
        }
        // By the hashes of identifiers: whether two are equal is looked at where it seems so.
        let hasher = RandomState::new();
        let hash = |resource: &Resource| hasher.hash_one(resource.id().key());
        let mut counts: HashMap<u64, u32> = HashMap::with_capacity(map.resources.len());
        for resource in &map.resources {
            *counts.entry(hash(resource)).or_insert(0) += 1;
        }
        for at in 0..map.resources.len() {
            let resource = &mut map.resources[at];
            if resource.is_empty() || is_helm_generated(resource) {
                continue;
            }
            if let Entry::Occupied(mut count) = counts.entry(hash(resource)) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            resource.push_id();
            self.run_on(resource)?;
            let id = resource.id();
            let count = counts.entry(hash(resource)).or_insert(0);
            *count += 1;
            if *count != 1 {
                let conflicting: Vec<String> = map
                    .resources
                    .iter()
                    .filter(|other| other.id().equals(&id))
                    .map(|other| other.id().to_string())
                    .collect();
                if conflicting.len() > 1 {
                    return Err(Error::new(format!(
                        "namespace transformation produces ID conflict: [{}]",
                        conflicting.join(" ")
                    )));
                }
            }
        }
        Ok(())
    }

    fn set(&self, node: &mut Node, writes: &mut Writes) -> Result<()> {
        if self.unset_only
            && matches!(node, Node::Scalar(scalar) if scalar.tag != sluice_yaml::resolve::Tag::Null && !scalar.text.is_empty())
        {
            return Ok(());
        }
        tree::set_scalar(node, tree::string(self.namespace.as_str()), writes)
    }

    pub(super) fn run_on(&self, resource: &mut Resource) -> Result<()> {
        let gvk = resource.gvk();
        let api_version = resource.api_version();
        let mut writes = Writes::default();
        if !resource.scopes.is_cluster_scoped(&api_version, &gvk.kind) {
            let spec = CompiledSpec::new(&FieldSpec {
                path: "metadata/namespace".into(),
                create: true,
                ..FieldSpec::default()
            });
            let result =
                spec.visit(&mut resource.node, Some(Kind::Scalar), &mut |node| self.set(node, &mut writes));
            result.map_err(|error| spec.blame(error, resource))?;
        }
        let is_binding = matches!(gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
        if is_binding {
            self.set_subjects(resource, &mut writes)?;
        }
        for spec in &self.specs {
            let unneeded = spec.path == "metadata/namespace"
                || (spec.path == "metadata/name" && api_version != "v1")
                || (is_binding
                    && spec.path == "subjects/namespace"
                    && matches!(spec.gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding"));
            if unneeded || !gvk.is_selected(&spec.gvk) {
                continue;
            }
            let compiled = CompiledSpec::new(spec);
            let mut met_collection = false;
            let result = compiled.visit(&mut resource.node, Some(Kind::Scalar), &mut |node| {
                met_collection |= Kind::of(node) != Kind::Scalar;
                self.set(node, &mut writes)
            });
            let failure = if met_collection {
                "namespace field specs must target scalar nodes"
            } else {
                "namespace transformation failed"
            };
            result.map_err(|error| compiled.blame(error, resource)).context(failure)?;
        }
        writes.apply(&mut resource.node);
        Ok(())
    }

    fn set_subjects(&self, resource: &mut Resource, writes: &mut Writes) -> Result<()> {
        let (member, wanted) = match self.subjects {
            SubjectMode::None => return Ok(()),
            SubjectMode::DefaultOnly => ("name", "default"),
            SubjectMode::AllServiceAccounts => ("kind", "ServiceAccount"),
        };
        let Some(subjects) = tree::field_mut(&mut resource.node, "subjects") else { return Ok(()) };
        if tree::is_null(subjects) {
            return Ok(());
        }
        let Node::Sequence(items) = subjects else { return Err(tree::wrong_kind("SequenceNode", subjects)) };
        for subject in items {
            let Some(found) = tree::get(subject, member)? else { continue };
            if tree::is_null(found) || tree::text(found) != wanted {
                continue;
            }
            if let Some(namespace) = tree::get_or_create(subject, "namespace", Kind::Scalar)? {
                self.set(namespace, writes).context("setting namespace on (cluster)role binding subjects")?;
            }
        }
        Ok(())
    }
}

fn is_helm_generated(resource: &Resource) -> bool {
    const KEY: &str = "kustomize.sigs.k8s.io/helm-generated";
    resource
        .annotations()
        .and_then(|annotations| tree::field(annotations, KEY))
        .is_some_and(|value| tree::text(value) == "true")
}

//! Patches: strategic merges and RFC 6902 operations.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::id::IdKey;
use crate::jsonpatch::JsonPatch;
use crate::kustomization::Selector;
use crate::merge::strategic_merge;
use crate::resource::{Resource, ResourceMap, SENTINEL};
use crate::transform::Surroundings;
use crate::tree;
use crate::value::{node_through_floats, resource_value};

/// `patches`: either kind, by what the text is.
pub(crate) struct PatchTransformer {
    pub(crate) strategic: Option<Vec<Resource>>,
    pub(crate) json: Option<JsonPatch>,
    pub(crate) source: String,
    pub(crate) target: Option<Selector>,
}

/// `patchesStrategicMerge`.
pub(crate) struct StrategicMergeTransformer {
    pub(crate) patches: Vec<Resource>,
}

/// `patchesJson6902`.
pub(crate) struct JsonPatchTransformer {
    pub(crate) patch: JsonPatch,
    pub(crate) target: Selector,
}

impl PatchTransformer {
    pub(super) fn run(&self, map: &mut ResourceMap, surroundings: &Surroundings<'_>) -> Result<()> {
        match (&self.strategic, &self.json, &self.target) {
            (Some(patches), _, Some(target)) => {
                let [patch] = patches.as_slice() else {
                    if patches.is_empty() {
                        return Ok(());
                    }
                    return Err(Error::new(format!(
                        "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set \
                         `patches.target` field: {}",
                        self.source
                    )));
                };
                let selected = crate::selector::select(map, target).map_err(|error| {
                    error.prefixed(format!(
                        "unable to find patch target \"{}:a={}:l={}\" in `resources`",
                        target.id, target.annotations, target.labels
                    ))
                })?;
                let ids: HashSet<IdKey> = selected.iter().map(|at| map.resources[*at].id().key()).collect();
                merge_into_selected(map, &ids, patch, surroundings)
            }
            (Some(patches), _, None) => {
                for patch in patches {
                    let id = surroundings.id_of_patch(patch);
                    let at = map.get_by_id(&id).map_err(|error| {
                        error.prefixed(format!("no resource matches strategic merge patch \"{id}\""))
                    })?;
                    apply_strategic(&mut map.resources[at], patch.clone(), surroundings)?;
                }
                Ok(())
            }
            (None, Some(patch), target) => {
                let Some(target) = target else {
                    return Err(Error::new(format!("must specify a target for JSON patch {}", self.source)));
                };
                for at in crate::selector::select(map, target)? {
                    let resource = &mut map.resources[at];
                    resource.push_id();
                    apply_json(resource, patch)?;
                }
                Ok(())
            }
            (None, None, _) => Ok(()),
        }
    }
}

impl StrategicMergeTransformer {
    pub(super) fn run(&self, map: &mut ResourceMap, surroundings: &Surroundings<'_>) -> Result<()> {
        for patch in &self.patches {
            let at = map.get_by_id(&surroundings.id_of_patch(patch))?;
            let ids = HashSet::from([map.resources[at].id().key()]);
            merge_into_selected(map, &ids, patch, surroundings)?;
        }
        Ok(())
    }
}

impl JsonPatchTransformer {
    pub(super) fn run(&self, map: &mut ResourceMap) -> Result<()> {
        for at in crate::selector::select(map, &self.target)? {
            apply_json(&mut map.resources[at], &self.patch)?;
        }
        Ok(())
    }
}

/// Merges a copy of the patch into each resource with one of the identifiers. The copy's labels and annotations
/// are rewritten as strings on the way, which turns nulls into text.
fn merge_into_selected(
    map: &mut ResourceMap,
    ids: &HashSet<IdKey>,
    patch: &Resource,
    surroundings: &Surroundings<'_>,
) -> Result<()> {
    for resource in &mut map.resources {
        if !ids.contains(&resource.id().key()) {
            continue;
        }
        let mut copy = patch.clone();
        if surroundings.null_deletes_metadata {
            copy.set_name(patch.name())?;
        } else {
            copy.copy_metadata_from(patch)?;
        }
        copy.set_kind(resource.kind())?;
        copy.set_api_version(&resource.api_version())?;
        copy.set_kind(patch.kind())?;
        apply_strategic(resource, copy, surroundings)?;
    }
    map.drop_empty();
    map.check_unique()
}

fn apply_strategic(resource: &mut Resource, patch: Resource, surroundings: &Surroundings<'_>) -> Result<()> {
    let (name, namespace, kind) = (resource.name(), resource.namespace(), resource.kind());
    let (may_rename, may_change_kind) = (patch.meta.allow_name_change, patch.meta.allow_kind_change);
    if may_rename || may_change_kind {
        resource.push_id();
    }
    let marked = resource.is_marked();
    let schema = surroundings.schema.schema()?;
    strategic_merge(&mut resource.node, patch.node, &schema, surroundings.refuse_keyless)?;
    if resource.is_empty() {
        return Ok(());
    }
    resource.check_mark(marked);
    if !may_change_kind {
        resource.set_kind(kind)?;
    }
    if !may_rename {
        resource.set_name(name)?;
    }
    resource.set_namespace(namespace)
}

fn apply_json(resource: &mut Resource, patch: &JsonPatch) -> Result<()> {
    let marked = resource.is_marked();
    let mut document = resource_value(&resource.node)?;
    patch.apply(&mut document)?;
    if document.as_mapping().is_none() {
        return Err(Error::new("json: cannot unmarshal array into Go value of type map[string]interface {}"));
    }
    resource.node = node_through_floats(&document)?;
    let mut annotations = resource.metadata_map("annotations");
    if marked && !annotations.iter().any(|(key, _)| key == SENTINEL) {
        annotations.push((SENTINEL.into(), "1".into()));
    }
    resource.set_metadata_map("annotations", annotations)
}

/// Makes the patch's annotations strings, as the reference does when it notes options among them.
pub(crate) fn note_options(
    patch: &mut Resource,
    allow_name_change: bool,
    allow_kind_change: bool,
) -> Result<()> {
    if !allow_name_change && !allow_kind_change {
        return Ok(());
    }
    patch.meta.allow_name_change = allow_name_change;
    patch.meta.allow_kind_change = allow_kind_change;
    patch.rewrite_annotations()?;
    patch.mark();
    debug_assert!(tree::field(&patch.node, "metadata").is_some());
    Ok(())
}

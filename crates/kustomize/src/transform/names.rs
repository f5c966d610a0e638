//! Prefixes and suffixes.

use smol_str::format_smolstr;

use crate::error::Result;
use crate::fieldspec::{CompiledSpec, FieldSpec};
use crate::id::Gvk;
use crate::resource::ResourceMap;
use crate::tree::{self, Kind, Writes};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Prefix,
    Suffix,
}

/// Kinds whose names have a meaning elsewhere.
fn keeps_its_name(gvk: &Gvk) -> bool {
    matches!(gvk.kind.as_str(), "CustomResourceDefinition" | "Namespace")
        || (gvk.kind == "APIService" && gvk.group == "apiregistration.k8s.io")
}

pub(super) fn affix(map: &mut ResourceMap, affix: &str, specs: &[FieldSpec], side: Side) -> Result<()> {
    let specs: Vec<CompiledSpec> = specs.iter().map(CompiledSpec::new).collect();
    for resource in &mut map.resources {
        let original = resource.original_id();
        if keeps_its_name(&original.gvk) {
            continue;
        }
        for spec in &specs {
            if !original.gvk.is_selected(&spec.spec.gvk) {
                continue;
            }
            if spec.spec.path == "metadata/name" && !affix.is_empty() {
                // Kept as a list joined by commas in the reference, which splits at any comma.
                let parts = affix.split(',').map(Into::into);
                let affixes = match side {
                    Side::Prefix => &mut resource.meta.prefixes,
                    Side::Suffix => &mut resource.meta.suffixes,
                };
                affixes.reserve_exact(1);
                affixes.extend(parts);
                resource.push_id();
            }
            if !spec.applies_to(&resource.gvk()) {
                continue;
            }
            let mut writes = Writes::default();
            let result = spec.visit(&mut resource.node, Some(Kind::Scalar), &mut |node| {
                let text = tree::text(node);
                let text = match side {
                    Side::Prefix => format_smolstr!("{affix}{text}"),
                    Side::Suffix => format_smolstr!("{text}{affix}"),
                };
                tree::set_scalar(node, tree::untyped(text), &mut writes)
            });
            result.map_err(|error| spec.blame(error, resource))?;
            writes.apply(&mut resource.node);
        }
    }
    Ok(())
}

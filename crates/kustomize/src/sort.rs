//! The legacy order of resources: by kind, then by the rest of the identifier.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::id::{Gvk, ResId};
use crate::kustomization::SortOptions;
use crate::resource::ResourceMap;

const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Negative for the kinds that come first, positive for the last.
pub(crate) fn default_rank(kind: &str) -> i32 {
    if let Some(at) = FIRST.iter().position(|first| *first == kind) {
        return at as i32 - FIRST.len() as i32;
    }
    LAST.iter().position(|last| *last == kind).map_or(0, |at| at as i32 + 1)
}

/// Sorts as the options say. `None` is the default: legacy order.
pub(crate) fn sort(map: &mut ResourceMap, options: Option<&SortOptions>) -> Result<()> {
    let mut first: Vec<String> = FIRST.iter().map(ToString::to_string).collect();
    let mut last: Vec<String> = LAST.iter().map(ToString::to_string).collect();
    if let Some(options) = options {
        match (options.order.as_str(), &options.legacy) {
            ("fifo", None) => return Ok(()),
            ("fifo", Some(_)) => {
                return Err(Error::new(
                    "the field 'sortOptions.legacySortOptions' is set but the selected sort order is 'fifo', not \
                     'legacy'",
                ));
            }
            ("legacy", None) => {}
            ("legacy", Some(lists)) => {
                first.clone_from(&lists.first);
                last.clone_from(&lists.last);
            }
            _ => return Err(Error::new("the field 'sortOptions.order' must be one of [fifo, legacy]")),
        }
    }
    let mut ranks: HashMap<String, i32> = HashMap::new();
    let count = first.len() as i32;
    for (at, kind) in first.into_iter().enumerate() {
        ranks.insert(kind, at as i32 - count);
    }
    for (at, kind) in last.into_iter().enumerate() {
        ranks.insert(kind, at as i32 + 1);
    }
    let resources = std::mem::take(&mut map.resources);
    let mut keyed: Vec<_> = resources
        .into_iter()
        .map(|resource| {
            let id = resource.id();
            let rank = ranks.get(id.gvk.kind.as_str()).copied().unwrap_or(0);
            (Key { rank, gvk: legacy_gvk(&id.gvk), text: legacy_id(&id), id }, resource)
        })
        .collect();
    keyed.sort_by(|(left, _), (right, _)| left.compare(right));
    map.resources = keyed.into_iter().map(|(_, resource)| resource).collect();
    map.check_unique().map_err(|error| error.prefixed("SortOrderTransformer: Failed to append to resources"))
}

struct Key {
    rank: i32,
    gvk: String,
    text: String,
    id: ResId,
}

impl Key {
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        if self.id.gvk == other.id.gvk {
            return self.text.cmp(&other.text);
        }
        let both_namespaces = self.id.gvk.kind == "Namespace" && other.id.gvk.kind == "Namespace";
        let one_is_core = self.id.gvk.group.is_empty() || other.id.gvk.group.is_empty();
        self.rank.cmp(&other.rank).then_with(|| {
            if both_namespaces && one_is_core { other.gvk.cmp(&self.gvk) } else { self.gvk.cmp(&other.gvk) }
        })
    }
}

fn legacy_gvk(gvk: &Gvk) -> String {
    let or = |text: &str, blank: &str| if text.is_empty() { blank.to_owned() } else { text.to_owned() };
    format!("{}_{}_{}", or(&gvk.group, "~G"), or(&gvk.version, "~V"), or(&gvk.kind, "~K"))
}

fn legacy_id(id: &ResId) -> String {
    let or = |text: &str, blank: &str| if text.is_empty() { blank.to_owned() } else { text.to_owned() };
    format!("{}|{}|{}", id.gvk, or(&id.namespace, "~X"), or(&id.name, "~N"))
}

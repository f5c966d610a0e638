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
    let mut kinds: Vec<SortedKind> = Vec::new();
    let mut known: HashMap<Gvk, usize> = HashMap::new();
    let keys: Vec<(usize, String)> = map
        .resources
        .iter()
        .map(|resource| {
            let id = resource.id();
            let text = legacy_name(&id);
            let kind = *known.entry(id.gvk).or_insert_with_key(|gvk| {
                let rank = ranks.get(gvk.kind.as_str()).copied().unwrap_or(0);
                kinds.push(SortedKind { rank, text: legacy_gvk(gvk), gvk: gvk.clone() });
                kinds.len() - 1
            });
            (kind, text)
        })
        .collect();
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by(|left, right| {
        let ((left_kind, left_text), (right_kind, right_text)) = (&keys[*left], &keys[*right]);
        if left_kind == right_kind {
            return left_text.cmp(right_text);
        }
        kinds[*left_kind].compare(&kinds[*right_kind])
    });
    drop(keys);
    put_in_order(&mut map.resources, order);
    map.check_unique().map_err(|error| error.prefixed("SortOrderTransformer: Failed to append to resources"))
}

/// Sorts in place: `order` has the former position of each.
fn put_in_order<T>(items: &mut [T], mut order: Vec<usize>) {
    for start in 0..items.len() {
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut order[at], at);
            if from == start || from == at {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

/// What decides between resources of different kinds.
struct SortedKind {
    rank: i32,
    text: String,
    gvk: Gvk,
}

impl SortedKind {
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let both_namespaces = self.gvk.kind == "Namespace" && other.gvk.kind == "Namespace";
        let one_is_core = self.gvk.group.is_empty() || other.gvk.group.is_empty();
        self.rank.cmp(&other.rank).then_with(|| {
            if both_namespaces && one_is_core {
                other.text.cmp(&self.text)
            } else {
                self.text.cmp(&other.text)
            }
        })
    }
}

fn legacy_gvk(gvk: &Gvk) -> String {
    let or = |text: &str, blank: &str| if text.is_empty() { blank.to_owned() } else { text.to_owned() };
    format!("{}_{}_{}", or(&gvk.group, "~G"), or(&gvk.version, "~V"), or(&gvk.kind, "~K"))
}

/// What decides between resources of one kind.
fn legacy_name(id: &ResId) -> String {
    let namespace = if id.namespace.is_empty() { "~X" } else { &id.namespace };
    let name = if id.name.is_empty() { "~N" } else { &id.name };
    format!("{namespace}|{name}")
}

#[cfg(test)]
mod tests {
    use super::put_in_order;

    #[test]
    fn items_go_where_they_belong() {
        let mut items = ["a", "b", "c", "d", "e", "f"];
        put_in_order(&mut items, vec![3, 1, 4, 0, 2, 5]);
        assert_eq!(items, ["d", "b", "e", "a", "c", "f"]);
    }
}

//! Who is to be woken when something else changes, and in which order.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use sluice_api::kustomize::Kustomization;
use sluice_api::meta::{READY_CONDITION, RECONCILING_CONDITION};
use sluice_runtime::{Cache, ObjectKey, conditions};

/// The Kustomizations that build from a source and have not tried this revision yet, dependencies first.
pub(crate) fn of_source(
    kustomizations: &Cache<Kustomization>,
    kind: &str,
    source: &ObjectKey,
    revision: Option<&str>,
) -> Vec<ObjectKey> {
    let objects = kustomizations.filter(|object| {
        let reference = &object.spec.source_ref;
        let own = object.metadata.namespace.as_deref().unwrap_or_default();
        reference.kind == kind
            && reference.name == source.name
            && reference.namespace_or(own) == source.namespace
            && !is_at(object, revision)
    });
    match sort(&objects) {
        Ok(keys) => keys,
        Err(cycle) => {
            tracing::error!("circular dependency detected: {cycle}");
            Vec::new()
        }
    }
}

/// Whether the revision was tried already, and the object is ready or at work.
fn is_at(object: &Kustomization, revision: Option<&str>) -> bool {
    let (Some(status), Some(revision)) = (&object.status, revision) else { return false };
    status.last_attempted_revision == revision
        && (conditions::is_true(&status.conditions, READY_CONDITION)
            || conditions::is_true(&status.conditions, RECONCILING_CONDITION))
}

/// The Kustomizations that refer to a ConfigMap or Secret.
pub(crate) fn of_config(
    kustomizations: &Cache<Kustomization>,
    kind: &str,
    config: &ObjectKey,
) -> Vec<ObjectKey> {
    let objects = kustomizations.filter(|object| {
        let spec = &object.spec;
        if object.metadata.namespace.as_deref() != Some(&config.namespace) {
            return false;
        }
        let substitutes = spec.post_build.iter().flat_map(|post_build| &post_build.substitute_from);
        let mut named = substitutes.filter(|r| r.kind == kind).map(|r| r.name.as_str()).collect::<Vec<_>>();
        if kind == "Secret" {
            named.extend(spec.decryption.iter().filter_map(|d| Some(d.secret_ref.as_ref()?.name.as_str())));
            named.extend(spec.kube_config.iter().filter_map(|k| Some(k.secret_ref.as_ref()?.name.as_str())));
        } else {
            named.extend(
                spec.kube_config.iter().filter_map(|k| Some(k.config_map_ref.as_ref()?.name.as_str())),
            );
        }
        named.contains(&config.name.as_str())
    });
    objects.iter().map(|object| ObjectKey::of(&**object)).collect()
}

/// Keys so that each comes after those it depends on. The error is a cycle, as `a -> b -> a`.
fn sort(objects: &[Arc<Kustomization>]) -> Result<Vec<ObjectKey>, String> {
    let by_key: BTreeMap<_, _> = objects.iter().map(|object| (ObjectKey::of(&**object), object)).collect();
    let needs = |key: &ObjectKey| -> Vec<ObjectKey> {
        let depends_on = by_key.get(key).map(|object| object.spec.depends_on.as_slice()).unwrap_or_default();
        let keys =
            depends_on.iter().map(|dep| ObjectKey::new(dep.namespace_or(&key.namespace), dep.name.clone()));
        keys.filter(|key| by_key.contains_key(key)).collect()
    };
    let mut sorted = Vec::with_capacity(by_key.len());
    let mut done = HashSet::new();
    for start in by_key.keys() {
        // Depth first without recursion: the stack holds a path and what is left to visit from each step.
        let mut path = vec![(start.clone(), needs(start))];
        while let Some((key, open)) = path.last_mut() {
            if done.contains(key) {
                path.pop();
                continue;
            }
            match open.pop() {
                None => {
                    done.insert(key.clone());
                    sorted.push(key.clone());
                    path.pop();
                }
                Some(next) => {
                    if let Some(at) = path.iter().position(|(key, _)| *key == next) {
                        let cycle = path[at..].iter().map(|(key, _)| key).chain([&next]);
                        return Err(cycle.map(ToString::to_string).collect::<Vec<_>>().join(" -> "));
                    }
                    if !done.contains(&next) {
                        let open = needs(&next);
                        path.push((next, open));
                    }
                }
            }
        }
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, depends_on: &[&str]) -> Arc<Kustomization> {
        let depends_on: Vec<_> = depends_on.iter().map(|name| json!({"name": name})).collect();
        Arc::new(
            serde_json::from_value(json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": name, "namespace": "a"},
                "spec": {"interval": "1m", "prune": true, "dependsOn": depends_on,
                         "sourceRef": {"kind": "GitRepository", "name": "x"}}
            }))
            .unwrap(),
        )
    }

    #[test]
    fn dependencies_come_first_and_unknown_ones_do_not_matter() {
        let objects =
            [object("a", &["b", "zz"]), object("b", &["c"]), object("c", &[]), object("d", &["c", "b"])];
        let names: Vec<_> = sort(&objects).unwrap().into_iter().map(|key| key.name).collect();
        assert_eq!(names, ["c", "b", "a", "d"]);
    }

    #[test]
    fn a_cycle_is_named() {
        let objects = [object("a", &["b"]), object("b", &["a"])];
        assert_eq!(sort(&objects).unwrap_err(), "a/a -> a/b -> a/a");
        assert!(sort(&[object("a", &["a"])]).is_err());
    }
}

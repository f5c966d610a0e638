//! Maps that hold themselves, which reference counting alone would never free.

use std::collections::HashMap;

use super::{Map, Str, Value};

/// A container on the path that is being looked at.
struct Step {
    identity: usize,
    map: Option<Map>,
    children: std::vec::IntoIter<(Option<Str>, Value)>,
    /// The key whose value is being looked at.
    key: Option<Str>,
}

/// Cuts every circle that can be reached from these maps, each at one key.
pub(crate) fn untie(maps: &[Map]) {
    /// `true` while on the path, `false` once done with.
    type Seen = HashMap<usize, bool>;
    let mut seen: Seen = HashMap::new();
    let mut cuts: Vec<(Map, Str)> = Vec::new();
    for root in maps {
        let mut path: Vec<Step> = Vec::new();
        enter(&mut path, &mut seen, &Value::Map(root.clone()));
        while let Some(step) = path.last_mut() {
            let Some((key, child)) = step.children.next() else {
                seen.insert(step.identity, false);
                path.pop();
                continue;
            };
            step.key = key;
            let Some(identity) = identity(&child) else { continue };
            match seen.get(&identity) {
                None => enter(&mut path, &mut seen, &child),
                Some(false) => {}
                Some(true) => {
                    // Lists cannot change: cut at the nearest map.
                    let holder =
                        path.iter().rev().find_map(|step| Some((step.map.clone()?, step.key.clone()?)));
                    cuts.extend(holder);
                }
            }
        }
    }
    for (map, key) in cuts {
        map.remove(&key);
    }
}

fn identity(value: &Value) -> Option<usize> {
    match value {
        Value::Map(map) => Some(map.identity()),
        Value::List(list) if !list.is_empty() => Some(list.values().as_ptr() as usize),
        _ => None,
    }
}

fn enter(path: &mut Vec<Step>, seen: &mut HashMap<usize, bool>, value: &Value) {
    let Some(identity) = identity(value) else { return };
    if seen.contains_key(&identity) {
        return;
    }
    seen.insert(identity, true);
    let is_container = |value: &Value| matches!(value, Value::Map(_) | Value::List(_));
    let (map, children): (_, Vec<_>) = match value {
        Value::Map(map) => {
            let entries = map.entries().into_iter().filter(|(_, value)| is_container(value));
            (Some(map.clone()), entries.map(|(key, value)| (Some(key), value)).collect())
        }
        Value::List(list) => {
            let values = list.values().iter().filter(|value| is_container(value));
            (None, values.map(|value| (None, value.clone())).collect())
        }
        _ => return,
    };
    path.push(Step { identity, map, children: children.into_iter(), key: None });
}

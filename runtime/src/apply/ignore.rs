//! `spec.ignore`: fields that others may change.

use regex::Regex;
use serde_json::{Map, Value};
use sluice_api::kustomize::{IgnoreRule, Selector};

use super::drift::same;
use super::label_selector::LabelSelector;
use super::{Error, Object};

/// Compiled ignore rules.
#[derive(Clone, Debug, Default)]
pub struct IgnoreRules(Vec<(Target, Vec<String>)>);

#[derive(Clone, Debug, Default)]
struct Target {
    /// Patterns for group, version, kind, name and namespace; none matches all.
    patterns: [Option<Regex>; 5],
    labels: LabelSelector,
    annotations: LabelSelector,
}

impl Target {
    fn compile(selector: &Selector) -> Result<Self, String> {
        let pattern = |what: &str, text: &str| match text {
            "" => Ok(None),
            text => {
                let anchored = format!("^(?:{text})$");
                let regex = regex::RegexBuilder::new(&anchored).size_limit(1 << 20).build();
                regex.map(Some).map_err(|error| format!("invalid {what} regex: {error}"))
            }
        };
        Ok(Self {
            patterns: [
                pattern("group", &selector.group)?,
                pattern("version", &selector.version)?,
                pattern("kind", &selector.kind)?,
                pattern("name", &selector.name)?,
                pattern("namespace", &selector.namespace)?,
            ],
            labels: LabelSelector::parse(&selector.label_selector)
                .map_err(|error| format!("invalid label selector: {error}"))?,
            annotations: LabelSelector::parse(&selector.annotation_selector)
                .map_err(|error| format!("invalid annotation selector: {error}"))?,
        })
    }

    fn matches(&self, object: &Object) -> bool {
        let fields = [object.group(), object.version(), object.kind(), object.name(), object.namespace()];
        self.patterns
            .iter()
            .zip(fields)
            .all(|(pattern, field)| pattern.as_ref().is_none_or(|p| p.is_match(field)))
            && self.labels.matches(&object.tags("labels"))
            && self.annotations.matches(&object.tags("annotations"))
    }
}

impl IgnoreRules {
    /// Compiles the rules of a spec.
    pub fn compile(rules: &[IgnoreRule]) -> Result<Self, Error> {
        let compile = |rule: &IgnoreRule| {
            let target = rule.target.as_ref().map(Target::compile).transpose()?.unwrap_or_default();
            Ok((target, rule.paths.clone()))
        };
        rules.iter().map(compile).collect::<Result<_, _>>().map(Self).map_err(Error::IgnoreRule)
    }

    fn paths<'r>(&'r self, object: &'r Object) -> impl Iterator<Item = &'r str> {
        let matching = self.0.iter().filter(|(target, _)| target.matches(object));
        matching.flat_map(|(_, paths)| paths.iter().map(String::as_str))
    }

    /// Whether any rule is about the object.
    pub(crate) fn concerns(&self, object: &Object) -> bool {
        self.paths(object).next().is_some()
    }

    /// Whether a rule leaves the object out as a whole, by an empty path.
    pub fn ignores_all(&self, object: &Object) -> bool {
        self.paths(object).any(str::is_empty)
    }

    /// A copy of `object` without the fields that the rules for `subject` name. Items of lists leave a null unless they are
    /// the last, so that all others are still at their place, for the next rule and for patches.
    pub fn without_ignored(&self, subject: &Object, object: &Object) -> Object {
        let mut copy = object.clone();
        for path in self.paths(subject) {
            remove(copy.fields_mut(), path, |items, at| {
                if at + 1 == items.len() {
                    items.pop();
                } else {
                    items[at] = Value::Null;
                }
            });
        }
        copy
    }

    /// What to apply, given that something else has to be applied anyway: an ignored field that differs is left out when
    /// another applier owns it, and otherwise keeps its live value.
    pub(crate) fn payload(&self, desired: &Object, live: &Object, answer: &Object, owner: &str) -> Object {
        let mut payload = desired.clone();
        for path in self.paths(answer) {
            let (live_value, new_value) = (lookup(live.fields(), path), lookup(answer.fields(), path));
            if live_value.is_some() == new_value.is_some()
                && same(live_value.unwrap_or(&Value::Null), new_value.unwrap_or(&Value::Null))
            {
                continue;
            }
            if is_owned_by_other(live, path, owner) {
                remove(payload.fields_mut(), path, |items, at| drop(items.remove(at)));
            } else if let Some(place) = lookup_mut(payload.fields_mut(), path) {
                *place = live_value.cloned().unwrap_or_default();
            }
        }
        payload
    }
}

/// The steps of a JSON pointer. `None` for what is none, and for the whole document.
fn steps(pointer: &str) -> Option<Vec<String>> {
    let steps = pointer.strip_prefix('/')?.split('/');
    Some(steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

fn index(step: &str, length: usize) -> Option<usize> {
    match step.parse::<isize>() {
        Ok(at) if at < 0 => length.checked_sub(at.unsigned_abs()),
        Ok(at) => Some(at as usize).filter(|at| *at < length),
        Err(_) => None,
    }
}

fn lookup<'v>(fields: &'v Map<String, Value>, pointer: &str) -> Option<&'v Value> {
    let steps = steps(pointer)?;
    let (first, rest) = steps.split_first()?;
    rest.iter().try_fold(fields.get(first)?, |value, step| match value {
        Value::Object(map) => map.get(step),
        Value::Array(items) => items.get(index(step, items.len())?),
        _ => None,
    })
}

fn lookup_mut<'v>(fields: &'v mut Map<String, Value>, pointer: &str) -> Option<&'v mut Value> {
    let steps = steps(pointer)?;
    let (first, rest) = steps.split_first()?;
    rest.iter().try_fold(fields.get_mut(first)?, |value, step| match value {
        Value::Object(map) => map.get_mut(step),
        Value::Array(items) => {
            let at = index(step, items.len())?;
            items.get_mut(at)
        }
        _ => None,
    })
}

/// Removes a field, or an item of a list by `remove_item`; nothing happens where it is not there.
fn remove(fields: &mut Map<String, Value>, pointer: &str, remove_item: impl FnOnce(&mut Vec<Value>, usize)) {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return };
    let last = last.replace("~1", "/").replace("~0", "~");
    if parent.is_empty() {
        fields.remove(&last);
        return;
    }
    match lookup_mut(fields, parent) {
        Some(Value::Object(map)) => {
            map.remove(&last);
        }
        Some(Value::Array(items)) => {
            if let Some(at) = index(&last, items.len()) {
                remove_item(items, at);
            }
        }
        _ => {}
    }
}

/// Whether another manager that applies owns the field of the live object.
fn is_owned_by_other(live: &Object, pointer: &str, owner: &str) -> bool {
    let entries =
        live.metadata("managedFields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text =
        |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let appliers: Vec<_> = entries
        .iter()
        .filter(|entry| text(entry, "operation") == "Apply" && text(entry, "subresource").is_empty())
        .filter_map(|entry| Some((text(entry, "manager"), entry.get("fieldsV1")?)))
        .collect();
    let Some(path) = field_path(live, pointer, &appliers) else { return false };
    appliers.iter().any(|(manager, fields)| manager != owner && walk(fields, &path).is_some())
}

/// A pointer in the terms of field ownership; an index becomes the key under which an applier knows the item.
fn field_path(live: &Object, pointer: &str, appliers: &[(String, &Value)]) -> Option<Vec<String>> {
    let mut path = Vec::new();
    let mut parent = String::new();
    for step in pointer.strip_prefix('/')?.split('/') {
        let name = step.replace("~1", "/").replace("~0", "~");
        if name.parse::<usize>().is_ok() {
            let item = lookup(live.fields(), &format!("{parent}/{step}"))?.as_object()?;
            let keys = appliers.iter().filter_map(|(_, fields)| walk(fields, &path)?.as_object());
            let key = keys.flat_map(Map::keys).find(|key| names_item(key, item))?;
            path.push(key.clone());
        } else {
            path.push(format!("f:{name}"));
        }
        parent = format!("{parent}/{step}");
    }
    Some(path)
}

/// Whether an ownership key such as `k:{"name":"web"}` names the item of a list.
fn names_item(key: &str, item: &Map<String, Value>) -> bool {
    let Some(json) = key.strip_prefix("k:") else { return false };
    let Ok(Value::Object(wanted)) = serde_json::from_str::<Value>(json) else { return false };
    wanted.iter().all(|(name, value)| item.get(name).is_some_and(|found| same(found, value)))
}

fn walk<'v>(fields: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(fields, |value, step| value.get(step))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: i64, image: &str, managers: Value) -> Object {
        Object::new(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "a", "labels": {"app": "web"}, "managedFields": managers},
            "spec": {"replicas": replicas, "containers": [{"name": "main", "image": image}]}
        }))
        .unwrap()
    }

    fn rules(paths: &[&str], target: Value) -> IgnoreRules {
        let rule = json!({"paths": paths, "target": target});
        IgnoreRules::compile(&[serde_json::from_value(rule).unwrap()]).unwrap()
    }

    #[test]
    fn targets_select_by_anchored_patterns_and_labels() {
        let object = deployment(1, "a", json!([]));
        for (target, matches) in [
            (json!({"kind": "Deployment"}), true),
            (json!({"kind": "Deploy"}), false),
            (json!({"name": "w.*", "namespace": "a|b"}), true),
            (json!({"labelSelector": "app=web"}), true),
            (json!({"labelSelector": "app=x"}), false),
            (json!({"group": "apps", "version": "v1"}), true),
        ] {
            assert_eq!(rules(&["/spec/replicas"], target.clone()).concerns(&object), matches, "{target}");
        }
        let bad = json!({"paths": ["/a"], "target": {"name": "("}});
        assert!(IgnoreRules::compile(&[serde_json::from_value(bad).unwrap()]).is_err());
    }

    #[test]
    fn an_ignored_field_is_no_drift() {
        let rules = rules(&["/spec/replicas", "/not/there", "bad"], json!({}));
        let (live, answer) = (deployment(5, "a", json!([])), deployment(1, "a", json!([])));
        assert_eq!(rules.without_ignored(&answer, &live), rules.without_ignored(&answer, &answer));
    }

    #[test]
    fn items_after_an_ignored_one_stay_at_their_place() {
        let object = |lists: Value| {
            Object::new(json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}, "spec": lists}))
                .unwrap()
        };
        let rules = rules(&["/spec/a~1b/0", "/spec/a~1b/1", "/spec/c~0d/-1", "/spec/c~0d/9", "/"], json!({}));
        let whole = object(json!({"a/b": [1, 2, 3], "c~d": ["x", "y"]}));
        let left = rules.without_ignored(&whole, &whole);
        assert_eq!(left.fields()["spec"], json!({"a/b": [null, null, 3], "c~d": ["x"]}));
    }

    #[test]
    fn an_ignored_field_keeps_its_live_value_unless_another_applier_owns_it() {
        let rules = rules(&["/spec/replicas", "/spec/containers/0/image"], json!({}));
        let fields = json!({"f:spec": {"f:containers": {r#"k:{"name":"main"}"#: {"f:image": {}}}}});
        let managers = json!([{"manager": "other", "operation": "Apply", "fieldsV1": fields}]);
        let live = deployment(5, "live", managers);
        let desired = deployment(1, "new", json!([]));
        let payload = rules.payload(&desired, &live, &desired, "kustomize-controller").into_value();
        assert_eq!(payload["spec"]["replicas"], 5);
        assert!(payload["spec"]["containers"][0].get("image").is_none());
    }
}

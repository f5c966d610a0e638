//! One object as JSON, with what every object has.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::ObjectId;

/// A Kubernetes object of any kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(Map<String, Value>);

impl Object {
    /// An object from JSON. `None` unless it is a map with `apiVersion`, `kind` and `metadata.name`.
    pub fn new(value: Value) -> Option<Self> {
        let Value::Object(map) = value else { return None };
        let object = Self(map);
        let complete =
            !object.api_version().is_empty() && !object.kind().is_empty() && !object.name().is_empty();
        complete.then_some(object)
    }

    /// The object as JSON.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// The fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The fields, to change them.
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A field of the metadata.
    pub fn metadata(&self, field: &str) -> Option<&Value> {
        self.0.get("metadata")?.get(field)
    }

    fn metadata_text(&self, field: &str) -> &str {
        self.metadata(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// `group/version`, or the bare version of the core group.
    pub fn api_version(&self) -> &str {
        self.text("apiVersion")
    }

    /// The group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version().rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// The version without the group.
    pub fn version(&self) -> &str {
        self.api_version().rsplit_once('/').map_or(self.api_version(), |(_, version)| version)
    }

    /// The kind.
    pub fn kind(&self) -> &str {
        self.text("kind")
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.metadata_text("name")
    }

    /// The namespace; empty where there is none.
    pub fn namespace(&self) -> &str {
        self.metadata_text("namespace")
    }

    /// The unique identifier that the server gave; empty before.
    pub fn uid(&self) -> &str {
        self.metadata_text("uid")
    }

    /// The resource version that the server gave; empty before, and of a dry run of a new object.
    pub fn resource_version(&self) -> &str {
        self.metadata_text("resourceVersion")
    }

    /// Which object it is.
    pub fn id(&self) -> ObjectId {
        ObjectId {
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
            group: self.group().to_owned(),
            kind: self.kind().to_owned(),
        }
    }

    /// A label or annotation; empty where there is none. `field` is `labels` or `annotations`.
    pub fn tag(&self, field: &str, key: &str) -> &str {
        self.metadata(field).and_then(|tags| tags.get(key)).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether a label or annotation has the value, in any letter case.
    pub fn is_marked(&self, key: &str, value: &str) -> bool {
        ["labels", "annotations"].iter().any(|field| self.tag(field, key).eq_ignore_ascii_case(value))
    }

    /// Whether a label or annotation has exactly the value.
    pub fn is_marked_exactly(&self, key: &str, value: &str) -> bool {
        ["labels", "annotations"].iter().any(|field| self.tag(field, key) == value)
    }

    /// The metadata, made where it is missing.
    pub fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        child(&mut self.0, "metadata")
    }

    /// Sets labels or annotations, over those of the same name.
    pub fn set_tags<'t>(&mut self, field: &str, tags: impl IntoIterator<Item = (&'t str, &'t str)>) {
        let mut tags = tags.into_iter().peekable();
        if tags.peek().is_none() {
            return;
        }
        let known = child(self.metadata_mut(), field);
        for (key, value) in tags {
            known.insert(key.to_owned(), value.into());
        }
    }

    /// Labels or annotations whose values are texts.
    pub fn tags(&self, field: &str) -> BTreeMap<&str, &str> {
        let tags = self.metadata(field).and_then(Value::as_object);
        tags.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
    }

    /// Whether it is a definition of custom resources.
    pub fn is_crd(&self) -> bool {
        self.kind().eq_ignore_ascii_case("CustomResourceDefinition") && self.group() == "apiextensions.k8s.io"
    }

    /// Group and kind that it defines, if it is a definition of custom resources.
    pub fn defines(&self) -> Option<(&str, &str)> {
        let spec = self.fields().get("spec").filter(|_| self.is_crd())?;
        Some((spec["group"].as_str()?, spec["names"]["kind"].as_str()?))
    }

    /// Whether it is a Secret of the core group.
    pub fn is_secret(&self) -> bool {
        self.kind().eq_ignore_ascii_case("Secret") && self.api_version() == "v1"
    }

    /// A number that stands for the content, good in this process only.
    pub fn digest(&self) -> u64 {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        KEYS.hash_one(serde_json::to_vec(&self.0).unwrap_or_default())
    }
}

/// The map under a key, put there in place of anything that is no map.
fn child<'m>(map: &'m mut Map<String, Value>, key: &str) -> &'m mut Map<String, Value> {
    let value = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("a map was just put there"),
    }
}

/// The objects of a document: lists are flattened; what is no object, and kustomize's own files, are left out.
pub fn flatten(document: Value) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut pending = vec![document];
    while let Some(value) = pending.pop() {
        let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        if is_list && value.get("items").is_some_and(Value::is_array) {
            let Value::Object(mut map) = value else { continue };
            if let Some(Value::Array(items)) = map.remove("items") {
                pending.extend(items.into_iter().rev());
            }
            continue;
        }
        let Some(object) = Object::new(value) else { continue };
        let kustomize_file = object.kind().eq_ignore_ascii_case("Kustomization")
            && object.group() == "kustomize.config.k8s.io";
        if !kustomize_file {
            objects.push(object);
        }
    }
    objects
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_flattened_in_order_and_incomplete_documents_dropped() {
        let item = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        let list =
            json!({"apiVersion": "v1", "kind": "List", "items": [item("a"), {"kind": "X"}, item("b")]});
        let names: Vec<_> = flatten(list).iter().map(|object| object.name().to_owned()).collect();
        assert_eq!(names, ["a", "b"]);
        let file = json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "metadata": {"name": "x"}});
        assert!(flatten(file).is_empty());
        assert!(flatten(json!(null)).is_empty());
    }

    #[test]
    fn tags_replace_what_is_no_map() {
        let mut object = Object::new(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "labels": null}}),
        )
        .unwrap();
        object.set_tags("labels", [("a", "b")]);
        assert_eq!(object.tag("labels", "a"), "b");
        assert_eq!((object.group(), object.version()), ("apps", "v1"));
        assert!(object.is_marked("a", "B") && !object.is_marked_exactly("a", "B"));
    }
}

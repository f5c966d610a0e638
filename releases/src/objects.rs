//! Manifests as objects of a cluster.

use std::sync::Arc;

use serde_json::Value;
use sluice_helm::manifest::split;
use sluice_runtime::apply::{Cluster, Object, ObjectId, Resource, flatten};

/// Why a manifest cannot be made into objects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(String);

/// The label and annotations that tell which release an object belongs to.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "Helm");
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";
/// An annotation that keeps objects from being deleted.
const RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// An object and how to ask for it.
#[derive(Clone, Debug)]
pub struct Item {
    /// The object as the manifest has it, with its namespace.
    pub object: Object,
    /// Its kind.
    pub resource: Arc<Resource>,
    /// Which it is.
    pub id: ObjectId,
}

impl Item {
    /// Whether an uninstall leaves the object.
    pub fn is_kept(&self) -> bool {
        !self.object.tag("annotations", RESOURCE_POLICY).is_empty()
    }

    /// Marks the object as one of a release.
    pub fn own(&mut self, release: &str, namespace: &str) {
        self.object.set_tags("labels", [MANAGED_BY]);
        self.object.set_tags("annotations", [(RELEASE_NAME, release), (RELEASE_NAMESPACE, namespace)]);
    }
}

/// Whether an object is one that an upgrade must not delete.
pub fn is_kept(live: &Object) -> bool {
    live.tag("annotations", RESOURCE_POLICY).eq_ignore_ascii_case("keep")
}

/// Why an object that is there may not become part of a release; nothing when it may.
pub fn foreign(live: &Object, release: &str, namespace: &str) -> Option<String> {
    let check = |what: &str, field: &str, key: &str, wanted: &str| {
        let complaint = match live.tag(field, key) {
            "" => format!("missing key {key:?}: must be set to {wanted:?}"),
            found if found != wanted => {
                format!("key {key:?} must equal {wanted:?}: current value is {found:?}")
            }
            _ => return None,
        };
        Some(format!("{what} validation error: {complaint}"))
    };
    let complaints: Vec<_> = [
        check("label", "labels", MANAGED_BY.0, MANAGED_BY.1),
        check("annotation", "annotations", RELEASE_NAME, release),
        check("annotation", "annotations", RELEASE_NAMESPACE, namespace),
    ]
    .into_iter()
    .flatten()
    .collect();
    if complaints.is_empty() {
        return None;
    }
    let (kind, name) = (live.kind(), live.name());
    let own = live.namespace();
    Some(format!(
        "{kind} {name:?} in namespace {own:?} exists and cannot be imported into the current release: invalid ownership metadata; {}",
        complaints.join("; ")
    ))
}

/// The objects of a manifest, without asking anybody.
pub fn parse(manifest: &str) -> Result<Vec<Object>, ManifestError> {
    parse_documents(manifest, |_| None)
}

/// The objects of a hook, which may leave the end of their names to chance, as `metadata.generateName` asks for. The name is
/// chosen here and not by the server, so that the object can be waited for and deleted whatever became of the answer.
pub fn parse_hook(manifest: &str) -> Result<Vec<Object>, ManifestError> {
    parse_documents(manifest, |prefix| {
        // As Kubernetes does it: what is too long with its five letters is cut.
        let kept: String = prefix.chars().take(58).collect();
        let suffix: String = (0..5).map(|_| LETTERS[fastrand::usize(..LETTERS.len())] as char).collect();
        Some(kept + &suffix)
    })
}

/// What names made up by Kubernetes end with: neither vowels nor what could be mistaken for them.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

fn parse_documents(
    manifest: &str,
    generate: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Object>, ManifestError> {
    let mut objects = Vec::new();
    for document in split(manifest) {
        let values = sluice_yaml::read_all(document).map_err(|error| ManifestError(error.to_string()))?;
        for value in &values {
            let json =
                sluice_yaml::json::to_string(value).map_err(|error| ManifestError(error.to_string()))?;
            let mut json: Value =
                serde_json::from_str(&json).map_err(|error| ManifestError(error.to_string()))?;
            if json.is_null() {
                continue;
            }
            let nameless = json.pointer("/metadata/name").is_none();
            let prefix = json.pointer("/metadata/generateName").and_then(Value::as_str);
            if let Some(prefix) = prefix.filter(|_| nameless) {
                let kind = json.get("kind").and_then(Value::as_str).unwrap_or("an object");
                let Some(name) = generate(prefix) else {
                    return Err(ManifestError(format!(
                        "{kind} has metadata.generateName {prefix:?} in place of metadata.name, as only hooks may: \
                         an upgrade could not find it again"
                    )));
                };
                if let Some(Value::Object(metadata)) = json.get_mut("metadata") {
                    metadata.insert("name".to_owned(), name.into());
                }
            }
            let found = flatten(json.clone());
            if found.is_empty() && nameless && json.get("items").is_none() {
                let kind = json.get("kind").and_then(Value::as_str).unwrap_or("an object");
                return Err(ManifestError(format!("{kind} has no apiVersion, kind or metadata.name")));
            }
            objects.extend(found);
        }
    }
    Ok(objects)
}

/// The objects of a manifest with their namespaces, and how to ask for each.
pub async fn resolve(
    cluster: &Cluster,
    objects: Vec<Object>,
    namespace: &str,
) -> Result<Vec<Item>, ManifestError> {
    let mut items: Vec<Item> = Vec::with_capacity(objects.len());
    let mut missing = Vec::new();
    for mut object in objects {
        match cluster.resolve(object.api_version(), object.kind()).await {
            Ok(resource) => {
                if resource.namespaced && object.namespace().is_empty() {
                    object.metadata_mut().insert("namespace".to_owned(), namespace.into());
                }
                let id = resource.identify(&object);
                items.push(Item { object, resource, id });
            }
            Err(refusal) => missing.push(format!(
                "resource mapping not found for name: {:?} namespace: {:?} from \"\": {refusal}\nensure CRDs are installed first",
                object.name(),
                object.namespace()
            )),
        }
    }
    if missing.is_empty() { Ok(items) } else { Err(ManifestError(missing.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_flattened_and_comments_are_no_objects() {
        let text = "---\n# Source: a/b.yaml\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n\
                    ---\n# nothing\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: b}\n";
        let names: Vec<_> = parse(text).unwrap().iter().map(|object| object.name().to_owned()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(parse("kind: X\n").is_err());
    }

    #[test]
    fn only_hooks_leave_their_names_to_chance() {
        let text = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: setup-}\n";
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with("Job has metadata.generateName \"setup-\""), "{error}");
        let name = |text: &str| parse_hook(text).unwrap()[0].name().to_owned();
        assert!(name(text).starts_with("setup-") && name(text).len() == 11);
        assert_ne!(name(text), name(text));
        assert_eq!(name(&text.replace("setup-", &"x".repeat(300))).len(), 63);
        assert_eq!(name(&text.replace("{generateName", "{name: fixed, generateName")), "fixed");
    }

    #[test]
    fn foreign_objects_are_told_with_all_that_is_missing() {
        let object = |metadata: Value| {
            Object::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).unwrap()
        };
        let plain = object(json!({"name": "a", "namespace": "n"}));
        let text = foreign(&plain, "r", "n").unwrap();
        assert!(text.starts_with(
            "ConfigMap \"a\" in namespace \"n\" exists and cannot be imported into the current release: invalid ownership metadata; \
             label validation error: missing key \"app.kubernetes.io/managed-by\": must be set to \"Helm\"; annotation validation error: missing key"
        ), "{text}");
        let mut item_object = plain;
        item_object.set_tags("labels", [MANAGED_BY]);
        item_object.set_tags("annotations", [(RELEASE_NAME, "r"), (RELEASE_NAMESPACE, "n")]);
        assert_eq!(foreign(&item_object, "r", "n"), None);
        assert!(foreign(&item_object, "other", "n").unwrap().contains("must equal \"other\""));
    }
}

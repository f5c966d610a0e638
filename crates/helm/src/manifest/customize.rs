//! The post-renderer of helm-controller: kustomize's patches and images, then labels and annotations for everything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sluice_kustomize::{MemoryFileSystem, Options};
use sluice_yaml::Node;
use sluice_yaml::node::read_nodes;
use sluice_yaml::write::write_node;

use super::PostRenderer;

/// Changes to rendered manifests, in this order.
#[derive(Debug, Clone, Default)]
pub struct Customization {
    /// `patches` and `images` as a kustomization file has them, one after the other.
    pub kustomizations: Vec<Value>,
    /// Labels of every object, each set over those before.
    pub labels: Vec<BTreeMap<String, String>>,
    /// Annotations of every object.
    pub annotations: BTreeMap<String, String>,
}

impl Customization {
    fn kustomize(manifests: String, kustomization: &Value) -> Result<String, String> {
        let mut content = kustomization.clone();
        content["apiVersion"] = "kustomize.config.k8s.io/v1beta1".into();
        content["kind"] = "Kustomization".into();
        content["resources"] = json!(["manifests.yaml"]);
        let mut files = MemoryFileSystem::new();
        files.insert("/release/manifests.yaml", manifests);
        files.insert("/release/kustomization.yaml", content.to_string());
        let built = sluice_kustomize::build(&files, None, "/release", &Options::flux())
            .map_err(|error| error.to_string())?;
        built.to_yaml().map_err(|error| error.to_string())
    }

    fn tag(&self, manifests: &str) -> Result<String, String> {
        let mut tagged = String::with_capacity(manifests.len() + manifests.len() / 8);
        let nodes = read_nodes(manifests).map_err(|error| error.to_string())?;
        let mut seen = BTreeSet::new();
        for mut node in nodes.into_iter().filter(|node| !node.is_null()) {
            let identity = identity(&node);
            if !seen.insert(identity.clone()) {
                return Err(format!("may not add resource with an already registered id: {identity}"));
            }
            for labels in &self.labels {
                set(&mut node, "labels", labels);
            }
            set(&mut node, "annotations", &self.annotations);
            if !tagged.is_empty() {
                tagged.push_str("---\n");
            }
            tagged.push_str(&write_node(&node));
        }
        Ok(tagged)
    }
}

impl PostRenderer for Customization {
    fn run(&mut self, manifests: &str) -> Result<String, String> {
        let mut text = manifests.to_owned();
        for kustomization in &self.kustomizations {
            text = Self::kustomize(text, kustomization)?;
        }
        self.tag(&text)
    }
}

/// Which object it is, as kustomize writes it: `Kind.version.group/name.namespace`.
fn identity(node: &Node) -> String {
    let text = |path: &[&str]| {
        let found = path.iter().try_fold(node, |node, key| node.get(key));
        found.and_then(Node::as_text).unwrap_or_default()
    };
    let (group, version) = text(&["apiVersion"]).rsplit_once('/').unwrap_or(("", text(&["apiVersion"])));
    let or =
        |text: &'static str, found: &str| if found.is_empty() { text.to_owned() } else { found.to_owned() };
    let (namespace, name) = (text(&["metadata", "namespace"]), text(&["metadata", "name"]));
    let name = match name {
        "" => format!("{}-", text(&["metadata", "generateName"])),
        name => name.to_owned(),
    };
    format!("{}.{version}.{}/{name}.{}", text(&["kind"]), or("[noGrp]", group), or("[noNs]", namespace))
}

/// Sets tags of an object's metadata.
fn set(node: &mut Node, field: &str, tags: &BTreeMap<String, String>) {
    if tags.is_empty() {
        return;
    }
    let known = child(node, "metadata").and_then(|metadata| child(metadata, field));
    let Some(entries) = known.and_then(Node::as_mapping_mut) else { return };
    for (key, value) in tags {
        match entries.iter_mut().find(|(name, _)| name.as_text() == Some(key)) {
            Some((_, known)) => *known = Node::string(value),
            None => entries.push((Node::string(key), Node::string(value))),
        }
    }
}

/// The mapping under a key, made where there is none.
pub(super) fn child<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let entries = node.as_mapping_mut()?;
    let place = match entries.iter().position(|(name, _)| name.as_text() == Some(key)) {
        Some(place) => place,
        None => {
            entries.push((Node::string(key), Node::Mapping(Vec::new().into())));
            entries.len() - 1
        }
    };
    let (_, value) = entries.get_mut(place)?;
    if value.is_null() {
        *value = Node::Mapping(Vec::new().into());
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MANIFESTS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: {x: \"1\"}\ndata: {k: v}\n---\napiVersion: \
                             apps/v1\nkind: Deployment\nmetadata:\n  name: b\nspec:\n  template:\n    spec:\n      containers:\n      - {name: c, image: nginx}\n";

    #[test]
    fn patches_and_images_come_first_then_tags_of_which_the_last_wins() {
        let mut customization = Customization {
            kustomizations: vec![
                json!({"patches": [{"target": {"kind": "ConfigMap"}, "patch": "[{\"op\": \"replace\", \"path\": \"/data/k\", \"value\": \"w\"}]"}]}),
                json!({"images": [{"name": "nginx", "newTag": "1.2"}]}),
            ],
            labels: vec![
                [("x".to_owned(), "2".to_owned()), ("z".to_owned(), "2".to_owned())].into(),
                [("z".to_owned(), "true".to_owned())].into(),
            ],
            annotations: [("note".to_owned(), "1".to_owned())].into(),
        };
        let text = customization.run(MANIFESTS).expect("it renders");
        let objects = sluice_yaml::read_all(text.as_bytes()).expect("YAML");
        let values: Vec<Value> = objects
            .iter()
            .map(|object| {
                serde_json::from_str(&sluice_yaml::json::to_string(object).expect("JSON")).expect("JSON")
            })
            .collect();
        assert_eq!(values[0]["data"]["k"], "w");
        assert_eq!(values[0]["metadata"]["labels"], json!({"x": "2", "z": "true"}));
        assert_eq!(values[1]["metadata"]["annotations"], json!({"note": "1"}));
        assert_eq!(values[1]["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:1.2");
        assert!(values[1]["spec"]["template"].get("metadata").is_none());
    }

    #[test]
    fn two_equal_objects_are_refused() {
        let twice = format!("{MANIFESTS}---\n{MANIFESTS}");
        let error = Customization::default().run(&twice).expect_err("twice the same");
        assert_eq!(
            error,
            "may not add resource with an already registered id: ConfigMap.v1.[noGrp]/a.[noNs]"
        );
    }

    #[test]
    fn a_patch_for_an_object_that_is_not_there_is_an_error() {
        let mut customization = Customization {
            kustomizations: vec![
                json!({"patches": [{"patch": "{apiVersion: v1, kind: Secret, metadata: {name: z}}"}]}),
            ],
            ..Customization::default()
        };
        let error = customization.run(MANIFESTS).expect_err("no target");
        assert!(error.contains("no matches for Id"), "{error}");
    }
}

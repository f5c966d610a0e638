//! The kustomization file that is built: the one in the source, or a generated one, with the spec laid over it.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};
use sluice_api::kustomize::{Image, KustomizationSpec, Selector};
use sluice_artifact::Rules;
use sluice_kustomize::read_file;

/// Names of kustomization files, in the order in which they are looked for.
pub(crate) const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// How deep directories of manifests may be nested.
const MAX_DEPTH: usize = 64;

/// A kustomization file that stands in for what is on the disk.
#[derive(Debug, PartialEq)]
pub(crate) struct Generated {
    /// Its name.
    pub(crate) file: String,
    /// Its content.
    pub(crate) content: Value,
}

/// Joins a path to a root without ever leaving it: `..` stops at the root.
pub fn scoped_join(root: &Path, path: &str) -> PathBuf {
    let mut joined = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => joined.push(name),
            Component::ParentDir => {
                joined.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    root.join(joined)
}

/// Finds or generates the file for `directory`, and lays `spec` over it. What `ignored` names is not listed.
pub(crate) fn generate(
    root: &Path,
    directory: &Path,
    spec: &KustomizationSpec,
    ignored: &Rules,
) -> Result<Generated, String> {
    let existing = FILE_NAMES.iter().find(|name| directory.join(name).is_file());
    let (file, mut content) = match existing {
        Some(name) => {
            let path = directory.join(name);
            let text = read_file(&path).map_err(|error| format!("{}: {error}", shown(root, &path)))?;
            let documents = parse(&text).map_err(|error| format!("{}: {error}", shown(root, &path)))?;
            let content = documents.into_iter().next().unwrap_or_default();
            ((*name).to_owned(), if content.is_null() { json!({}) } else { content })
        }
        None => (FILE_NAMES[0].to_owned(), scan(root, directory, ignored)?),
    };
    if !content.is_object() {
        return Err(format!("{} is no mapping", shown(root, &directory.join(&file))));
    }
    let no_resources = content.get("resources").and_then(Value::as_array).is_none_or(Vec::is_empty);
    if existing.is_some() && no_resources {
        // An otherwise empty file is an error to kustomize, and means nothing to apply here.
        content["buildMetadata"] = json!(["originAnnotations"]);
    }
    overlay(root, directory, spec, &mut content)?;
    Ok(Generated { file, content })
}

/// A path as messages show it: relative to the source.
fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn parse(text: &[u8]) -> Result<Vec<Value>, String> {
    let documents = sluice_yaml::read_all(text).map_err(|error| error.to_string())?;
    documents.iter().map(to_json).collect()
}

/// A YAML value as JSON.
pub(crate) fn to_json(value: &sluice_yaml::Value) -> Result<Value, String> {
    let text = sluice_yaml::json::to_string(value).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// A file that lists all manifests below a directory.
fn scan(root: &Path, directory: &Path, ignored: &Rules) -> Result<Value, String> {
    let mut resources = Vec::new();
    walk((root, ignored), directory, "", 0, &mut resources)?;
    let mut content = json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"});
    if resources.is_empty() {
        // Builds to nothing, without an error.
        content["namespace"] = "_placeholder".into();
    } else {
        content["resources"] = resources.into();
    }
    Ok(content)
}

fn walk(
    (root, ignored): (&Path, &Rules),
    directory: &Path,
    prefix: &str,
    depth: usize,
    found: &mut Vec<Value>,
) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("{} is nested too deeply", shown(root, directory)));
    }
    let failed = |error: io::Error| format!("{}: {error}", shown(root, directory));
    let mut entries =
        fs::read_dir(directory).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let path = entry.path();
        let relative = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().map_err(failed)?;
        if ignored.ignores(relative.as_bytes(), kind.is_dir()) {
            continue;
        }
        if kind.is_dir() {
            if FILE_NAMES.iter().any(|name| path.join(name).is_file()) {
                found.push(relative.into());
            } else {
                walk((root, ignored), &path, &relative, depth + 1, found)?;
            }
        } else if kind.is_file() && matches!(path.extension().and_then(|e| e.to_str()), Some("yaml" | "yml"))
        {
            check(&path).map_err(|error| {
                format!("failed to decode Kubernetes YAML from {}: {error}", shown(root, &path))
            })?;
            found.push(relative.into());
        }
    }
    Ok(())
}

/// Whether a file holds Kubernetes objects and nothing else.
fn check(path: &Path) -> Result<(), String> {
    let text = read_file(path).map_err(|error| error.to_string())?;
    for document in parse(&text)? {
        let has = |key: &str| document.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        if document.is_null() {
            continue;
        }
        if !document.is_object() {
            return Err("a document is no mapping".to_owned());
        }
        if !has("kind") {
            return Err("missing Resource metadata: kind is not set".to_owned());
        }
        if !has("apiVersion") {
            return Err("missing Resource metadata: apiVersion is not set".to_owned());
        }
    }
    Ok(())
}

/// Lays the fields of the spec over the file.
fn overlay(
    root: &Path,
    directory: &Path,
    spec: &KustomizationSpec,
    content: &mut Value,
) -> Result<(), String> {
    for (field, text) in [
        ("namespace", &spec.target_namespace),
        ("namePrefix", &spec.name_prefix),
        ("nameSuffix", &spec.name_suffix),
    ] {
        if !text.is_empty() {
            content[field] = text.clone().into();
        }
    }
    let patches = spec.patches.iter().map(|patch| {
        let mut item = json!({"patch": patch.patch});
        if let Some(selector) = &patch.target {
            item["target"] = target(selector);
        }
        item
    });
    append(content, "patches", patches);

    let mut components = Vec::new();
    for path in &spec.components {
        if !is_local(path) {
            return Err(format!("component path '{path}' must be local and relative"));
        }
        let present = scoped_join(root, &format!("{}/{path}", shown(root, directory))).is_dir();
        if present || !spec.ignore_missing_components {
            components.push(path.clone().into());
        }
    }
    append(content, "components", components);

    let merges = spec.patches_strategic_merge.iter().map(|patch| Value::String(patch.to_string()));
    append(content, "patchesStrategicMerge", merges);
    let operations = spec.patches_json6902.iter().map(|patch| {
        let list = serde_json::to_string(&patch.patch).unwrap_or_default();
        json!({"target": target(&patch.target), "patch": list})
    });
    append(content, "patchesJson6902", operations);

    for image in &spec.images {
        merge_image(content, image);
    }
    if !spec.build_metadata.is_empty() {
        content["buildMetadata"] = json!(spec.build_metadata);
    }
    Ok(())
}

fn append(content: &mut Value, field: &str, items: impl IntoIterator<Item = Value>) {
    let mut items = items.into_iter().peekable();
    if items.peek().is_none() {
        return;
    }
    match &mut content[field] {
        Value::Array(list) => list.extend(items),
        other => *other = items.collect(),
    }
}

fn target(selector: &Selector) -> Value {
    serde_json::to_value(selector).unwrap_or_default()
}

/// Neither a URL, nor a git address, nor an absolute path.
fn is_local(path: &str) -> bool {
    !path.starts_with('/')
        && !path.contains("://")
        && !path.starts_with("git@")
        && !path.starts_with("git::")
        && !path.contains(".git//")
        && !path.starts_with("github.com/")
}

/// Sets name, tag and digest of an image: a tag or digest replaces both, whatever the file says.
fn merge_image(content: &mut Value, image: &Image) {
    let list = &mut content["images"];
    if !list.is_array() {
        *list = json!([]);
    }
    let Value::Array(list) = list else { return };
    let known = list.iter_mut().find(|known| known.get("name").and_then(Value::as_str) == Some(&image.name));
    let entry = match known {
        Some(entry) => entry,
        None => {
            list.push(json!({"name": image.name}));
            match list.last_mut() {
                Some(entry) => entry,
                None => return,
            }
        }
    };
    let Value::Object(entry) = entry else { return };
    if !image.new_name.is_empty() {
        entry.insert("newName".to_owned(), image.new_name.clone().into());
    }
    if !image.new_tag.is_empty() || !image.digest.is_empty() {
        for (field, text) in [("newTag", &image.new_tag), ("digest", &image.digest)] {
            if text.is_empty() {
                entry.remove(field);
            } else {
                entry.insert(field.to_owned(), text.clone().into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_artifact::ignore::Patterns;

    use super::*;

    fn spec(extra: &Value) -> KustomizationSpec {
        let mut value =
            json!({"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "x"}});
        for (key, field) in extra.as_object().unwrap() {
            value[key] = field.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const OBJECT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";

    #[test]
    fn paths_never_leave_the_root() {
        let root = Path::new("/r");
        for (path, joined) in
            [("", "/r"), ("./a/b", "/r/a/b"), ("../..", "/r"), ("/etc", "/r/etc"), ("a/../../b", "/r/b")]
        {
            assert_eq!(scoped_join(root, path), Path::new(joined), "{path:?}");
        }
    }

    #[test]
    fn manifests_are_listed_in_order_and_overlays_are_not_entered() {
        let root = tree(&[
            ("b.yaml", OBJECT),
            ("a/x.yml", OBJECT),
            ("c/kustomization.yml", "resources: []"),
            ("c/ignored.yaml", "not: kubernetes"),
            ("README.md", "text"),
        ]);
        let generated = generate(root.path(), root.path(), &spec(&json!({})), &Rules::default()).unwrap();
        assert_eq!(generated.file, "kustomization.yaml");
        assert_eq!(generated.content["resources"], json!(["a/x.yml", "b.yaml", "c"]));
    }

    #[test]
    fn what_is_ignored_is_not_listed_and_need_be_no_object() {
        let root = tree(&[("a.yaml", OBJECT), ("values/x.yaml", "a: b"), ("b.yaml", OBJECT)]);
        let mut patterns = Patterns::new();
        for line in ["values/", "/b.yaml"] {
            patterns.read(b"", line.as_bytes());
        }
        let ignored = Rules::only(patterns);
        let generated = generate(root.path(), root.path(), &spec(&json!({})), &ignored).unwrap();
        assert_eq!(generated.content["resources"], json!(["a.yaml"]));
    }

    #[test]
    fn what_is_no_object_is_an_error_that_names_the_file() {
        let root = tree(&[("d/values.yaml", "a: b\n")]);
        let error = generate(root.path(), root.path(), &spec(&json!({})), &Rules::default()).unwrap_err();
        assert!(error.starts_with("failed to decode Kubernetes YAML from d/values.yaml: "), "{error}");
    }

    #[test]
    fn an_empty_directory_builds_to_nothing() {
        let root = tree(&[("README.md", "")]);
        let generated = generate(root.path(), root.path(), &spec(&json!({})), &Rules::default()).unwrap();
        assert_eq!(generated.content["namespace"], "_placeholder");
    }

    #[test]
    fn the_spec_is_laid_over_the_file() {
        let root = tree(&[(
            "Kustomization",
            "resources: [x.yaml]\nnamespace: old\nimages: [{name: app, newTag: v1, digest: sha256:1}]\npatches: [{path: p}]\n",
        )]);
        let spec = spec(&json!({
            "targetNamespace": "new", "namePrefix": "p-", "components": ["gone"], "ignoreMissingComponents": true,
            "patches": [{"patch": "x", "target": {"kind": "A"}}],
            "images": [{"name": "app", "newTag": "v2"}, {"name": "b", "newName": "c"}],
            "patchesStrategicMerge": [{"kind": "B"}],
        }));
        let generated = generate(root.path(), root.path(), &spec, &Rules::default()).unwrap();
        assert_eq!(generated.file, "Kustomization");
        assert_eq!(
            generated.content,
            json!({
                "resources": ["x.yaml"], "namespace": "new", "namePrefix": "p-",
                "patches": [{"path": "p"}, {"patch": "x", "target": {"kind": "A"}}],
                "images": [{"name": "app", "newTag": "v2"}, {"name": "b", "newName": "c"}],
                "patchesStrategicMerge": ["{\"kind\":\"B\"}"],
            })
        );
    }

    #[test]
    fn components_from_elsewhere_are_refused() {
        let root = tree(&[("x.yaml", OBJECT)]);
        for path in ["https://x.io/y", "/etc", "git@x.io:y", "file:///etc"] {
            let error =
                generate(root.path(), root.path(), &spec(&json!({"components": [path]})), &Rules::default())
                    .unwrap_err();
            assert_eq!(error, format!("component path '{path}' must be local and relative"));
        }
    }
}

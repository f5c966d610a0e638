//! What is applied from a repository: what each of its Kustomizations makes of it, and the manifests besides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use sluice_api::kustomize::Kustomization;
use sluice_artifact::Rules;
use sluice_manifests::{Input, Purpose, Variables};

use crate::commands::test::find::{Found, Repository};
use crate::documents;
use crate::kinds::KUSTOMIZATION;

/// Objects by their subject.
type Objects = BTreeMap<String, Value>;

/// What is applied, by the Kustomization or the file that it comes from.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    pub(super) groups: BTreeMap<String, Objects>,
    /// What cannot be built, as `group: why`.
    pub(super) errors: Vec<String>,
}

impl Rendered {
    pub(super) fn group(&self, name: &str) -> Objects {
        self.groups.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn is_broken(&self, name: &str) -> bool {
        self.errors.iter().any(|error| error.strip_prefix(name).is_some_and(|rest| rest.starts_with(": ")))
    }

    fn add(&mut self, group: &str, subject: String, object: Value) {
        self.groups.entry(group.to_owned()).or_default().insert(subject, object);
    }
}

/// Reads a repository. With `below`, only Kustomizations that are defined there, and manifests there, count.
pub(super) fn render(root: &Path, below: Option<&str>) -> Result<Rendered> {
    let root = root.canonicalize().with_context(|| root.display().to_string())?;
    let repository = Repository::read(&root)?;
    let below = below.map(|path| path.trim_start_matches("./").trim_matches('/').to_owned());
    let counts = |found: &&Found| {
        let Some(below) = &below else { return true };
        found.file == *below || found.file.starts_with(&format!("{below}/"))
    };
    let mut rendered = Rendered::default();
    let mut covered = BTreeSet::new();
    for found in repository.objects.iter().filter(|found| found.kind() == Some(&KUSTOMIZATION)) {
        if !found.object.reference("/spec/sourceRef").is_some_and(|reference| repository.is_this(&reference))
        {
            continue;
        }
        covered.insert(folder(&root, found.object.text("/spec/path")));
        if counts(&found) {
            build(&root, found, &mut rendered);
        }
    }
    let bases = bases(&root, &repository);
    // Where Kustomizations say what is applied, an overlay that none of them names is not.
    let is_applied = |path: &Path| covered.is_empty() || !path.is_dir();
    for found in repository.objects.iter().filter(counts) {
        let path = root.join(&found.file);
        let by_another = path.ancestors().any(|above| covered.contains(above)) || bases.contains(&path);
        if !by_another && is_applied(&path) {
            rendered.add(&found.file, found.subject(), found.object.0.clone());
        }
    }
    let unread = repository.findings.iter().filter(|finding| {
        ["syntax", "build"].contains(&finding.rule)
            && !root.join(&finding.file).ancestors().any(|above| covered.contains(above))
            && !bases.contains(&root.join(&finding.file))
            && is_applied(&root.join(&finding.file))
    });
    rendered.errors.extend(unread.map(|finding| format!("{}: {}", finding.file, finding.message)));
    Ok(rendered)
}

fn folder(root: &Path, path: &str) -> PathBuf {
    let joined = root.join(path.trim_start_matches('/'));
    joined.canonicalize().unwrap_or(joined)
}

/// Builds a Kustomization as the controller does, without what only a cluster knows.
fn build(root: &Path, found: &Found, rendered: &mut Rendered) {
    let group = found.subject();
    let object: Kustomization = match serde_json::from_value(found.object.0.clone()) {
        Ok(object) => object,
        Err(error) => return rendered.errors.push(format!("{group}: {error}")),
    };
    let input = Input {
        root: root.to_owned(),
        variables: object.spec.post_build.as_ref().map(|post_build| Variables::given(post_build, false)),
        spec: object.spec,
        decryptor: None,
        ignored: Rules::default(),
        network: None,
        purpose: Purpose::Show,
        owner_name: found.object.name().to_owned(),
        owner_namespace: found.object.namespace().to_owned(),
    };
    // Two definitions of one name, as the overlays of two clusters have them, are told apart by their files.
    let group =
        if rendered.groups.contains_key(&group) { format!("{group} ({})", found.file) } else { group };
    match sluice_manifests::build(&input) {
        Ok(built) => {
            rendered.groups.entry(group.clone()).or_default();
            for object in built.objects {
                let subject = object.id().to_string();
                rendered.add(&group, subject, object.into_value());
            }
        }
        Err(error) => rendered.errors.push(format!("{group}: {error}")),
    }
}

/// The overlays that other overlays are made of.
fn bases(root: &Path, repository: &Repository) -> BTreeSet<PathBuf> {
    let mut bases = BTreeSet::new();
    let files = repository.objects.iter().map(|found| &found.file);
    let folders: BTreeSet<PathBuf> = files
        .chain(repository.findings.iter().map(|finding| &finding.file))
        .map(|file| root.join(file))
        .collect();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let names = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
        let text = names.iter().find_map(|name| std::fs::read_to_string(folder.join(name)).ok());
        let Some(Ok(documents)) = text.map(|text| documents::read_all(&text)) else { continue };
        for field in ["resources", "bases", "components"] {
            let entries = documents.iter().filter_map(|document| document[field].as_array()).flatten();
            let paths = entries.filter_map(Value::as_str).map(|entry| folder.join(entry));
            bases.extend(paths.filter(|path| path.is_dir()).filter_map(|path| path.canonicalize().ok()));
        }
    }
    bases
}

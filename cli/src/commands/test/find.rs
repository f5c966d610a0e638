//! Everything that a repository holds: the manifests of its files, and what its Kustomizations make of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sluice_kustomize::{DiskFileSystem, Options};

use super::{Finding, Level};
use crate::documents;
use crate::kinds::{GIT_REPOSITORY, HELM_RELEASE, KUSTOMIZATION, Kind};
use crate::object::{Object, Reference};

/// An object and where it comes from.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Found {
    /// The file, or the directory that was built, from the root of the repository.
    pub(in crate::commands) file: String,
    pub(in crate::commands) object: Object,
}

/// A repository that was read.
#[derive(Debug, Default)]
pub(in crate::commands) struct Repository {
    pub(in crate::commands) objects: Vec<Found>,
    pub(in crate::commands) findings: Vec<Finding>,
}

/// The names of kustomize's own files.
const OVERLAYS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

impl Found {
    /// `Kind/namespace/name`.
    pub(in crate::commands) fn subject(&self) -> String {
        let (kind, namespace, name) = (self.object.kind(), self.object.namespace(), self.object.name());
        if namespace.is_empty() { format!("{kind}/{name}") } else { format!("{kind}/{namespace}/{name}") }
    }

    /// Whether it is of one of Flux's kinds.
    pub(in crate::commands) fn kind(&self) -> Option<&'static Kind> {
        let (group, _) = self.object.text("/apiVersion").split_once('/')?;
        Kind::named(self.object.kind()).filter(|kind| kind.group == group)
    }

    pub(in crate::commands) fn finding(
        &self,
        level: Level,
        rule: &'static str,
        message: impl Into<String>,
    ) -> Finding {
        Finding { file: self.file.clone(), subject: self.subject(), level, rule, message: message.into() }
    }
}

impl Repository {
    pub(in crate::commands) fn read(root: &Path) -> Result<Self> {
        if !root.is_dir() {
            bail!("{} is no directory", root.display());
        }
        let root = root.canonicalize()?;
        let mut repository = Self::default();
        let mut files = Vec::new();
        walk(&root, &mut files)?;
        files.sort();
        // Files of an overlay are patches and values as often as manifests: only what is built of them counts.
        let overlays: BTreeSet<PathBuf> = files
            .iter()
            .filter(|file| is_overlay(file))
            .filter_map(|file| file.parent())
            .map(Path::to_owned)
            .collect();
        for file in &files {
            let inside = file.parent().is_some_and(|folder| overlays.contains(folder));
            let below_chart = file.ancestors().any(|folder| folder.join("Chart.yaml").is_file());
            if !is_overlay(file) && !inside && !below_chart {
                repository.file(&root, file);
            }
        }
        for folder in &overlays {
            repository.overlay(&root, folder);
        }
        repository.paths(&root);
        Ok(repository)
    }

    fn file(&mut self, root: &Path, path: &Path) {
        let file = shown(root, path);
        let read = std::fs::read_to_string(path)
            .context("it cannot be read")
            .and_then(|text| documents::read_all(&text));
        match read {
            Ok(documents) => self.add(&file, documents),
            Err(error) => self.tell(&file, "syntax", &format!("{error:#}")),
        }
    }

    fn overlay(&mut self, root: &Path, folder: &Path) {
        let file = shown(root, folder);
        let text = OVERLAYS.iter().find_map(|name| std::fs::read_to_string(folder.join(name)).ok());
        if text.is_some_and(|text| text.contains("kind: Component")) {
            // A component is built by those who name it.
            return;
        }
        let built = sluice_kustomize::build(
            &DiskFileSystem::new(),
            None,
            &folder.display().to_string(),
            &Options::cli(),
        );
        let read =
            built.map_err(anyhow::Error::from).and_then(|output| documents::read_all(&output.to_yaml()?));
        match read {
            Ok(documents) => self.add(&file, documents),
            Err(error) => self.tell(&file, "build", &format!("{error:#}")),
        }
    }

    fn add(&mut self, file: &str, documents: Vec<Value>) {
        for document in documents {
            let items = if document["kind"] == "List" {
                document["items"].as_array().cloned().unwrap_or_default()
            } else {
                vec![document]
            };
            for item in items {
                // Values of charts and files of other tools are no objects.
                let is_object = item["apiVersion"].is_string() && item["kind"].is_string();
                if is_object && item.pointer("/metadata/name").is_some() {
                    self.objects.push(Found { file: file.to_owned(), object: Object(item) });
                }
            }
        }
    }

    /// The directories that Kustomizations name.
    fn paths(&mut self, root: &Path) {
        let mut missing = Vec::new();
        for found in &self.objects {
            let (Some(kind), object) = (found.kind(), &found.object) else { continue };
            let (reference, path) = if *kind == KUSTOMIZATION {
                ("/spec/sourceRef", object.text("/spec/path"))
            } else if *kind == HELM_RELEASE {
                ("/spec/chart/spec/sourceRef", object.text("/spec/chart/spec/chart"))
            } else {
                continue;
            };
            let Some(reference) = object.reference(reference) else { continue };
            if !self.is_this(&reference)
                || path.contains("${")
                || root.join(path.trim_start_matches('/')).is_dir()
            {
                continue;
            }
            let message = format!("the path {path:?} is no directory of this repository");
            missing.push(found.finding(Level::Error, "path", message));
        }
        self.findings.extend(missing);
    }

    /// Whether a source is the repository that is checked: the one that a bootstrap wrote, or the only one there is.
    pub(in crate::commands) fn is_this(&self, reference: &Reference) -> bool {
        if reference.kind != "GitRepository" {
            return false;
        }
        // A bootstrap names its source after its namespace.
        let bootstrapped = |found: &&Found| found.object.name() == found.object.namespace();
        let mut all = self.objects.iter().filter(|found| found.kind() == Some(&GIT_REPOSITORY));
        if all.clone().any(|found| bootstrapped(&found)) {
            return reference.name == reference.namespace;
        }
        let only = all.next().map(|found| found.object.name());
        only.is_some_and(|only| only == reference.name && all.all(|found| found.object.name() == only))
    }

    fn tell(&mut self, file: &str, rule: &'static str, message: &str) {
        self.findings.push(Finding {
            file: file.to_owned(),
            subject: String::new(),
            level: Level::Error,
            rule,
            message: message.to_owned(),
        });
    }

    /// The objects that a reference means; a namespace that is not written fits any.
    pub(in crate::commands) fn named(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = &Found> {
        let fits = move |found: &&Found| {
            let object = &found.object;
            let own = object.namespace();
            object.kind() == kind
                && object.name() == name
                && (own == namespace || own.is_empty() || namespace.is_empty())
        };
        self.objects.iter().filter(fits)
    }
}

fn is_overlay(path: &Path) -> bool {
    path.file_name().is_some_and(|name| OVERLAYS.iter().any(|overlay| name == *overlay))
}

fn shown(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path).display().to_string();
    if relative.is_empty() { ".".to_owned() } else { relative }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        let name = name.to_string_lossy();
        if kind.is_dir() && !name.starts_with('.') {
            walk(&entry.path(), files)?;
        } else if kind.is_file()
            && (name.ends_with(".yaml") || name.ends_with(".yml") || name == "Kustomization")
            && !name.starts_with('.')
        {
            files.push(entry.path());
        }
    }
    Ok(())
}

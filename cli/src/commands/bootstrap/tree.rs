//! The files of a repository or an artifact, in a directory of ours while they are changed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow};

use super::layout;

/// A directory with the files.
pub(super) struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    /// An empty one.
    pub(super) fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::Builder::new().prefix("sluice-bootstrap-").tempdir()? })
    }

    /// Where the files are.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A `kustomization.yaml` for a directory that has none.
    pub(super) fn missing_kustomization(&self, directory: &str) -> Result<Option<String>> {
        for name in [layout::KUSTOMIZATION, "kustomization.yml", "Kustomization"] {
            if self.read(&format!("{directory}/{name}"))?.is_some() {
                return Ok(None);
            }
        }
        Ok(Some(layout::kustomization(&self.manifests(directory)?)))
    }

    /// A file, if it is there.
    pub(super) fn read(&self, path: &str) -> Result<Option<String>> {
        match std::fs::read_to_string(self.folder().join(path)) {
            Ok(text) => Ok(Some(text)),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(anyhow!(error).context(format!("{path} in the repository cannot be read"))),
        }
    }

    /// The names of the manifests in a directory, sorted.
    pub(super) fn manifests(&self, directory: &str) -> Result<Vec<String>> {
        let Ok(entries) = std::fs::read_dir(self.folder().join(directory)) else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && (name.ends_with(".yaml") || name.ends_with(".yml")) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Writes files; returns those that are new or were different.
    pub(super) fn write(&mut self, files: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
        let mut changed = BTreeMap::new();
        for (path, content) in files {
            if self.read(&path)?.as_ref() == Some(&content) {
                continue;
            }
            let place = self.folder().join(&path);
            if let Some(parent) = place.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&place, &content)?;
            changed.insert(path, content);
        }
        Ok(changed)
    }
}

//! The content of an artifact with some files replaced in memory, so that nothing is ever written next to it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use sluice_kustomize::{DiskFileSystem, FileSystem, Place};

use crate::bases::Network;

/// A directory that nothing leaves, with replaced files over it.
pub(crate) struct Overlay {
    disk: DiskFileSystem,
    root: PathBuf,
    replaced: BTreeMap<String, Vec<u8>>,
    /// Where bases of other machines lie, if they are allowed.
    network: Option<Arc<Network>>,
}

impl Overlay {
    /// The files of `root`, which has no links in its own path.
    pub(crate) fn new(root: &Path, network: Option<Arc<Network>>) -> Result<Self, String> {
        let disk = DiskFileSystem::confined(root).map_err(|error| error.to_string())?;
        Ok(Self { disk, root: root.to_owned(), replaced: BTreeMap::new(), network })
    }

    /// The files of the fetched base that a path lies in.
    fn fetched(&self, path: &str) -> Option<Result<DiskFileSystem, String>> {
        let folder = self.network.as_ref()?.folder_of(&plain(Path::new(path)))?;
        Some(DiskFileSystem::confined(&folder).map_err(|error| error.to_string()))
    }

    /// Puts other content in the place of a file, or a file where there is none.
    pub(crate) fn replace(&mut self, path: &Path, content: Vec<u8>) {
        self.replaced.insert(path.to_string_lossy().into_owned(), content);
    }

    /// Whether a path, by its text alone, leads below the root. Links are the disk's to judge.
    fn is_inside(&self, path: &str) -> bool {
        let path = Path::new(path);
        if path.is_relative() {
            return true;
        }
        plain(path).starts_with(&self.root)
    }

    fn outside(&self, path: &str) -> String {
        let root = self.root.display();
        format!("fs-security-constraint open {path}: path '{path}' is not in or below '{root}'")
    }

    /// A text without the name of the temporary directory.
    pub(crate) fn relative(&self, text: &str) -> String {
        let root = self.root.to_string_lossy();
        // The root of the disk is in every path.
        if root == "/" {
            return text.to_owned();
        }
        text.replace(&format!("{root}/"), "").replace(&*root, ".")
    }
}

/// A path without `..`, by its text alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

impl FileSystem for Overlay {
    fn resolve(&self, path: &str) -> Result<Place, String> {
        if self.replaced.contains_key(path)
            && let Some((directory, file)) = path.rsplit_once('/')
        {
            return Ok(Place { directory: directory.to_owned(), file: Some(file.to_owned()) });
        }
        if let Some(files) = self.fetched(path) {
            return files?.resolve(path);
        }
        // Before anybody looks: not even whether a file outside is there may be told.
        if !self.is_inside(path) {
            return Err(self.outside(path));
        }
        self.disk.resolve(path).map_err(|error| {
            let escapes = error.contains("is not in or below");
            if escapes { format!("fs-security-constraint {error}") } else { error }
        })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if let Some(files) = self.fetched(path) {
            return files?.read(path);
        }
        match self.replaced.get(path) {
            Some(content) => Ok(content.clone()),
            None if !self.is_inside(path) => Err(self.outside(path)),
            None => self.disk.read(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_told_of_not_even_whether_it_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        std::fs::write(root.join("in.yaml"), "a: b").unwrap();
        let files = Overlay::new(&root, None).unwrap();
        let of = |path: &str| files.resolve(&format!("{}/{path}", root.display())).map(|_| ());
        assert_eq!(of("in.yaml"), Ok(()));
        assert_eq!(of("a/../in.yaml"), Ok(()));
        for path in ["../../../../../etc/hosts", "../../../../../no/such/file", ".."] {
            assert!(of(path).unwrap_err().contains("is not in or below"), "{path}");
        }
    }
}

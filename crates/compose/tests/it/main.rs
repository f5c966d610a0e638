//! What copies make of sources.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod captures;
mod compose;
mod hostile;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sluice_compose::{Error, Operation, Strategy, compose};

/// Sources with files, and a target to compose.
struct Work {
    folder: tempfile::TempDir,
    sources: BTreeMap<String, PathBuf>,
}

impl Work {
    /// `files`: `source/path` and content.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut sources = BTreeMap::new();
        for (path, content) in files {
            let (alias, _) = path.split_once('/').unwrap();
            let file = folder.path().join("sources").join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
            sources.insert(alias.to_owned(), folder.path().join("sources").join(alias));
        }
        fs::create_dir(folder.path().join("target")).unwrap();
        Work { folder, sources }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    /// The files that come of these operations, with their content.
    fn compose(&self, operations: &[Operation]) -> Result<Vec<(String, String)>, Error> {
        compose(operations, &self.sources, &self.target())?;
        let mut files = Vec::new();
        list(&self.target(), &self.target(), &mut files);
        files.sort();
        Ok(files)
    }
}

fn list(root: &Path, directory: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn copy(from: &str, to: &str) -> Operation {
    Operation { from: from.to_owned(), to: to.to_owned(), ..Operation::default() }
}

fn with(strategy: Strategy, from: &str, to: &str) -> Operation {
    Operation { strategy, ..copy(from, to) }
}

fn without(exclude: &[&str], from: &str, to: &str) -> Operation {
    Operation { exclude: exclude.iter().map(|text| (*text).to_owned()).collect(), ..copy(from, to) }
}

/// The whole chain of an error.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

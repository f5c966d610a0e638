//! Builds compared with kustomize's own.

mod cases;
mod declared;
mod encodings;
mod hostile;
mod kinds;
mod messages;
mod overlay;
mod random;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use sluice_kustomize::{MemoryFileSystem, Options, build};

/// Paths and contents of one build.
type Files = BTreeMap<String, String>;

/// What the program printed, or the text of its error.
type Built = Result<String, String>;

/// The directory that is built: `over` if the files have one.
fn target(files: &Files) -> &'static str {
    if files.keys().any(|path| path.starts_with("over/")) { "/case/over" } else { "/case" }
}

fn ours(files: &Files) -> Built {
    let mut system = MemoryFileSystem::new();
    for (path, content) in files {
        system.insert(&format!("/case/{path}"), content.as_bytes());
    }
    build(&system, None, target(files), &Options::cli())
        .and_then(|output| output.to_yaml())
        .map_err(|error| error.to_string())
}

/// Builds with kustomize itself, in a directory of its own.
fn theirs(kustomize: &Path, files: &Files) -> Built {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (path, content) in files {
        let path = directory.path().join("case").join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, content).expect("a file");
    }
    let target = directory.path().join(target(files).trim_start_matches('/'));
    let output = Command::new(kustomize).arg("build").arg(&target).output().expect("kustomize runs");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("text"))
    } else {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(text.replace(&directory.path().display().to_string(), ""))
    }
}

/// The first lines in which two texts differ.
fn difference(expected: &str, actual: &str) -> String {
    let (mut left, mut right) = (expected.lines(), actual.lines());
    let mut number = 1;
    loop {
        match (left.next(), right.next()) {
            (None, None) => return "only line ends differ".to_owned(),
            (one, two) if one == two => number += 1,
            (one, two) => return format!("line {number}\n  kustomize: {one:?}\n  sluice:    {two:?}"),
        }
    }
}

/// Nothing if both succeed with the same text or both fail.
fn compare(expected: &Built, actual: &Built) -> Option<String> {
    match (expected, actual) {
        (Ok(expected), Ok(actual)) if expected == actual => None,
        (Ok(expected), Ok(actual)) => Some(difference(expected, actual)),
        (Err(_), Err(_)) => None,
        (Ok(_), Err(error)) => Some(format!("only sluice fails: {error}")),
        (Err(error), Ok(_)) => Some(format!("only kustomize fails: {error}")),
    }
}

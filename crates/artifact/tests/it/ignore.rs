//! Answers of fluxcd/pkg/sourceignore v0.18.0.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;
use sluice_artifact::ignore::{Patterns, Rules};

use crate::archive::list;

#[derive(Deserialize)]
struct Case {
    id: String,
    patterns: Vec<String>,
    path: String,
    is_dir: bool,
    ignored: bool,
    ignored_with_defaults: bool,
    patterns_read: usize,
}

#[test]
fn paths_match_as_in_the_reference() {
    let mut failures = Vec::new();
    for line in include_str!("fixtures/sourceignore.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let mut patterns = Patterns::new();
        patterns.read(b"", case.patterns.join("\n").as_bytes());
        assert_eq!(patterns.len(), case.patterns_read, "{}", case.id);
        let path = case.path.as_bytes();
        let plain = Rules::only(patterns.clone()).ignores(path, case.is_dir);
        let defaults = Rules::with_defaults(patterns).ignores(path, case.is_dir);
        if (plain, defaults) != (case.ignored, case.ignored_with_defaults) {
            failures.push(format!("{}: {:?} {} → {plain} {defaults}", case.id, case.patterns, case.path));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[derive(Deserialize)]
struct Tree {
    id: String,
    files: BTreeMap<String, String>,
    ignore: Option<String>,
    included_files: Vec<String>,
    included_dirs: Vec<String>,
}

#[test]
fn trees_are_archived_as_in_the_reference() {
    for line in include_str!("fixtures/sourceignore-tree.jsonl").lines() {
        let case: Tree = serde_json::from_str(line).unwrap();
        let root = tempfile::tempdir().unwrap();
        for (path, text) in &case.files {
            let target = root.path().join(path);
            if path.ends_with('/') {
                fs::create_dir_all(target).unwrap();
            } else {
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                fs::write(target, text).unwrap();
            }
        }
        let mut patterns = Patterns::load(root.path()).unwrap();
        patterns.read(b"", case.ignore.unwrap_or_default().as_bytes());
        let rules = Rules::for_source(patterns);
        let bytes = sluice_artifact::archive::write_directory(root.path(), &rules, Vec::new()).unwrap();
        let entries = list(&bytes);
        let names = |directory: bool| {
            let mut names: Vec<String> =
                entries.iter().filter(|e| e.directory == directory).map(|e| e.name.clone()).collect();
            names.sort();
            names
        };
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(names(false), sorted(case.included_files), "{}", case.id);
        assert_eq!(names(true), sorted(case.included_dirs), "{}", case.id);
    }
}

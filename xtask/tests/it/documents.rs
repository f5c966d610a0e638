//! What the documents say of the tree: links lead somewhere, and the map has everything.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::architecture;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

/// The folders in a folder, without what tools leave.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the repository");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let kept = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_dir() && !name.starts_with('.') && !name.starts_with("target")
    };
    paths.filter(kept).collect()
}

/// The Markdown files below a folder.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    for below in folders(folder) {
        documents(&below, found);
    }
}

/// A text without code, which may look like links.
fn prose(text: &str) -> String {
    text.split('`').step_by(2).collect()
}

/// Where the relative links of a text lead.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':'))
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut all = Vec::new();
    documents(&root(), &mut all);
    assert!(all.len() > 20, "the documents are found: {all:?}");
    let mut dead = Vec::new();
    for document in all {
        let text = prose(&fs::read_to_string(&document).expect("a document"));
        let folder = document.parent().expect("a folder");
        for link in links(&text).filter(|link| !folder.join(link).exists()) {
            dead.push(format!("{}: {link}", document.display()));
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn every_package_and_folder_is_on_the_map() {
    let map = fs::read_to_string(root().join("docs/architecture.md")).expect("the map");
    let rows: Vec<&str> = map.lines().filter(|line| line.starts_with("| `")).collect();
    let places: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|place| place.trim_end_matches('/'))
        .collect();
    // Small engines share a row, which names the folder of all of them once.
    let is_there = |place: &str| {
        places.contains(place) || place.strip_prefix("crates/").is_some_and(|engine| places.contains(engine))
    };
    let metadata = architecture::metadata();
    let manifests = metadata["packages"].as_array().into_iter().flatten();
    let packages = manifests.filter_map(|package| package["manifest_path"].as_str());
    let packages = packages.map(architecture::path_in_repository);
    let top = folders(&root()).into_iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?.to_owned();
        (name != "crates").then_some(name)
    });
    let missing: Vec<String> = packages.chain(top).filter(|place| !is_there(place)).collect();
    assert!(missing.is_empty(), "not in the table of docs/architecture.md: {missing:?}");
}

#[test]
fn targets_of_make_that_documents_name_are_there() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile");
    let mut all = Vec::new();
    documents(&root(), &mut all);
    let mut unknown = Vec::new();
    for document in all {
        let text = fs::read_to_string(&document).expect("a document");
        for rest in text.split("`make ").skip(1) {
            let target: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            if !target.is_empty() && !makefile.contains(&format!("\n{target}:")) {
                unknown.push(format!("{}: make {target}", document.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "no such targets:\n{}", unknown.join("\n"));
}

#[test]
fn links_are_told_from_addresses() {
    let text = prose("[a](b/c.md#d) `[x](y)` [e](https://host/x) ![f](g.svg) [h](#i) [j](k.md \"title\")");
    assert_eq!(links(&text).collect::<Vec<_>>(), ["b/c.md", "g.svg", "k.md"]);
}

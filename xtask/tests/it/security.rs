//! `docs/security.md` names the tests that show what it says: each of them must be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of all functions in the Rust files below a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !name.starts_with('.') && !name.starts_with("target") {
                functions(&path, names);
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            names.extend(text.lines().filter_map(|line| {
                let (_, after) = line.split_once("fn ")?;
                Some(after.split(['(', '<']).next().unwrap_or_default().to_owned())
            }));
        }
    }
}

#[test]
fn every_test_that_the_security_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository");
    let mut known = BTreeSet::new();
    functions(root, &mut known);
    let page = fs::read_to_string(root.join("docs/security.md")).expect("the page");
    let named: Vec<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| {
            name.matches('_').count() >= 2 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        })
        .collect();
    assert!(named.len() > 40, "the page names tests: {named:?}");
    let gone: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(gone.is_empty(), "named in docs/security.md and gone: {gone:?}");
}

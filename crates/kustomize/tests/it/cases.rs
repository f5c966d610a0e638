//! The cases of `tests/cases/*.txt`, whose answers kustomize itself has given.
//!
//! A case starts with `### name` and holds files, each after `=== path`.
//! The answers lie next to it as `.golden`, and are made anew with `SLUICE_UPDATE_GOLDENS=1`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::{Built, Files, compare, ours, theirs};

const VERSION: &str = "v5.8.1";

fn files_of_cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    found.sort();
    found
}

fn parse(text: &str) -> Vec<(String, Files)> {
    let mut cases: Vec<(String, Files)> = Vec::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            cases.push((name.trim().to_owned(), Files::new()));
            current = None;
        } else if let Some(path) = line.strip_prefix("=== ") {
            current = Some(path.trim().to_owned());
        } else if let (Some(path), Some((_, files))) = (&current, cases.last_mut()) {
            let content = files.entry(path.clone()).or_default();
            content.push_str(line);
            content.push('\n');
        }
    }
    for content in cases.iter_mut().flat_map(|(_, files)| files.values_mut()) {
        content.truncate(content.trim_end_matches('\n').len());
        content.push('\n');
    }
    cases
}

fn print_goldens(cases: &[(String, Files)]) -> String {
    let kustomize = sluice_reference::tool("kustomize");
    let mut text = format!("# kustomize {VERSION}\n");
    for (name, files) in cases {
        let (heading, body) = match theirs(&kustomize, files) {
            Ok(body) => ("output", body),
            // Of a crash only the message: the rest changes from run to run.
            Err(body) if body.starts_with("panic: ") => {
                ("error", body.lines().next().unwrap_or_default().to_owned())
            }
            Err(body) => ("error", body),
        };
        writeln!(text, "### {name}\n=== {heading}\n{}", body.trim_end_matches('\n')).expect("a string");
    }
    text
}

fn parse_goldens(text: &str) -> BTreeMap<String, Built> {
    assert!(text.starts_with(&format!("# kustomize {VERSION}\n")), "the goldens are of another version");
    parse(text)
        .into_iter()
        .map(|(name, mut files)| match files.remove("output") {
            Some(output) if output == "\n" => (name, Ok(String::new())),
            Some(output) => (name, Ok(output)),
            None => (name, Err(files.remove("error").unwrap_or_default())),
        })
        .collect()
}

#[test]
fn builds_every_case_as_kustomize_does() {
    let mut failures = Vec::new();
    let mut total = 0;
    for path in files_of_cases() {
        let cases = parse(&std::fs::read_to_string(&path).expect("a file of cases"));
        let golden = path.with_extension("golden");
        if std::env::var_os("SLUICE_UPDATE_GOLDENS").is_some() {
            std::fs::write(&golden, print_goldens(&cases)).expect("the goldens");
        }
        let mut expected = parse_goldens(&std::fs::read_to_string(&golden).expect("the goldens"));
        for (name, files) in cases {
            total += 1;
            let Some(expected) = expected.remove(&name) else {
                failures.push(format!("{name}: no golden"));
                continue;
            };
            let actual = ours(&files).map(|text| format!("{}\n", text.trim_end_matches('\n')));
            let expected = expected.map(|text| if text.is_empty() { "\n".to_owned() } else { text });
            let differs = compare(&expected, &actual);
            if let Some(difference) = differs {
                failures.push(format!("{name}: {difference}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {total} cases differ:\n{}", failures.len(), failures.join("\n"));
}

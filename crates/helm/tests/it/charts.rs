//! Charts in the way of well-known ones, with what the reference prints for several sets of values.
//!
//! `tests/cases/NAME.chart` holds the files of a chart behind lines `=== PATH`; `sets/*.yaml` are values, and a first
//! line `# args:` in one adds options. `tests/expected/NAME.txt` holds what helm v4.3.1 printed, made by
//! `SLUICE_UPDATE=1 cargo test -p sluice-helm --test it`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sluice_gotemplate::SystemHost;
use sluice_helm::chart::{File, load_files, missing_dependencies};
use sluice_helm::template::{check_installable, render_chart};
use sluice_helm::values::ValueSources;
use sluice_helm::{KubeVersion, TemplateError, TemplateOptions};

use crate::reference::helm_template;

/// Files by path, in order.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) files: Vec<(String, String)>,
    pub(crate) sets: BTreeMap<String, String>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Splits a text at lines `=== NAME`.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match (line.strip_prefix("=== "), sections.last_mut()) {
            (Some(name), _) => sections.push((name.trim_end().to_owned(), String::new())),
            (None, Some((_, content))) => content.push_str(line),
            (None, None) => {}
        }
    }
    sections
}

fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder("cases"))
        .expect("the cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

/// The case of that name.
pub(crate) fn case_named(name: &str) -> Case {
    case(&folder("cases").join(format!("{name}.chart")))
}

fn case(path: &Path) -> Case {
    let text = fs::read_to_string(path).expect("a case");
    let mut sets = BTreeMap::from([("default".to_owned(), String::new())]);
    let mut files = Vec::new();
    for (name, content) in sections(&text) {
        match name.strip_prefix("sets/") {
            Some(set) => drop(sets.insert(set.trim_end_matches(".yaml").to_owned(), content)),
            None => files.push((name, content)),
        }
    }
    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
    Case { name, files, sets }
}

/// The options in the first line of a set.
pub(crate) fn arguments(set: &str) -> Vec<String> {
    let first = set.lines().next().unwrap_or_default();
    first.strip_prefix("# args:").unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn options(set: &str) -> (TemplateOptions, ValueSources) {
    let mut options = TemplateOptions {
        release_name: "rel".to_owned(),
        namespace: "ns".to_owned(),
        include_crds: true,
        ..TemplateOptions::default()
    };
    let mut sources = ValueSources::default();
    if !set.is_empty() {
        sources.files.push("set".to_owned());
    }
    let mut arguments = arguments(set).into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value");
        match argument.as_str() {
            "--kube-version" => {
                options.capabilities.kube_version = KubeVersion::parse(&value()).expect("a version");
            }
            "--api-versions" => {
                options.capabilities.api_versions.extend(value().split(',').map(str::to_owned));
            }
            "--is-upgrade" => options.is_upgrade = true,
            "--skip-tests" => options.skip_tests = true,
            "--set" => sources.typed.push(value()),
            "--set-string" => sources.strings.push(value()),
            "--set-json" => sources.json.push(value()),
            other => assert!(other.is_empty(), "unknown option {other}"),
        }
    }
    (options, sources)
}

fn render(case: &Case, set: &str) -> Result<String, TemplateError> {
    let (options, sources) = options(set);
    let values = sources.merge(&mut |_| Ok(set.as_bytes().to_vec())).expect("values");
    let mut files: Vec<File> =
        case.files.iter().map(|(name, content)| File::new(name.as_str(), content.as_bytes())).collect();
    files.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
    let mut chart = load_files(files)?;
    check_installable(&chart)?;
    missing_dependencies(&chart).map_err(TemplateError::MissingDependencies)?;
    render_chart(&mut chart, &values, &options, &mut SystemHost, None)?.text(&options)
}

/// What is compared: the text, or the message.
pub(crate) fn outcome(case: &Case, set: &str) -> String {
    match render(case, set) {
        Ok(text) => text,
        Err(error) => {
            let hint = error.hint().map(|hint| format!("\n\n{hint}")).unwrap_or_default();
            format!("Error: {}\n", format!("{error}{hint}").trim_end())
        }
    }
}

#[test]
fn charts_render_as_helm_renders_them() {
    let update = std::env::var_os("SLUICE_UPDATE").is_some();
    let mut differences = Vec::new();
    let mut count = 0;
    for case in cases() {
        let path = folder("expected").join(format!("{}.txt", case.name));
        if update {
            let mut text = String::new();
            for (name, set) in &case.sets {
                text.push_str(&format!("=== {name}\n{}", helm_template(&case, set)));
            }
            fs::write(&path, text).expect("written");
        }
        let expected: BTreeMap<String, String> =
            sections(&fs::read_to_string(&path).expect("expected output")).into_iter().collect();
        for (name, set) in &case.sets {
            count += 1;
            let got = outcome(&case, set);
            let wanted = expected.get(name).cloned().unwrap_or_default();
            if comparable(&got) != comparable(&wanted) {
                differences.push(format!("{} with {name}: {}", case.name, first_difference(&wanted, &got)));
            }
        }
    }
    assert!(count > 200, "only {count} renderings");
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));
}

/// Helm tells what breaks a schema in no order, and not which line of a template printed what is no YAML.
fn comparable(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    if text.starts_with("Error: YAML parse error") {
        lines.retain(|line| !line.starts_with("  printed by "));
    }
    if text.starts_with("Error: values don't meet") {
        lines.sort_unstable();
    }
    lines
}

fn first_difference(wanted: &str, got: &str) -> String {
    let mut got_lines = got.lines();
    for (number, line) in wanted.lines().enumerate() {
        match got_lines.next() {
            Some(other) if other == line => {}
            other => {
                return format!("line {}\n  helm: {line}\n  ours: {}", number + 1, other.unwrap_or("(end)"));
            }
        }
    }
    format!("after the end of helm's output: {}", got_lines.next().unwrap_or("(nothing)"))
}

#[test]
fn the_same_chart_gives_the_same_bytes() {
    for case in cases() {
        for set in case.sets.values() {
            assert_eq!(outcome(&case, set), outcome(&case, set), "{}", case.name);
        }
    }
}

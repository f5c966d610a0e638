//! Awkward YAML: only the marked scalars change, byte for byte.

use proptest::prelude::*;
use sluice_policy::setters::{FileError, Image, ProblemKind, Setters, Updated, update};

fn setters(tag: &str, digest: &str) -> Setters {
    let image = Image { name: "ghcr.io/org/app".into(), tag: tag.into(), digest: digest.into() };
    Setters::new("ns", [("app".to_owned(), image)].into())
}

fn run(text: &str, tag: &str) -> Updated {
    update(text.as_bytes(), &setters(tag, "")).unwrap()
}

/// The lines that differ, as `old -> new`.
fn diff(text: &str, tag: &str) -> Vec<String> {
    let updated = run(text, tag);
    let after =
        updated.content.map_or_else(|| text.to_owned(), |content| String::from_utf8(content).unwrap());
    let (before, after): (Vec<&str>, Vec<&str>) = (text.split('\n').collect(), after.split('\n').collect());
    assert_eq!(before.len(), after.len());
    let pairs = before.iter().zip(&after).filter(|(before, after)| before != after);
    pairs.map(|(before, after)| format!("{before} -> {after}")).collect()
}

const AWKWARD: &str = "\u{feff}%YAML 1.1\r\n---\r\n# {\"$imagepolicy\": \"ns:app\"}\r\n# a note\r\napiVersion: v1\r\nkind:   Pod\r\nmetadata:\r\n    name: p\t\r\n\r\n\r\nspec:\r\n    containers:\r\n    -   image: old:1    # {\"$imagepolicy\": \"ns:app\"}\r\n        args: [\"--x\", 'old:2',   # {\"$imagepolicy\":\"ns:app\"}\r\n          tail]\r\n        env: &e {name: A, value: \"1.0\"} # not a marker\r\n    -   image: &i 'old:3' # \t {\"$imagepolicy\": \"ns:app\"}\r\n    -   <<: *e\r\n...\r\n---\r\n- old:4 # {\"$imagepolicy\": \"ns:app\"}\r\n# {\"$imagepolicy\": \"ns:app:tag\"}\r\n- v0\r\n- key:\r\n    # {\"$imagepolicy\": \"ns:app:name\"}\r\n    old\r\n- text: | # {\"$imagepolicy\": \"ns:app\"}\r\n    old:5\r\n- folded: >-   # {\"$imagepolicy\": \"ns:app\"}\r\n      old:6\r\n\r\n";

#[test]
fn only_the_marked_scalars_of_awkward_yaml_change() {
    assert_eq!(
        diff(AWKWARD, "v2"),
        [
            "    -   image: old:1    # {\"$imagepolicy\": \"ns:app\"}\r ->     -   image: ghcr.io/org/app:v2    # {\"$imagepolicy\": \"ns:app\"}\r",
            "        args: [\"--x\", 'old:2',   # {\"$imagepolicy\":\"ns:app\"}\r ->         args: [\"--x\", 'ghcr.io/org/app:v2',   # {\"$imagepolicy\":\"ns:app\"}\r",
            "    -   image: &i 'old:3' # \t {\"$imagepolicy\": \"ns:app\"}\r ->     -   image: &i 'ghcr.io/org/app:v2' # \t {\"$imagepolicy\": \"ns:app\"}\r",
            "- old:4 # {\"$imagepolicy\": \"ns:app\"}\r -> - ghcr.io/org/app:v2 # {\"$imagepolicy\": \"ns:app\"}\r",
            "- v0\r -> - v2\r",
            "    old\r ->     ghcr.io/org/app\r",
            "    old:5\r ->     ghcr.io/org/app:v2\r",
            "      old:6\r ->       ghcr.io/org/app:v2\r",
        ]
    );
    let updated = run(AWKWARD, "v2");
    assert_eq!(updated.changes.len(), 8);
    assert_eq!((updated.changes[0].line, updated.changes[0].object.kind.as_str()), (13, "Pod"));
    // The comment above a key is for no scalar.
    assert_eq!(updated.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3]);
}

#[test]
fn what_yaml_1_1_reads_as_something_else_is_quoted() {
    let line = |old: &str, tag: &str| {
        let text = format!("newTag: {old} # {{\"$imagepolicy\": \"ns:app:tag\"}}\n");
        let content = run(&text, tag).content.unwrap();
        let content = String::from_utf8(content).unwrap();
        content.split(" #").next().unwrap().trim_start_matches("newTag: ").to_owned()
    };
    for tag in ["1.10", "012", "1e3", "yes", "on", "null", "2024-01-01", "0x1F", "1_0", "y"] {
        assert_eq!(line("v0", tag), format!("\"{tag}\""), "{tag}");
        assert_eq!(line("'v0'", tag), format!("'{tag}'"), "{tag}");
    }
    for tag in ["v1.10", "1.2.3", "main-abc", "latest", "1.2.3-rc.1"] {
        assert_eq!(line("5", tag), tag, "{tag}");
        assert_eq!(line("\"x\"", tag), format!("\"{tag}\""), "{tag}");
    }
}

#[test]
fn digests_are_written_and_an_unknown_one_empties_the_value() {
    let text =
        "a: x:1 # {\"$imagepolicy\": \"ns:app\"}\nb: sha256:0 # {\"$imagepolicy\": \"ns:app:digest\"}\n";
    let updated = update(text.as_bytes(), &setters("v1", "sha256:77")).unwrap();
    let after = String::from_utf8(updated.content.unwrap()).unwrap();
    assert!(
        after.contains("a: ghcr.io/org/app:v1@sha256:77 #") && after.contains("b: sha256:77 #"),
        "{after}"
    );
    let updated = run(text, "v1");
    assert!(String::from_utf8(updated.content.unwrap()).unwrap().contains("b: \"\" #"));
    assert_eq!(updated.problems[0].kind, ProblemKind::NoDigest("ns:app:digest".into()));
}

#[test]
fn markers_that_nothing_comes_of_are_named_with_their_lines() {
    let text = "a: x # {\"$imagepolicy\": \"ns:none\"}\n\
                b: # {\"$imagepolicy\": \"ns:app\"}\n  c: d\n\
                e: x # {\"$imagepolicy\": \"ns:app\"} and more\n\
                f: x # {\"$imagepolicy\": \"other:app\"}\n\
                g: x # {\"$imagepolicy\": \"ns:app:sha\"}\n\
                h: # {\"$imagepolicy\": \"ns:app\"}\n\
                i: \"text # {\\\"$imagepolicy\\\": \\\"ns:app\\\"}\"\n";
    let updated = run(text, "v1");
    assert!(updated.content.is_none() && updated.changes.is_empty());
    let problems: Vec<String> = updated.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "line 1: the marker names an unknown policy: 'ns:none'",
            "line 2: the marker is not at a value of one line",
            "line 5: the marker names an unknown policy: 'other:app'",
            "line 6: the marker 'ns:app:sha' ends in none of ':tag', ':name' and ':digest'",
            "line 7: the marker is not at a value of one line",
        ]
    );
}

#[test]
fn files_that_cannot_be_read_are_left_alone() {
    let error = |bytes: &[u8]| update(bytes, &setters("v1", "")).unwrap_err();
    let bad = b"a: b\nc: \xff # {\"$imagepolicy\": \"ns:app\"}\n";
    assert_eq!(error(bad), FileError::Encoding { line: 2 });
    let bad = b"a: [ # {\"$imagepolicy\": \"ns:app\"}\n";
    assert!(matches!(error(bad), FileError::Yaml(message) if message.contains("line")));
}

#[test]
fn a_document_without_anything_at_the_end_is_read() {
    let marked = "a: x # {\"$imagepolicy\": \"ns:app:tag\"}\n";
    for end in ["---", "---\n", "--- ", "\u{2028}", "--- \u{85}", "--- #"] {
        let text = format!("{marked}{end}");
        if let Ok(updated) = update(text.as_bytes(), &setters("v1", "")) {
            assert_eq!(updated.changes.len(), 1, "{end:?}");
        }
    }
}

#[test]
fn items_of_a_list_are_objects_of_their_own() {
    let text = "kind: List\nitems:\n- metadata: {name: a, namespace: x}\n  image: o:1 # {\"$imagepolicy\": \"ns:app\"}\n  kind: Pod\n  apiVersion: v1\n- image: o:2 # {\"$imagepolicy\": \"ns:app\"}\n  kind: Job\n";
    let objects: Vec<String> = run(text, "v1")
        .changes
        .iter()
        .map(|change| format!("{} {}/{}", change.object.kind, change.object.namespace, change.object.name))
        .collect();
    assert_eq!(objects, ["Pod x/a", "Job /"]);
}

#[test]
fn a_large_file_is_no_trouble() {
    let mut text = String::new();
    while text.len() < 5 << 20 {
        text.push_str("- image: ghcr.io/org/app:v1 # {\"$imagepolicy\": \"ns:app\"}\n  other: \"a value\"\n");
    }
    text.push_str("- image: ghcr.io/org/app:v0 # {\"$imagepolicy\": \"ns:app\"}\n");
    assert_eq!(run(&text, "v1").changes.len(), 1);
}

#[test]
fn characters_that_yaml_forbids_are_errors() {
    let marked = "a: {b: x, # {\"$imagepolicy\": \"ns:app\"}\n  c: y}";
    // A NUL in quotes, which the reader once never got past.
    for end in ["\":\0", "\n'\0'", "\n# \u{7}"] {
        let error = update(format!("{marked}{end}").as_bytes(), &setters("v1", "")).unwrap_err();
        assert_eq!(error, FileError::Yaml("yaml: control characters are not allowed".to_owned()));
    }
}

#[test]
fn long_lines_keys_and_names_take_no_longer_than_they_should() {
    let marker = "# {\"$imagepolicy\": \"ns:app\"}";
    let long = "x".repeat(1 << 20);
    let blanks = " ".repeat(1 << 20);
    for (text, changes) in [
        // Many scalars behind many blanks, before many line ends, or below a long key or name.
        (format!("{blanks}[{}b {marker}\n]\n", "a,".repeat(200_000)), 1),
        (format!("[{}b {marker}{}\n]\n", "a,".repeat(200_000), "\r".repeat(1 << 20)), 1),
        (format!("? {long}\n: {{{}b: c}} {marker}\n", "a: b,".repeat(200_000)), 0),
        (format!("metadata:\n  name: {long}\nspec:\n{}", format!("- b {marker}\n").repeat(20_000)), 20_000),
        // Lines that only the reader sees.
        (format!("- b {marker}\n{}", "- a #\r".repeat(200_000)), 1),
        (format!("- b {marker}\n{}", "- |\r".repeat(200_000)), 1),
    ] {
        let updated = run(&text, "v1");
        assert_eq!(updated.changes.len(), changes, "{}", &text[..40.min(text.len())]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writing_what_is_there_changes_no_byte_and_there_and_back_is_where_it_began(
        lines in proptest::collection::vec(0..12_usize, 1..20), crlf in any::<bool>(), mark in any::<bool>(),
    ) {
        let kinds = [
            "- image: ghcr.io/org/app:v1 # {\"$imagepolicy\": \"ns:app\"}",
            "- image:   'ghcr.io/org/app:v1'   # {\"$imagepolicy\": \"ns:app\"}",
            "- tag: \"v1\" #{\"$imagepolicy\": \"ns:app:tag\"}",
            "# a comment", "", "- &x a", "- {a: ghcr.io/org/app:v1, b: [1,  2]}",
            "- |2 # {\"$imagepolicy\": \"ns:app\"}\n    ghcr.io/org/app:v1",
            "- >+\n  folded\n\n  text # {\"$imagepolicy\": \"ns:app\"}\n",
            "# {\"$imagepolicy\": \"ns:app\"}\n- ghcr.io/org/app:v1",
            "- [ ghcr.io/org/app:v1, # {\"$imagepolicy\": \"ns:app\"}\n  x ]",
            "- plain\n  over lines   # {\"$imagepolicy\": \"ns:none\"}",
        ];
        let mut text = lines.iter().fold(String::new(), |text, line| text + kinds[*line] + "\n");
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        if mark {
            text.insert(0, '\u{feff}');
        }
        prop_assert!(run(&text, "v1").content.is_none());
        if let Some(there) = run(&text, "v2.0").content {
            let back = update(&there, &setters("v1", "")).unwrap().content.unwrap();
            prop_assert_eq!(String::from_utf8(back).unwrap(), text);
        }
    }
}

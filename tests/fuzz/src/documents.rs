//! Targets for YAML: kustomizations and plain documents.

use std::sync::LazyLock;

use sluice_kustomize::{MemoryFileSystem, Options, build};

use crate::targets::bytes;

pub(crate) const KUSTOMIZE_WORDS: &[&str] = &[
    "resources:\n",
    "- a.yaml\n",
    "- .\n",
    "- ..\n",
    "patches:\n",
    "- patch: |-\n",
    "target: {}\n",
    "images:\n",
    "replacements:\n",
    "vars:\n",
    "namePrefix: p-\n",
    "components: [.]\n",
    "transformers: [a.yaml]\n",
    "$patch: delete\n",
    "\n=== a.yaml\n",
    "fieldPath: a.b.[c=d].0\n",
    "$(VAR)",
    "&a ",
    "*a",
    "<<: ",
    "apiVersion: builtin\n",
    "null",
    "labels:\n",
    "includeSelectors: true\n",
    "name: (",
    "options: {create: true, index: 99999999}\n",
    "---\n",
    "op: copy",
];

/// The cases that kustomize has answered, each with its files behind lines `=== PATH`.
static KUSTOMIZATIONS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    [
        include_str!("../../../crates/kustomize/tests/cases/basics.txt"),
        include_str!("../../../crates/kustomize/tests/cases/generators.txt"),
        include_str!("../../../crates/kustomize/tests/cases/patches.txt"),
        include_str!("../../../crates/kustomize/tests/cases/replacements.txt"),
        include_str!("../../../crates/kustomize/tests/cases/transformers.txt"),
    ]
    .iter()
    .flat_map(|text| text.split("### ").skip(1))
    .filter_map(|case| case.split_once('\n').map(|(_, files)| files.as_bytes().to_vec()))
    .collect()
});

pub(crate) fn kustomizations() -> Vec<Vec<u8>> {
    KUSTOMIZATIONS.clone()
}

pub(crate) fn build_kustomization(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut files = MemoryFileSystem::new();
    let mut over = false;
    for part in text.split("=== ").skip(1) {
        let Some((path, content)) = part.split_once('\n') else { continue };
        over |= path.starts_with("over/");
        files.insert(&format!("/case/{path}"), content.as_bytes());
    }
    let target = if over { "/case/over" } else { "/case" };
    for options in [Options::cli(), Options::flux()] {
        let options = Options { max_resources: Some(1000), ..options };
        let _ = build(&files, None, target, &options).and_then(|output| output.to_yaml());
    }
}

pub(crate) const YAML_WORDS: &[&str] = &[
    "&a ",
    "*a",
    "<<: ",
    "- ",
    ": ",
    "? ",
    "|",
    ">",
    "|9+\n",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "!!binary ",
    "!!int ",
    "!<",
    "\t",
    "\r\n",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\\x",
    "\\U",
    "\n ",
    "1:30",
    ".inf",
    "0b1",
    "1e400",
    "2020-01-01",
    "~",
    "\0",
    "\u{1f600}",
];

pub(crate) fn documents() -> Vec<Vec<u8>> {
    let mut all = kustomizations();
    all.extend(bytes(&[
        "a: &x {b: [1, 2.5, 0x1F]}\nc: *x\n<<: *x\n",
        "? [complex, key]\n: - |2-\n     text\n  - >+\n   folded\n\n",
        "\"a\\u263a\\x41\": 'it''s'\n--- # next\n!!binary aGVsbG8=\n...\n",
        "# Source: a\nkind: A # b\nmetadata:\n  name: x\n  annotations:\n    \"a/b\": 'c'\nspec:\n  list:\n  - a: b\n    c:\n      - d\n  - - e\n    - f: {}\n",
        "data:\n  a: |\n    kind: B\n\n      c: d\n  e: >-\n\n    f\n  g: http://x:80/#y\n  h: -1.5\nmetadata: {name: x}\nkind: A\nlist:\n- |\n x\n-\n  y: z\n",
    ]));
    all
}

pub(crate) fn read_yaml(input: &[u8]) {
    use sluice_yaml::Value;
    let wanted = |key: &str| key == "kind" || key == "metadata";
    let read = sluice_yaml::read(input);
    let members = sluice_yaml::read_members(input, wanted);
    match (&read, members) {
        (Ok(Value::Mapping(whole)), Ok(Value::Mapping(mut members))) => {
            // What is not plain was read as a whole.
            members.retain(|key, _| wanted(key));
            let mut whole = whole.clone();
            whole.retain(|key, _| wanted(key));
            assert_eq!(whole, members, "members are those of the whole");
        }
        (whole, members) => {
            assert_eq!(whole.is_ok(), members.is_ok(), "a document is read whole or not at all");
        }
    }
    if let Ok(value) = read {
        // What is written is read as the same; JSON knows no difference between 81 and `81.`, which comes out as 81.
        // Two texts are not, with the reference neither: `<<` as a key is written plain and then means to merge, and
        // U+0085 is folded, since the writer's way leads through JSON that is read as YAML.
        let text = sluice_yaml::write(&value);
        let json = serde_json::Value::from(value);
        if let Ok(text) = text
            && !text.contains("<<")
            && !json.to_string().contains('\u{85}')
        {
            let again = sluice_yaml::read(text.as_bytes()).ok().map(serde_json::Value::from);
            assert_eq!(again, Some(json), "{text}");
        }
    }
    let _ = sluice_yaml::read_all(input);
    for node in sluice_yaml::read_nodes(input).unwrap_or_default() {
        drop(sluice_yaml::write::write_node(&node));
    }
}

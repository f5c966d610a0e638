//! What is fed, with what, and where to begin.

use std::io::Write as _;
use std::sync::LazyLock;

use crate::{expressions, git, index, outside, registry};
use flate2::Compression;
use flate2::write::GzEncoder;
use sluice_gotemplate::{Ctx, Functions, Limits, SystemHost, TemplateSet, Value};
use sluice_helm::chart::load_archive;
use sluice_helm::template::render_chart;
use sluice_helm::{TemplateOptions, Values};
use sluice_kustomize::{MemoryFileSystem, Options, build};

/// An engine's door for input from outside.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of its language.
    pub words: &'static [&'static str],
    /// Feeds it.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "template-parser", seeds: templates, words: TEMPLATE_WORDS, run: parse_template },
    Target { name: "template-executor", seeds: templates, words: TEMPLATE_WORDS, run: execute_template },
    Target { name: "chart-archive", seeds: archives, words: ARCHIVE_WORDS, run: read_archive },
    Target { name: "kustomize", seeds: kustomizations, words: KUSTOMIZE_WORDS, run: build_kustomization },
    Target { name: "yaml", seeds: documents, words: YAML_WORDS, run: read_yaml },
    Target { name: "artifact", seeds: outside::tars, words: outside::TAR_WORDS, run: outside::unpack },
    Target {
        name: "envsubst",
        seeds: outside::variables,
        words: outside::VARIABLE_WORDS,
        run: outside::substitute,
    },
    Target { name: "ignore", seeds: outside::ignores, words: outside::IGNORE_WORDS, run: outside::ignore },
    Target { name: "sops", seeds: outside::secrets, words: outside::SOPS_WORDS, run: outside::decrypt },
    Target {
        name: "registry",
        seeds: outside::registries,
        words: outside::OCI_WORDS,
        run: outside::registry,
    },
    Target {
        name: "image-markers",
        seeds: outside::markers,
        words: outside::MARKER_WORDS,
        run: outside::set_images,
    },
    Target {
        name: "cel",
        seeds: expressions::cel,
        words: expressions::CEL_WORDS,
        run: expressions::evaluate,
    },
    Target {
        name: "patterns",
        seeds: expressions::patterns,
        words: expressions::PATTERN_WORDS,
        run: expressions::match_pattern,
    },
    Target {
        name: "set-values",
        seeds: expressions::settings,
        words: expressions::SET_WORDS,
        run: expressions::set_values,
    },
    Target { name: "helm-index", seeds: index::indexes, words: index::WORDS, run: index::look_up },
    Target { name: "git-listing", seeds: git::listings, words: git::LISTING_WORDS, run: git::list },
    Target { name: "git-fetch", seeds: git::fetches, words: git::FETCH_WORDS, run: git::fetch },
    Target { name: "git-pack", seeds: git::packs, words: git::PACK_WORDS, run: git::read_pack },
    Target { name: "registry-answers", seeds: registry::answers, words: registry::WORDS, run: registry::ask },
];

const TEMPLATE_WORDS: &[&str] = &[
    "{{",
    "}}",
    "{{- ",
    " -}}",
    "if ",
    "else",
    "end",
    "range ",
    "with ",
    "define \"a\"",
    "template \"a\" .",
    "include \"a\" .",
    "tpl ",
    "$x := ",
    "$x = ",
    ".Values",
    ".",
    "$",
    "|",
    "(",
    ")",
    "`",
    "\"",
    "'",
    "\\",
    "/*",
    "*/",
    "printf \"%d\"",
    "printf \"%0999999d\"",
    "repeat 999999",
    "until 999999",
    "break",
    "continue",
    "0x",
    "1e999",
    "9223372036854775808",
    "-1",
    "list ",
    "dict ",
    "set ",
    "index ",
    "slice ",
    "regexReplaceAll ",
    "toYaml",
    "fromYaml",
    "indent 999999",
    "substr 3 1",
    "semverCompare ",
    "\u{1f600}",
    "\0",
    ":=",
    ",",
    "block",
];

const ARCHIVE_WORDS: &[&str] = &[
    "../",
    "/",
    "Chart.yaml",
    "charts/",
    "templates/",
    "\\",
    "c:",
    "..",
    "\0",
    "values.yaml",
    "ustar",
    "00000000000",
    "77777777777",
    "\u{80}",
    "crds/",
    ".helmignore",
    "apiVersion: v2\n",
    "name: x\n",
];

const KUSTOMIZE_WORDS: &[&str] = &[
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

const YAML_WORDS: &[&str] = &[
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

pub(crate) fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Templates that the reference has answered.
static TEMPLATES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    include_str!("../../../crates/gotemplate/tests/data/engine.jsonl")
        .lines()
        .step_by(7)
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|case| case.get("t").and_then(|text| text.as_str()).map(|text| text.as_bytes().to_vec()))
        .chain(bytes(&[
            "{{ define \"a\" }}{{ . }}{{ end }}{{ range $i, $e := .Values.l }}{{ include \"a\" $e }}{{ else }}x{{ end }}",
            "{{- with .Values.m -}}{{ toYaml . | nindent 2 }}{{- end }}{{ block \"b\" . }}{{ break }}{{ end }}",
        ]))
        .collect()
});

fn templates() -> Vec<Vec<u8>> {
    TEMPLATES.clone()
}

fn set_of(input: &[u8]) -> Option<TemplateSet> {
    let mut set = TemplateSet::new("gotpl", Functions::helm());
    set.parse("t", input).ok()?;
    Some(set)
}

fn parse_template(input: &[u8]) {
    drop(set_of(input));
}

fn execute_template(input: &[u8]) {
    let Some(set) = set_of(input) else { return };
    let limits = Limits { output: 1 << 18, steps: 100_000, allocation: 1 << 24, ..Limits::default() };
    let mut host = SystemHost;
    let data = serde_json::json!({"Values": {"s": "hello", "n": 42, "f": 1.5, "l": ["b", "a"], "m": {"a": 1, "c": null}}});
    let data = Value::from_json(&data);
    // An error is an answer; only a panic is none.
    let _ = Ctx::new(&set, &mut host, limits).execute("t", &data);
}

pub(crate) fn archives() -> Vec<Vec<u8>> {
    let chart = [
        (
            "c/Chart.yaml",
            "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n- {name: d, version: \"*\", condition: d.on}\n",
        ),
        ("c/values.yaml", "a: 1\nd: {on: true}\n"),
        ("c/templates/a.yaml", "kind: A\nmetadata: {name: {{ .Release.Name }}}\n"),
        ("c/charts/d/Chart.yaml", "apiVersion: v1\nname: d\nversion: 1.0.0\n"),
        ("c/crds/x.yaml", "kind: X\n"),
        ("c/values.schema.json", "{\"type\": \"object\"}"),
    ];
    vec![archive(&chart), archive(&chart[..1]), archive(&[("Chart.yaml", "name: x\n")])]
}

/// A tar file. It is mutated before it is compressed, or nothing would come through.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        set_checksum(&mut header);
        out.extend_from_slice(&header);
        out.extend_from_slice(content.as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

pub(crate) fn set_checksum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn read_archive(input: &[u8]) {
    let mut tar = input.to_vec();
    // Sums are mended, so that mutated headers are looked at.
    for block in tar.chunks_exact_mut(512).filter(|block| block[257..].starts_with(b"ustar")) {
        set_checksum(block);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let Ok(packed) = encoder.write_all(&tar).and_then(|()| encoder.finish()) else { return };
    let Ok(mut chart) = load_archive(&packed) else { return };
    let limits = Limits { output: 1 << 18, steps: 100_000, allocation: 1 << 24, ..Limits::default() };
    let options = TemplateOptions { limits, include_crds: true, ..TemplateOptions::default() };
    let _ = render_chart(&mut chart, &Values::new(), &options, &mut SystemHost, None)
        .map(|rendered| rendered.text(&options));
}

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

fn kustomizations() -> Vec<Vec<u8>> {
    KUSTOMIZATIONS.clone()
}

fn build_kustomization(input: &[u8]) {
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

fn documents() -> Vec<Vec<u8>> {
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

fn read_yaml(input: &[u8]) {
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

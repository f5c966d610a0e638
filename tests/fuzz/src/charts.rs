//! Targets for charts: their templates, and their archives as they come from outside.

use std::io::Write as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use sluice_gotemplate::{Ctx, Functions, Limits, SystemHost, TemplateSet, Value};
use sluice_helm::chart::load_archive;
use sluice_helm::template::render_chart;
use sluice_helm::{TemplateOptions, Values};

use crate::targets::bytes;

pub(crate) const TEMPLATE_WORDS: &[&str] = &[
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

pub(crate) fn templates() -> Vec<Vec<u8>> {
    TEMPLATES.clone()
}

fn set_of(input: &[u8]) -> Option<TemplateSet> {
    let mut set = TemplateSet::new("gotpl", Functions::helm());
    set.parse("t", input).ok()?;
    Some(set)
}

pub(crate) fn parse_template(input: &[u8]) {
    drop(set_of(input));
}

pub(crate) fn execute_template(input: &[u8]) {
    let Some(set) = set_of(input) else { return };
    let limits = Limits { output: 1 << 18, steps: 100_000, allocation: 1 << 24, ..Limits::default() };
    let mut host = SystemHost;
    let data = serde_json::json!({"Values": {"s": "hello", "n": 42, "f": 1.5, "l": ["b", "a"], "m": {"a": 1, "c": null}}});
    let data = Value::from_json(&data);
    // An error is an answer; only a panic is none.
    let _ = Ctx::new(&set, &mut host, limits).execute("t", &data);
}

pub(crate) const ARCHIVE_WORDS: &[&str] = &[
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

pub(crate) fn read_archive(input: &[u8]) {
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

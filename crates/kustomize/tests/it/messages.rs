//! What is told about builds: warnings, and errors that name file, field and line.

use sluice_kustomize::{MemoryFileSystem, Options, Warning, build_with_warnings};

/// The warnings of a build, and what it printed or why it failed.
fn told(files: &[(&str, &str)]) -> (Vec<Warning>, Result<String, String>) {
    let mut system = MemoryFileSystem::new();
    for (path, content) in files {
        system.insert(&format!("/case/{path}"), content.as_bytes());
    }
    let mut warnings = Vec::new();
    let result = build_with_warnings(&system, None, "/case", &Options::cli(), &mut warnings)
        .and_then(|output| output.to_yaml())
        .map_err(|error| error.to_string());
    (warnings, result)
}

fn failure(files: &[(&str, &str)]) -> String {
    told(files).1.expect_err("the build fails")
}

#[test]
fn vars_that_stand_nowhere_are_told() {
    let (warnings, result) = told(&[
        (
            "kustomization.yaml",
            "resources: [r.yaml]\nvars:\n\
             - {name: USED, objref: {kind: ConfigMap, apiVersion: v1, name: a}}\n\
             - {name: MAP, objref: {kind: ConfigMap, apiVersion: v1, name: a}, fieldref: {fieldPath: data}}\n\
             - {name: IDLE, objref: {kind: ConfigMap, apiVersion: v1, name: a}}\n",
        ),
        (
            "r.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {x: $(USED), y: $(MAP)}}\ndata: {}\n",
        ),
    ]);
    result.expect("the build succeeds");
    let logged = Warning::Logged("well-defined vars that were never replaced: IDLE,MAP".to_owned());
    assert!(matches!(warnings.as_slice(), [Warning::Deprecated(_), last] if *last == logged), "{warnings:?}");
}

#[test]
fn a_file_that_does_not_decode_warns_of_nothing() {
    let (warnings, result) = told(&[("kustomization.yaml", "commonLabels: {a: 1}\n")]);
    assert!(warnings.is_empty(), "{warnings:?}");
    result.expect_err("a number is no label");
}

#[test]
fn what_cannot_be_printed_is_named_with_object_field_file_and_line() {
    let object = "apiVersion: v1\nkind: Foo\nmetadata: {name: first}\n---\napiVersion: v1\nkind: Foo\nmetadata:\n  name: a\n";
    let bad = [
        (
            "spec:\n- b: {c: .inf}\n",
            "field 'spec[0].b.c' in File: /case/r.yaml line 10: json: unsupported value: +Inf",
        ),
        (
            "spec: {1: x}\n",
            "field 'spec' in File: /case/r.yaml line 9: json: unsupported type: map[interface {}]interface {}",
        ),
        (
            "spec:\n  x: 1\n  y: 1\n  x: 2\n",
            "field 'spec' in File: /case/r.yaml line 10: yaml: unmarshal errors:\n  line 12: mapping key \"x\" already defined at line 10",
        ),
    ];
    for (rest, expected) in bad {
        let file = format!("{object}{rest}");
        let error = failure(&[("kustomization.yaml", "resources: [r.yaml]\n"), ("r.yaml", &file)]);
        assert_eq!(error, format!("Foo.v1.[noGrp]/a.[noNs] {expected}"));
    }
}

#[test]
fn both_files_of_an_identifier_are_named() {
    let object = "apiVersion: v1\nkind: Foo\nmetadata: {name: a}\n";
    let error = failure(&[
        ("kustomization.yaml", "resources: [one.yaml, two]\n"),
        ("one.yaml", object),
        ("two/kustomization.yaml", "resources: [r.yaml]\n"),
        ("two/r.yaml", object),
    ]);
    let expected = "may not add resource with an already registered id: Foo.v1.[noGrp]/a.[noNs] (in '/case/one.yaml' and '/case/two/r.yaml')";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn bytes_of_secrets_are_not_shown() {
    let mut system = MemoryFileSystem::new();
    system.insert("/case/kustomization.yaml", b"secretGenerator: [{name: a, envs: [s.env]}]\n");
    system.insert("/case/s.env", b"A=1\nPASSWORD=hunter2\xff\n");
    let error = build_with_warnings(&system, None, "/case", &Options::cli(), &mut Vec::new())
        .map(|_| ())
        .expect_err("no text")
        .to_string();
    assert!(error.ends_with("line 2 of 's.env' has invalid utf8 bytes"), "{error}");
}

#[test]
fn files_that_do_not_decode_are_named() {
    let cases: [(&[(&str, &str)], &str); 4] = [
        (
            &[("kustomization.yaml", "nameprefix: a\nfoo: b\n")],
            "invalid Kustomization: json: unknown field \"foo\" in File: /case/kustomization.yaml",
        ),
        (
            &[
                ("kustomization.yaml", "resources: [b]\n"),
                ("b/Kustomization", "images: [{name: a, newTag: 1.10}]\n"),
            ],
            "invalid Kustomization: json: cannot unmarshal number into Go struct field Image.images.newTag of type string \
             in File: /case/b/Kustomization",
        ),
        (
            &[("kustomization.yaml", "configurations: [c.yaml]\n"), ("c.yaml", "nameReferences: []\n")],
            "error unmarshaling JSON: while decoding JSON: json: unknown field \"nameReferences\" in File: c.yaml",
        ),
        (
            &[("kustomization.yaml", "crds: [c.yaml]\n"), ("c.yaml", "a: [\n")],
            "loading CRDs [c.yaml]: unable to parse open API definition from 'c.yaml': error converting YAML to JSON: \
             yaml: line 1: did not find expected node content",
        ),
    ];
    for (files, expected) in cases {
        let error = failure(files);
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn a_refused_chart_is_named() {
    let chart =
        "helmCharts:\n- name: redis\n  repo: https://example.com\n  valuesInline: {password: hunter2}\n";
    let error = failure(&[("kustomization.yaml", chart)]);
    let expected = "trouble configuring builtin HelmChartInflationGenerator with config: `\nname: redis\nrepo: \
                    https://example.com\n`: must specify --enable-helm";
    assert_eq!(error, expected);
}

#[test]
fn selectors_that_do_not_parse_are_told_in_the_words_of_the_reference() {
    let cases = [
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a=b,,c", "found ',', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: '=', '!=', '==', 'in', notin'"),
        ("a=(b)", "unable to parse requirement: found '(', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a==b==c", "found '==', expected: ',' or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a>b", "unable to parse requirement: for 'Gt', 'Lt' operators, the value must be an integer"),
    ];
    for (selector, expected) in cases {
        let kustomization = format!(
            "resources: [r.yaml]\npatches:\n- {{patch: '- {{op: add, path: /x, value: y}}', target: {{labelSelector: '{selector}'}}}}\n"
        );
        let resource = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        let text = failure(&[("kustomization.yaml", &kustomization), ("r.yaml", resource)]);
        assert_eq!(text, expected, "{selector}");
    }
}

#[test]
fn own_bookkeeping_stays_out_of_errors() {
    let text = failure(&[
        (
            "kustomization.yaml",
            "resources: [r.yaml]\nnamePrefix: p-\nconfigurations: [c.yaml]\nimages: [{name: a, newTag: b}]\n",
        ),
        ("c.yaml", "images: [{kind: Widget, path: metadata/annotations}]\n"),
        ("r.yaml", "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a, annotations: {b: c}}\n"),
    ]);
    assert!(text.contains("wrong node kind: expected ScalarNode but got MappingNode"), "{text}");
    assert!(!text.contains("sluice"), "{text}");
}

#[test]
fn an_empty_schema_file_is_refused_and_a_blank_one_has_no_types() {
    let built = |schema: &str| {
        let resource = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n";
        let kustomization = "resources: [r.yaml]\nopenapi: {path: o.json}\n";
        told(&[("kustomization.yaml", kustomization), ("r.yaml", resource), ("o.json", schema)]).1
    };
    let refused = built("").expect_err("nothing is no schema");
    assert!(
        refused.contains("invalid schema file: json: cannot unmarshal Go value of type spec.Swagger: EOF"),
        "{refused}"
    );
    built("\n").expect("a blank file is an empty schema");
}

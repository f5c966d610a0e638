//! Input that was made to hurt.

use std::time::{Duration, Instant};

use crate::{Built, Files, ours};

fn files(pairs: &[(&str, &str)]) -> Files {
    pairs.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}

/// Builds, and fails if that takes long.
fn quickly(files: &Files) -> Built {
    let start = Instant::now();
    let built = ours(files);
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
    built
}

#[test]
fn refuses_an_alias_bomb() {
    let mut bomb = String::from(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n",
    );
    for level in 1..10 {
        let line = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{line}]\n"));
    }
    let built = quickly(&files(&[("kustomization.yaml", "resources: [bomb.yaml]\n"), ("bomb.yaml", &bomb)]));
    assert!(built.is_err());
}

#[test]
fn refuses_deep_nesting() {
    for text in ["[".repeat(100_000), "{a: ".repeat(100_000), format!("a: {}", "- ".repeat(100_000))] {
        let resource =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: deep}}\ndata:\n  {text}\n");
        let built =
            quickly(&files(&[("kustomization.yaml", "resources: [deep.yaml]\n"), ("deep.yaml", &resource)]));
        assert!(built.is_err());
        assert!(quickly(&files(&[("kustomization.yaml", &text)])).is_err());
    }
}

#[test]
fn refuses_fields_that_are_made_too_deep() {
    const OBJECT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let slashes = "a/".repeat(20_000);
    let dots = "a.".repeat(20_000);
    let braces = format!("{}1{}", "{a: ".repeat(300), "}".repeat(300));
    let added = "/data".to_owned() + &"/a".repeat(300);
    for field in [
        format!("labels:\n- pairs: {{a: b}}\n  fields: [{{path: {slashes}a, create: true}}]\n"),
        format!(
            "replacements:\n- source: {{kind: ConfigMap}}\n  targets:\n  - select: {{kind: ConfigMap}}\n    \
             fieldPaths: [{dots}a]\n    options: {{create: true}}\n"
        ),
        format!(
            "patches:\n- target: {{kind: ConfigMap}}\n  patch: |\n    \
             - {{op: add, path: /data, value: {braces}}}\n    - {{op: add, path: {added}, value: {braces}}}\n"
        ),
    ] {
        let kustomization = format!("resources: [a.yaml]\n{field}");
        let built = quickly(&files(&[("kustomization.yaml", &kustomization), ("a.yaml", OBJECT)]));
        let message = built.expect_err("too deep");
        assert!(message.contains("levels deep: at most 512 are allowed"), "{message:.300}");
    }
}

#[test]
fn refuses_cycles() {
    let built = quickly(&files(&[
        ("over/kustomization.yaml", "resources: [../base]\n"),
        ("base/kustomization.yaml", "resources: [../over]\n"),
    ]));
    assert!(built.expect_err("a cycle").contains("cycle detected"));
}

#[test]
fn ends_with_directories_that_double() {
    let mut tree = Files::new();
    for level in 0..40 {
        let content = format!("resources: [../d{0}, ../e{0}]\n", level + 1);
        tree.insert(format!("d{level}/kustomization.yaml"), content.clone());
        tree.insert(format!("e{level}/kustomization.yaml"), content);
    }
    tree.insert("kustomization.yaml".into(), "resources: [d0]\n".into());
    assert!(quickly(&tree).is_err());
}

#[test]
fn stays_inside_of_the_directory() {
    for resource in ["../outside.yaml", "/etc/passwd", "base/../../outside.yaml"] {
        let built = quickly(&files(&[
            ("over/kustomization.yaml", &format!("configMapGenerator:\n- name: x\n  files: [{resource}]\n")),
            ("outside.yaml", "secret: true\n"),
        ]));
        assert!(built.is_err(), "{resource}");
    }
}

#[test]
fn survives_every_truncation_and_odd_types() {
    let good = "resources: [a.yaml]\nnamePrefix: p-\nlabels:\n- pairs: {a: b}\n  includeSelectors: true\nimages:\n\
                - {name: nginx, newTag: \"1\"}\nreplicas:\n- {name: a, count: 2}\npatches:\n- target: {kind: Deployment}\n  \
                patch: |\n    - {op: add, path: /spec/x, value: 1}\nreplacements:\n- source: {kind: Deployment}\n  \
                targets:\n  - select: {kind: Service}\n    fieldPaths: [spec.x]\n";
    let resource = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: \
                    [{name: c, image: nginx}]}}}\n";
    for end in 0..good.len() {
        let _ = ours(&files(&[("kustomization.yaml", &good[..end]), ("a.yaml", resource)]));
    }
    for end in 0..resource.len() {
        let _ = ours(&files(&[("kustomization.yaml", good), ("a.yaml", &resource[..end])]));
    }
    for odd in ["null", "1", "[]", "{}", "[null]", "[[]]", "[{}]", "text", "{a: {b: [c]}}", "!!binary x", "~"]
    {
        for (at, _) in good.match_indices(": ").chain(resource.match_indices(": ")) {
            if let Some(head) = good.get(..at + 2) {
                let line_end = good[at..].find('\n').map_or(good.len(), |length| at + length);
                let text = format!("{head}{odd}{}", &good[line_end..]);
                let _ = ours(&files(&[("kustomization.yaml", &text), ("a.yaml", resource)]));
            }
            if let Some(head) = resource.get(..at + 2) {
                let _ = ours(&files(&[("kustomization.yaml", good), ("a.yaml", &format!("{head}{odd}\n"))]));
            }
        }
    }
}

#[test]
fn builds_in_parallel_give_the_same() {
    let tree = files(&[
        ("over/kustomization.yaml", "resources: [../base]\nnamePrefix: p-\ncommonLabels: {a: b}\n"),
        ("base/kustomization.yaml", "configMapGenerator:\n- name: x\n  literals: [a=b]\n"),
    ]);
    let expected = ours(&tree);
    assert!(expected.is_ok());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(ours(&tree), expected);
                }
            });
        }
    });
}

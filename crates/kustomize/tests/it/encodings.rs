//! Files that are not UTF-8. What is expected here is what kustomize 5.8.1 answered.

use sluice_kustomize::{MemoryFileSystem, Options, build};

fn built(files: &[(&str, &[u8])]) -> Result<String, String> {
    let mut system = MemoryFileSystem::new();
    for (path, content) in files {
        system.insert(&format!("/case/{path}"), *content);
    }
    build(&system, None, "/case", &Options::cli())
        .and_then(|output| output.to_yaml())
        .map_err(|error| error.to_string())
}

/// UTF-16 with a byte order mark.
fn wide(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(bytes).collect()
}

const OBJECT: &str = "apiVersion: v1\r\nkind: Foo\r\nmetadata: {name: é😀}\r\nspec: |\r\n  a\r\n  b\r\n";
const PRINTED: &str = "apiVersion: v1\nkind: Foo\nmetadata:\n  name: \"é\\U0001F600\"\nspec: |\n  a\n  b\n";

#[test]
fn resources_may_be_utf_16() {
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let list = wide("resources: [r.yaml]\n", order);
        let output = built(&[("kustomization.yaml", &list), ("r.yaml", &wide(OBJECT, order))]);
        assert_eq!(output.as_deref(), Ok(PRINTED));
        // Only the first document counts.
        let two = wide(&format!("{OBJECT}---\n{}", OBJECT.replace("Foo", "Bar")), order);
        let output = built(&[("kustomization.yaml", &list), ("r.yaml", &two)]);
        assert_eq!(output.as_deref(), Ok(PRINTED));
    }
}

#[test]
fn patches_may_be_utf_16_and_only_json_may_have_other_bytes() {
    let object = b"apiVersion: v1\nkind: Foo\nmetadata: {name: a}\n";
    let patched = |patch: &[u8], with_target: bool| {
        let target = if with_target { ", target: {kind: Foo}" } else { "" };
        let list = format!("resources: [r.yaml]\npatches: [{{path: p.yaml{target}}}]\n");
        built(&[("kustomization.yaml", list.as_bytes()), ("r.yaml", object), ("p.yaml", patch)])
    };
    let printed = |value: &str| format!("apiVersion: v1\nkind: Foo\nmetadata:\n  name: a\nspec: {value}\n");
    let strategic = "apiVersion: v1\nkind: Foo\nmetadata: {name: a}\nspec: b\n";
    let operations = "- {op: add, path: /spec, value: b}\n";
    assert_eq!(patched(&wide(strategic, u16::to_le_bytes), false), Ok(printed("b")));
    assert_eq!(patched(&wide(operations, u16::to_le_bytes), true), Ok(printed("b")));
    let json = b"[{\"op\": \"add\", \"path\": \"/spec\", \"value\": \"\xe9\"}]";
    assert_eq!(patched(json, true), Ok(printed("\u{FFFD}")));
    let yaml = b"- op: add\n  path: /spec\n  value: \xe9\n";
    let error = patched(yaml, true).expect_err("no UTF-8");
    assert!(error.contains("unable to parse SM or JSON patch from [path: \"p.yaml\"]"), "{error}");
}

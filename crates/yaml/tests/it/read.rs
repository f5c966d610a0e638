use base64::Engine;
use serde_json::Value as Json;
use sluice_yaml::json;

pub(crate) fn document(case: &Json) -> Vec<u8> {
    match case["doc"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => {
            let encoded = case["doc_b64"].as_str().expect("doc or doc_b64");
            base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64")
        }
    }
}

#[test]
fn first_documents_read_as_sigs_yaml_reads_them() {
    let cases = crate::cases(include_str!("../oracle/yaml-read.jsonl"));
    let mut failures = Vec::new();
    for case in &cases {
        let document = document(case);
        let result = sluice_yaml::read(&document).and_then(|value| json::to_string(&value));
        let good = match &result {
            Ok(text) => match (&case["json"], &case["json_any_of"]) {
                // Go writes bytes that are no UTF-8 as an escape, we as the character.
                (Json::String(expected), _) => *text == expected.replace("\\ufffd", "\u{fffd}"),
                (_, Json::Array(choices)) => choices.iter().any(|choice| choice == text),
                _ => false,
            },
            Err(error) => case["error"].as_str().is_some_and(|expected| expected == error.to_string()),
        };
        if !good {
            failures.push(format!("{case}\n   ours: {result:?}"));
        }
    }
    crate::report("documents", cases.len(), &failures);
}

#[test]
fn repeated_keys_are_errors_in_strict_mode() {
    let cases = crate::cases(include_str!("../oracle/yaml-read.jsonl"));
    let mut failures = Vec::new();
    for case in &cases {
        let result = sluice_yaml::read_strict(document(case)).and_then(|value| json::to_string(&value));
        let expected = case["strict_error"].as_str().or(case["error"].as_str());
        let ours = result.as_ref().err().map(ToString::to_string);
        if ours.as_deref() != expected {
            failures.push(format!("{case}\n   ours: {result:?}"));
        }
    }
    crate::report("documents", cases.len(), &failures);
}

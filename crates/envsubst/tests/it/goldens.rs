use base64::Engine as _;
use sluice_envsubst::{Options, substitute};
use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
struct Case {
    id: String,
    text: String,
    vars: BTreeMap<String, String>,
    strict: bool,
    ok: bool,
    output: String,
    output_base64: Option<String>,
    error: String,
    whole: Option<Answer>,
}

#[derive(serde::Deserialize)]
struct Answer {
    ok: bool,
    output: String,
    error: String,
}

/// All cases, on the whole text as the controller does it.
#[test]
fn answers_of_the_reference() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("envsubst.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        count += 1;
        let options = Options { strict: case.strict, ..Options::default() };
        let actual = substitute(&case.text, &|name| case.vars.get(name).map(String::as_str), options);
        let answer = case.whole.unwrap_or_else(|| Answer {
            ok: case.ok,
            // The command adds a line break that the library does not.
            output: case.output.strip_suffix('\n').unwrap_or(&case.output).to_owned(),
            error: case.error,
        });
        let right = match &actual {
            Ok(bytes) => {
                let expected = case.output_base64.map_or(answer.output.clone().into_bytes(), |encoded| {
                    let mut bytes = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
                    bytes.pop();
                    bytes
                });
                answer.ok && *bytes == expected
            }
            Err(error) => {
                !answer.ok && (answer.error.starts_with("panic:") || error.to_string() == answer.error)
            }
        };
        if !right {
            let actual = actual.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            wrong.push(format!(
                "{}: {:?}: {actual:?}, not {:?} {:?}",
                case.id, case.text, answer.output, answer.error
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(count, 400);
}

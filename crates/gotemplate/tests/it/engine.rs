//! `engine.jsonl`: what helm's engine makes of generated templates (made by `tests/oracle`).

use base64::Engine as _;
use serde_json::Value as Json;
use sluice_gotemplate::{Value, with_large_stack};

use crate::chart;
use crate::helm_templates::render;

fn check(values: &Json, case: &Json) -> Result<(), String> {
    let template = case["t"].as_str().unwrap_or_default();
    let data = chart::small_context(Value::from_json(values));
    let ours = match render(template, &data) {
        Ok(text) => match String::from_utf8(text) {
            Ok(text) => ("o", text),
            Err(error) => ("b", base64::engine::general_purpose::STANDARD.encode(error.as_bytes())),
        },
        Err(error) => ("e", error),
    };
    if case[ours.0].as_str() == Some(ours.1.as_str()) {
        return Ok(());
    }
    Err(format!("\n  ours {ours:?}\n  helm {:?} {:?} {:?}", case["o"], case["e"], case["b"]))
}

#[test]
fn generated_templates_render_as_in_helms_engine() {
    let (count, wrong) = with_large_stack(|| {
        let mut lines = include_str!("../data/engine.jsonl").lines();
        let first: Json = serde_json::from_str(lines.next().unwrap_or_default()).expect("a JSON object");
        let mut wrong = Vec::new();
        let mut count = 0;
        for line in lines {
            let case: Json = serde_json::from_str(line).expect("a JSON object");
            count += 1;
            if let Err(message) = check(&first["values"], &case) {
                wrong.push(format!("{}: {message}", case["t"]));
            }
        }
        (count, wrong)
    })
    .expect("a thread");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

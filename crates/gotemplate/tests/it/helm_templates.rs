//! `helm-templates.jsonl`: what `helm template` 4.3 makes of a snippet (see `helm-templates.md`).

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use serde_json::Value as Json;
use sluice_gotemplate::{
    Ctx, Functions, Host, Limits, Map, MissingKey, TemplateSet, Value, helm, with_large_stack,
};

use crate::chart;

const NAME: &str = "oracle/templates/t.yaml";

struct Utc;

impl Host for Utc {
    fn time_zone(&mut self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::UTC
    }
}

/// Renders a snippet as helm does.
pub(crate) fn render(template: &str, data: &Value) -> Result<Vec<u8>, String> {
    static FUNCTIONS: LazyLock<Arc<Functions>> = LazyLock::new(Functions::helm);
    let mut set = TemplateSet::new("gotpl", FUNCTIONS.clone()).with_missing_key(MissingKey::Zero);
    set.parse(NAME, template).map_err(|error| helm::parse_message(NAME, &error))?;
    let mut host = Utc;
    let printed = Ctx::new(&set, &mut host, Limits::default())
        .execute(NAME, data)
        .map_err(|error| helm::execution_message(NAME, &error))?;
    Ok(helm::without_no_value(&printed))
}

fn check(case: &Json) -> Result<(), String> {
    let template = case["template"].as_str().unwrap_or_default();
    // The notation of a number may matter; what helm makes of several documents is not read here.
    let plain = Value::from_json(&case["values"]);
    let written = case["values_yaml"].as_str();
    let values = written
        .and_then(|text| helm::from_yaml(text.as_bytes(), helm::Wanted::Map).ok())
        .filter(|values| {
            let (keys, known) = (values.as_map().map(Map::keys), plain.as_map().map(Map::keys));
            // Of a case that fails the values are not told.
            keys == known || known.is_none_or(|known| known.is_empty())
        })
        .unwrap_or(plain);
    let data = chart::context(values, case["files"].as_object());
    let expected = match (case["output_base64"].as_str(), case["output"].as_str()) {
        (Some(encoded), _) => base64::engine::general_purpose::STANDARD.decode(encoded).ok(),
        (None, output) => output.map(|output| output.as_bytes().to_vec()),
    };
    match (render(template, &data), expected) {
        (Ok(ours), Some(expected)) if ours == expected => Ok(()),
        (Ok(ours), Some(expected)) => Err(format!(
            "\n  ours {:?}\n  helm {:?}",
            String::from_utf8_lossy(&ours),
            String::from_utf8_lossy(&expected)
        )),
        (Ok(ours), None) => {
            Err(format!("\n  ours {:?}\n  helm fails: {}", String::from_utf8_lossy(&ours), case["error"]))
        }
        (Err(error), Some(expected)) => {
            Err(format!("\n  ours fails: {error:?}\n  helm {:?}", String::from_utf8_lossy(&expected)))
        }
        (Err(error), None) if Some(error.as_str()) == case["error"].as_str() => Ok(()),
        (Err(error), None) => Err(format!("\n  ours fails: {error:?}\n  helm fails: {}", case["error"])),
    }
}

#[test]
fn snippets_render_as_helm_renders_them() {
    let wrong = with_large_stack(|| {
        let mut wrong = Vec::new();
        for line in include_str!("../data/helm-templates.jsonl").lines() {
            let case: Json = serde_json::from_str(line).expect("a JSON object");
            // Values that cannot be loaded are not the engine's matter.
            if case["error"].as_str().is_some_and(|error| error.starts_with("cannot load values.yaml")) {
                continue;
            }
            if let Err(message) = check(&case) {
                wrong.push(format!("{} {}: {message}", case["id"], case["template"]));
            }
        }
        wrong
    })
    .expect("a thread");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

use serde_json::Value as Json;
use sluice_yaml::write::write_node;
use sluice_yaml::{Value, json, read, read_node, write};

/// `json.Unmarshal` into `any`: every number is a float.
fn floats(value: &Json) -> Value {
    match value {
        Json::Number(number) => Value::Float(number.as_f64().expect("a number")),
        Json::Array(items) => Value::Sequence(items.iter().map(floats).collect()),
        Json::Object(entries) => {
            Value::Mapping(entries.iter().map(|(key, value)| (key.clone(), floats(value))).collect())
        }
        other => Value::from(other.clone()),
    }
}

/// Go takes a lone surrogate as U+FFFD; serde_json refuses it.
fn parse(text: &str) -> Json {
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&text.replace("\\ud83d", "\\ufffd")))
        .expect("JSON")
}

fn check(field: &str, run: impl Fn(&Json, &str) -> Option<Result<String, String>>) {
    let cases = crate::cases(include_str!("../oracle/yaml-write.jsonl"));
    let mut failures = Vec::new();
    for case in &cases {
        let text = case["json"].as_str().expect("json");
        let Some(result) = run(case, text) else { continue };
        let good = match &result {
            Ok(text) => case[field].as_str() == Some(text),
            Err(error) => case[format!("{field}_error")].as_str() == Some(error),
        };
        if !good {
            failures.push(format!("{case}\n   ours: {result:?}"));
        }
    }
    crate::report("values", cases.len(), &failures);
}

#[test]
fn values_print_as_sigs_yaml_marshals_them() {
    check("sigs", |_, text| Some(write(&floats(&parse(text))).map_err(|error| error.to_string())));
}

#[test]
fn json_turns_into_yaml_with_its_integers() {
    check("sigs_json_to_yaml", |case, text| {
        let recorded = case["sigs_json_to_yaml"].is_string() || case["sigs_json_to_yaml_error"].is_string();
        recorded.then(|| sluice_yaml::json_to_yaml(text).map_err(|error| error.to_string()))
    });
}

#[test]
fn values_print_as_kyaml_prints_them() {
    check("kyaml", |case, text| {
        if !(case["kyaml"].is_string() || case["kyaml_error"].is_string()) {
            return None;
        }
        let value = floats(&parse(text));
        let printed = sluice_yaml::write_v3(&value);
        Some(match read_node(&printed) {
            Ok(Some(node)) => Ok(write_node(&node)),
            Ok(None) => Ok(String::new()),
            Err(error) => Err(error.to_string()),
        })
    });
}

#[test]
fn kyaml_keeps_the_styles_it_read() {
    check("kyaml_reprint", |case, _| {
        case["kyaml_reprint"].as_str()?;
        let node = read_node(case["sigs"].as_str()?).map_err(|error| error.to_string());
        Some(node.map(|node| write_node(&node.expect("a document"))))
    });
}

#[test]
fn what_is_written_reads_back() {
    for case in crate::cases(include_str!("../oracle/yaml-write.jsonl")) {
        if case["sigs"].is_null() {
            continue;
        }
        let value = read(case["sigs"].as_str().expect("text")).expect("our own output");
        let again = read(write(&value).expect("sound")).expect("our own output");
        assert_eq!(json::to_string(&value), json::to_string(&again), "{case}");
    }
}

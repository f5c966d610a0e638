//! yaml.v3's decoding into `any`, built here from nodes: the library itself has no use for it.

use std::collections::HashSet;

use base64::Engine;
use serde_json::{Value as Json, json};
use sluice_yaml::node::ScalarNode;
use sluice_yaml::number::{Integer, format_json_float};
use sluice_yaml::read::decode_binary;
use sluice_yaml::resolve::{Scalar, Tag};
use sluice_yaml::{Node, read_node, read_nodes};

/// A decoded value with Go's key types.
#[derive(Clone, Debug, PartialEq)]
enum Any {
    Json(Json),
    List(Vec<Any>),
    Map { general: bool, entries: Vec<(Any, Any)> },
}

fn scalar(node: &ScalarNode) -> Result<Any, String> {
    if node.tag == Tag::Binary {
        let bytes = decode_binary(&node.text).map_err(|error| error.to_string())?;
        return Ok(Any::Json(match String::from_utf8(bytes) {
            Ok(text) => Json::String(text),
            Err(error) => {
                json!({"$bytes": base64::engine::general_purpose::STANDARD.encode(error.as_bytes())})
            }
        }));
    }
    Ok(Any::Json(match node.resolved().map_err(|error| error.to_string())? {
        Scalar::Null => Json::Null,
        Scalar::Bool(value) => json!(value),
        Scalar::Integer(Integer::Signed(value)) => json!(value),
        Scalar::Integer(Integer::Unsigned(value)) => json!(value),
        Scalar::Float(value) if value.is_nan() => json!({"$float": "NaN"}),
        Scalar::Float(value) if value.is_infinite() => {
            json!({"$float": if value > 0.0 { "+Inf" } else { "-Inf" }})
        }
        Scalar::Float(value) => match format_json_float(value) {
            Some(text) if !text.contains(['.', 'e']) => json!({"$float": text}),
            _ => json!(value),
        },
        Scalar::Timestamp(time) => json!({"$time": time.to_string()}),
        Scalar::Merge => json!("<<"),
        Scalar::Text(text) => json!(text),
    }))
}

fn is_merge(key: &Node) -> bool {
    matches!(key, Node::Scalar(scalar) if scalar.text == "<<" && scalar.tag == Tag::Merge)
}

fn duplicates(entries: &[(Node, Node)], errors: &mut Vec<String>) {
    let identity = |node: &Node| match node {
        Node::Scalar(scalar) => (i32::from(!scalar.aliased), scalar.text.to_string(), scalar.line),
        Node::Sequence(_) => (2, String::new(), 0),
        Node::Mapping(_) => (3, String::new(), 0),
    };
    for (index, (first, _)) in entries.iter().enumerate() {
        for (second, _) in &entries[index + 1..] {
            let (a, b) = (identity(first), identity(second));
            if a.0 == b.0 && a.1 == b.1 {
                errors.push(format!("  line {}: mapping key {:?} already defined at line {}", b.2, b.1, a.2));
            }
        }
    }
}

fn decode(node: &Node, errors: &mut Vec<String>) -> Result<Any, String> {
    match node {
        Node::Scalar(node) => scalar(node),
        Node::Sequence(items) => {
            items.iter().map(|item| decode(item, errors)).collect::<Result<_, _>>().map(Any::List)
        }
        Node::Mapping(entries) => {
            let mut out = Vec::new();
            let general = mapping(entries, &mut out, &mut HashSet::new(), false, errors)?;
            Ok(Any::Map { general, entries: out })
        }
    }
}

fn mapping(
    entries: &[(Node, Node)],
    out: &mut Vec<(Any, Any)>,
    seen: &mut HashSet<String>,
    merged: bool,
    errors: &mut Vec<String>,
) -> Result<bool, String> {
    let known = errors.len();
    duplicates(entries, errors);
    if errors.len() > known {
        return Ok(false);
    }
    let mut general = false;
    let mut merges = Vec::new();
    for (key, value) in entries {
        if is_merge(key) {
            merges.push(value);
            continue;
        }
        let tagged = matches!(key, Node::Scalar(scalar) if scalar.tag == Tag::Custom);
        let key = decode(key, errors)?;
        if matches!(key, Any::List(_) | Any::Map { .. }) {
            return Err("yaml: invalid map key".into());
        }
        general |= tagged || !matches!(key, Any::Json(Json::String(_)));
        let first = seen.insert(format!("{key:?}"));
        if !first && merged {
            continue;
        }
        let value = decode(value, errors)?;
        out.retain(|(known, _)| *known != key);
        out.push((key, value));
    }
    for value in merges {
        const WANT_MAP: &str = "yaml: map merge requires map or sequence of maps as the value";
        match value {
            Node::Mapping(entries) => {
                mapping(entries, out, seen, true, errors)?;
            }
            Node::Sequence(items) => {
                for item in items {
                    let Node::Mapping(entries) = item else { return Err(WANT_MAP.into()) };
                    mapping(entries, out, seen, true, errors)?;
                }
            }
            Node::Scalar(_) => return Err(WANT_MAP.into()),
        }
    }
    Ok(general)
}

fn to_json(value: Any) -> Json {
    match value {
        Any::Json(value) => value,
        Any::List(items) => items.into_iter().map(to_json).collect(),
        Any::Map { general: false, entries } => Json::Object(
            entries
                .into_iter()
                .map(|(key, value)| match key {
                    Any::Json(Json::String(key)) => (key, to_json(value)),
                    other => (format!("{other:?}"), to_json(value)),
                })
                .collect(),
        ),
        Any::Map { general: true, entries } => {
            let mut entries: Vec<Json> =
                entries.into_iter().map(|(key, value)| json!([to_json(key), to_json(value)])).collect();
            entries.sort_by_key(ToString::to_string);
            json!({"$map": entries})
        }
    }
}

/// Go's map order is lost in the fixture as well.
fn normal(value: &Json) -> Json {
    match value {
        Json::Array(items) => items.iter().map(normal).collect(),
        Json::Object(entries) if entries.contains_key("$map") => {
            let mut pairs: Vec<Json> =
                entries["$map"].as_array().expect("pairs").iter().map(normal).collect();
            pairs.sort_by_key(ToString::to_string);
            json!({"$map": pairs})
        }
        Json::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), normal(value))).collect(),
        other => other.clone(),
    }
}

/// Where the fixture records nothing, JSON text was equal: there a float may look like an integer.
fn plain_floats(value: &Json) -> Json {
    match value {
        Json::Array(items) => items.iter().map(plain_floats).collect(),
        Json::Object(entries) if entries.contains_key("$float") => {
            let text = entries["$float"].as_str().expect("text");
            json!(text.parse::<f64>().expect("a number"))
        }
        Json::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), plain_floats(value))).collect()
        }
        Json::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

fn whole(node: &Node) -> Result<Json, String> {
    let mut errors = Vec::new();
    let value = decode(node, &mut errors)?;
    if errors.is_empty() {
        Ok(to_json(value))
    } else {
        Err(format!("yaml: unmarshal errors:\n{}", errors.join("\n")))
    }
}

#[test]
fn first_documents_mean_what_yaml_v3_says() {
    let cases = crate::cases(include_str!("../oracle/yaml-read.jsonl"));
    let mut failures = Vec::new();
    for case in &cases {
        let result = match read_node(crate::read::document(case)) {
            Ok(Some(node)) => whole(&node),
            Ok(None) => Ok(Json::Null),
            Err(error) => Err(error.to_string()),
        };
        // Only differences from the other library are recorded.
        let good = if let Some(error) = case["v3_error"].as_str() {
            let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
            result.as_ref().err().is_some_and(|ours| {
                error.starts_with(ours.as_str())
                    || (case["group"] == "duplicate" && words(error) == words(ours))
            })
        } else if !case["v3"].is_null() {
            result.as_ref().ok() == Some(&normal(&case["v3"]))
        } else if case["json_any_of"].is_array() {
            true
        } else if let Some(json) = case["json"].as_str() {
            let expected: Json = serde_json::from_str(json).expect("JSON");
            result.as_ref().ok().map(plain_floats) == Some(plain_floats(&expected))
        } else {
            let expected = case["error"].as_str().expect("error");
            result.as_ref().err().is_some_and(|ours| expected.starts_with(ours.as_str()))
                || expected.starts_with("unsupported map key")
        };
        if !good {
            failures.push(format!("{case}\n   ours: {result:?}"));
        }
    }
    crate::report("documents", cases.len(), &failures);
}

#[test]
fn streams_split_into_documents_as_in_yaml_v3() {
    let cases = crate::cases(include_str!("../oracle/yaml-read.jsonl"));
    let mut failures = Vec::new();
    for case in cases.iter().filter(|case| case["v3_stream"].is_array()) {
        let result = read_nodes(crate::read::document(case));
        let good = match (&result, case["v3_stream_error"].as_str()) {
            (Ok(nodes), None) => {
                let ours: Vec<Json> = nodes.iter().map(|node| whole(node).expect("sound")).collect();
                Json::Array(ours) == normal(&case["v3_stream"])
            }
            (Err(error), Some(expected)) => error.to_string() == expected,
            _ => false,
        };
        if !good {
            failures.push(format!("{case}\n   ours: {result:?}"));
        }
    }
    crate::report("streams", cases.len(), &failures);
}

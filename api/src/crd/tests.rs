use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Value, json};

use super::*;

/// Calls `check` with the path and content of every schema.
fn walk(path: &str, schema: &Value, check: &mut dyn FnMut(&str, &Value)) {
    check(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, check);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{mark}"), &schema[key], check);
        }
    }
}

fn schemas() -> Vec<(String, Value)> {
    all()
        .into_iter()
        .map(|crd| {
            let version = &crd.spec.versions[0];
            let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
            let schema: &JSONSchemaProps = schema.expect("every version has a schema");
            (crd.spec.names.kind.clone(), serde_json::to_value(schema).expect("a schema is JSON"))
        })
        .collect()
}

#[test]
fn every_schema_is_structural_and_described() {
    for (kind, schema) in schemas() {
        walk(&kind, &schema, &mut |path, schema| {
            for key in ["oneOf", "anyOf", "allOf", "not", "nullable", "title", "uniqueItems", "$ref"] {
                assert!(schema.get(key).is_none(), "{path} has {key}: {schema}");
            }
            let free = schema["x-kubernetes-preserve-unknown-fields"] == json!(true)
                || schema["x-kubernetes-int-or-string"] == json!(true);
            assert!(free || schema["type"].is_string(), "{path} has no type: {schema}");
            let named = !path.ends_with("[]") && !path.ends_with("{}") && !path.ends_with(".metadata");
            assert!(!named || schema["description"].is_string(), "{path} has no description");
        });
    }
}

#[test]
fn nothing_but_what_is_meant_has_a_default() {
    let mut defaults = Vec::new();
    for (kind, schema) in schemas() {
        walk(&kind, &schema, &mut |path, schema| {
            if let Some(default) = schema.get("default") {
                defaults.push(format!("{path}={default}"));
            }
        });
    }
    assert_eq!(defaults, include_str!("defaults.txt").lines().collect::<Vec<_>>());
}

#[test]
fn one_version_is_stored_and_the_older_ones_are_deprecated() {
    for crd in all() {
        let versions = &crd.spec.versions;
        assert!(versions[0].storage && versions[0].served && versions[0].deprecated.is_none());
        for older in &versions[1..] {
            assert!(!older.storage && older.served && older.deprecated == Some(true));
            assert_eq!(older.schema, versions[0].schema);
        }
    }
}

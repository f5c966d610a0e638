use serde_json::{Value, json};

use super::{CheckError, NoFetch, check};

fn findings(schema: &Value, value: &Value) -> String {
    match check(schema.to_string().as_bytes(), value, &NoFetch) {
        Ok(()) => String::new(),
        Err(CheckError::Invalid(text)) => text,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn findings_are_worded_as_helm_words_them() {
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"e": {"type": "string"}},
        "properties": {
            "a": {"minimum": 5000.5},
            "b": {"maximum": 3},
            "c": {"minLength": 2000},
            "e": {"anyOf": [{"type": "string"}, {"$ref": "#/definitions/e"},
                            {"type": "object", "required": ["x"], "minProperties": 4}]},
            "f": {"oneOf": [{"type": "string"}, {"minLength": 1}]},
            "g": {"not": {"type": "number"}},
            "h": {"enum": ["a", 1, null, true, 1.5]},
            "i": {"format": "email"},
            "k": {"multipleOf": 0.1},
            "l": {"uniqueItems": true, "items": {"type": ["string", "null"]}},
            "o/~": {"const": 1},
            "s": {"format": "uri"}
        },
        "additionalProperties": false
    });
    let value = json!({
        "a": 1234.25, "b": 1_234_567.5, "c": "abc", "e": {"y": 1}, "f": "abc", "g": 5, "h": "x", "i": "foo",
        "k": 0.35, "l": ["a", "a", 1], "o/~": 2, "s": "::", "t": 1, "it's": 3
    });
    let expected = r#"- at '/a': minimum: got 1,234.25, want 5,000.5
- at '/b': maximum: got 1.2345675×10⁰⁶, want 3
- at '/c': minLength: got 3, want 2,000
- at '/e': 'anyOf' failed
  - at '/e': got object, want string
  - at '/e': got object, want string
  - at '/e': validation failed
    - at '/e': minProperties: got 1, want 4
    - at '/e': missing property 'x'
- at '/f': 'oneOf' failed, subschemas 0, 1 matched
- at '/g': 'not' failed
- at '/h': value must be one of 'a', 1, <nil>, true, 1.5
- at '/i': 'foo' is not valid email: missing @
- at '/k': multipleOf: got 0.35, want 0.1
- at '/l': validation failed
  - at '/l': items at 0 and 1 are equal
  - at '/l/2': got number, want null or string
- at '/o~1~0': value must be 1
- at '/s': '::' is not valid uri: parse "::": missing protocol scheme
- at '': additional properties 'it\'s', 't' not allowed"#;
    assert_eq!(findings(&schema, &value), expected);
}

#[test]
fn references_lead_within_the_schema() {
    let schema = json!({
        "$id": "https://example.com/root.json",
        "$defs": {
            "port": {"$anchor": "port", "type": "integer", "maximum": 65535},
            "tree": {"$id": "tree.json", "properties": {"next": {"$ref": "#"}, "port": {"$ref": "root.json#port"}}}
        },
        "properties": {"tree": {"$ref": "tree.json"}, "p": {"$ref": "#/$defs/port"}}
    });
    assert_eq!(findings(&schema, &json!({"tree": {"next": {"port": 80}}, "p": 80.0})), "");
    assert_eq!(
        findings(&schema, &json!({"tree": {"next": {"port": "x"}}, "p": 80.5})),
        "- at '/p': got number, want integer\n- at '/tree/next/port': got string, want integer"
    );
}

#[test]
fn what_no_keyword_saw_is_unevaluated() {
    let schema = json!({
        "allOf": [{"properties": {"a": true}}],
        "anyOf": [{"required": ["b"], "properties": {"b": true}}, true],
        "unevaluatedProperties": false
    });
    assert_eq!(findings(&schema, &json!({"a": 1, "b": 2})), "");
    assert_eq!(findings(&schema, &json!({"a": 1, "c": 2})), "- at '/c': false schema");
}

#[test]
fn endless_and_missing_references_are_errors() {
    let schema = json!({"$ref": "#"});
    assert!(findings(&schema, &json!(1)).contains("cycle"));
    for reference in ["#/definitions/none", "https://example.com/other.json", "other.json"] {
        let schema = json!({"properties": {"a": {"$ref": reference}}}).to_string();
        assert!(matches!(check(schema.as_bytes(), &json!({}), &NoFetch), Err(CheckError::Reference { .. })));
    }
    assert_eq!(findings(&json!({"properties": {"a": {"$ref": "urn:x:y"}}}), &json!({"a": 1})), "");
}

use serde_json::{Value, json};

use super::{CheckError, FetchSchema, NoFetch, check};

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
fn what_references_do_not_find_is_told_as_helm_tells_it() {
    for (reference, expected) in [
        (
            "#",
            "- at '': both /$ref and  resolve to \"file:///values.schema.json#\" causing reference cycle\n",
        ),
        ("#/nope", "json-pointer in \"file:///values.schema.json#/nope\" not found"),
        ("#/a~2", "invalid json-pointer \"file:///values.schema.json#/a~2\""),
        (
            "#nope",
            "anchor in \"file:///values.schema.json#nope\" not found in schema \"file:///values.schema.json\"",
        ),
        ("s3://x/y", "failing loading \"s3://x/y\": no URLLoader registered for \"s3://x/y\""),
    ] {
        assert_eq!(error(&json!({"$ref": reference}).to_string()), expected);
    }
    for (reference, url) in
        [("https://e.com/o.json#/x", "https://e.com/o.json"), ("other.json", "file:///other.json")]
    {
        let found = error(&json!({"properties": {"a": {"$ref": reference}}}).to_string());
        assert!(found.starts_with(&format!("failing loading \"{url}\": schemas of other places")), "{found}");
    }
    assert_eq!(findings(&json!({"properties": {"a": {"$ref": "urn:x:y"}}}), &json!({"a": 1})), "");
    // What nothing uses is not followed.
    assert_eq!(findings(&json!({"$defs": {"a": {"$ref": "#/nope"}}}), &json!({})), "");
}

/// Answers everything with a text.
#[derive(Debug)]
struct Answer(&'static str, bool);

impl FetchSchema for Answer {
    fn fetch(&self, _url: &str) -> Result<Vec<u8>, String> {
        Ok(self.0.as_bytes().to_vec())
    }

    fn is_shown(&self) -> bool {
        self.1
    }
}

#[test]
fn what_was_fetched_and_is_no_schema_is_shown_to_those_only_who_may_see_it() {
    let schema = json!({"$ref": "https://e.com/o.json"}).to_string();
    let error = |text, shown| {
        check(schema.as_bytes(), &json!({"a": 7}), &Answer(text, shown)).unwrap_err().to_string()
    };
    for (text, sign, reason) in [
        ("s3cret", "'s'", "what is there is no JSON"),
        (r#"{"properties": {"s3cret": 7}}"#, "s3cret", "what is there is no JSON Schema"),
        (r#"{"properties": {"a": {"pattern": "(s3cret"}}}"#, "(s3cret", "what is there is no JSON Schema"),
    ] {
        assert!(error(text, true).contains(sign), "{}", error(text, true));
        assert_eq!(error(text, false), format!("failing loading \"https://e.com/o.json\": {reason}"));
    }
    // What a schema demands has to be told.
    let demands = error(r#"{"properties": {"a": {"type": "string"}}}"#, false);
    assert!(demands.contains("at '/a': got number, want string"), "{demands}");
}

/// Made with helm 4.3.1.
#[test]
fn schemas_are_checked_themselves() {
    let metaschema = |dialect: &str, findings: &str| {
        format!(
            "\"file:///values.schema.json#\" is not valid against metaschema: \
             jsonschema validation failed with '{dialect}#'\n{findings}"
        )
    };
    let latest = "https://json-schema.org/draft/2020-12/schema";
    let all = |finding: &str| metaschema(latest, &format!("- at '': 'allOf' failed\n  {finding}"));
    let draft_4 = "http://json-schema.org/draft-04/schema";
    let draft_7 = "http://json-schema.org/draft-07/schema";
    for (schema, expected) in [
        (json!({"required": "z"}), all("- at '/required': got string, want array")),
        (json!({"exclusiveMinimum": true}), all("- at '/exclusiveMinimum': got boolean, want number")),
        (
            json!({"properties": {"a": {"items": [{}]}}}),
            all(
                "- at '/properties/a': 'allOf' failed\n    - at '/properties/a/items': got array, want boolean or object",
            ),
        ),
        (
            json!({"$schema": draft_4, "exclusiveMinimum": true}),
            metaschema(draft_4, "- at '': properties 'minimum' required, if 'exclusiveMinimum' exists"),
        ),
        (
            json!({"$schema": draft_7, "type": "q"}),
            metaschema(
                draft_7,
                "- at '/type': 'anyOf' failed\n  - at '/type': value must be one of 'array', 'boolean', \
                 'integer', 'null', 'number', 'object', 'string'\n  - at '/type': got string, want array",
            ),
        ),
        (
            json!({"properties": {"b": {"$id": "http://e.com/q", "$schema": draft_7, "minimum": "x"}}}),
            all("- at '/properties/b/minimum': got string, want number"),
        ),
        (
            json!({"$schema": draft_7, "foo": {"x": {"pattern": "("}}, "$ref": "#/foo/x"}),
            metaschema(
                draft_7,
                "- at '/pattern': '(' is not valid regex: error parsing regexp: missing closing ): `(`",
            )
            .replace("schema.json#", "schema.json#/foo/x"),
        ),
    ] {
        assert_eq!(error(&schema.to_string()), expected, "{schema}");
    }
}

#[test]
fn each_version_has_its_schema_of_schemas() {
    for draft in ["draft-04", "draft-06", "draft-07", "draft/2019-09", "draft/2020-12"] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://json-schema.org/{draft}/schema#");
            let found = error(&json!({"$schema": url, "properties": {"a": {"minLength": -1}}}).to_string());
            assert!(
                found.contains("at '/properties/a/minLength': minimum: got -1, want 0"),
                "{url}: {found}"
            );
        }
    }
}

#[test]
fn schemas_that_are_no_json_are_told_as_helm_tells_them() {
    for (text, expected) in [
        ("", "EOF"),
        ("{", "unexpected EOF"),
        ("{} x", "invalid character after top-level value"),
        ("type: object", "invalid character 'y' in literal true (expecting 'r')"),
        ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

fn error(schema: &str) -> String {
    check(schema.as_bytes(), &json!({}), &NoFetch).err().map(|error| error.to_string()).unwrap_or_default()
}

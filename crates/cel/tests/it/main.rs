//! Expressions and their answers as cel-go gives them.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use sluice_cel::{Error, Expression, Type};

fn object() -> Value {
    json!({
        "metadata": {"name": "x", "generation": 2, "labels": {"a/b": "c"}},
        "spec": {"replicas": 3, "paused": false, "items": [1, 2, 3], "ratio": 0.5},
        "status": {
            "observedGeneration": 2,
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Ok"},
                {"type": "Synced", "status": "False"}
            ],
            "time": "2026-01-01T00:00:00Z"
        }
    })
}

fn run(text: &str) -> Result<Option<Value>, Error> {
    let object = object();
    Expression::parse(text)?.evaluate(&|name| object.get(name))
}

#[test]
fn expressions_have_the_values_of_cel() {
    for (text, value) in [
        ("status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')", json!(true)),
        ("status.conditions.exists(e, e.type == 'Synced' && e.status == 'False')", json!(true)),
        ("status.conditions.exists_one(e, has(e.reason))", json!(true)),
        ("status.conditions.map(e, e.type)", json!(["Ready", "Synced"])),
        ("status.conditions.map(e, e.status == 'True', e.type)", json!(["Ready"])),
        ("metadata.generation == status.observedGeneration", json!(true)),
        ("has(status.missing)", json!(false)),
        ("has(status.missing) || true", json!(true)),
        ("status.missing == 1 || true", json!(true)),
        ("false && status.missing == 1", json!(false)),
        ("status.?missing.orValue('none')", json!("none")),
        ("status.?observedGeneration.orValue(0) == 2", json!(true)),
        ("status.?a.?b.hasValue()", json!(false)),
        ("metadata.labels['a/b']", json!("c")),
        ("metadata.labels[?'zz'].orValue('')", json!("")),
        ("'a/b' in metadata.labels", json!(true)),
        ("4 in spec.items", json!(false)),
        ("spec.items[1] + 5", json!(7)),
        ("size(spec.items) == spec.items.size()", json!(true)),
        ("spec.replicas > 2.5", json!(true)),
        ("1 == 1.0 && 1u == 1", json!(true)),
        ("7 / 2 * 2 + 7 % 2", json!(7)),
        ("-3 + 1", json!(-2)),
        ("!spec.paused ? 'run' : 'halt'", json!("run")),
        ("'abc'.startsWith('a') && 'abc'.endsWith('c') && 'abc'.contains('b')", json!(true)),
        ("'v1.2'.matches('^v[0-9.]+$')", json!(true)),
        ("'a,b'.split(',')", json!(["a", "b"])),
        ("['a', 'b'].join('-')", json!("a-b")),
        ("' X '.trim().lowerAscii()", json!("x")),
        ("'hello'.substring(1, 3) + 'hello'.charAt(0)", json!("elh")),
        ("'hello'.replace('l', 'L').indexOf('L')", json!(2)),
        ("int('5') + int(2.9)", json!(7)),
        ("string(5) + r'\\n' + '\\u00e9'", json!("5\\né")),
        ("{'a': 1}.a", json!(1)),
        ("type(1) == int", json!(true)),
        ("duration('90m').getHours()", json!(1)),
        ("timestamp(status.time) + duration('1h') > timestamp('2026-01-01T00:30:00Z')", json!(true)),
        ("timestamp(status.time).getFullYear()", json!(2026)),
        ("sets.contains([1, 2], [2])", json!(true)),
        ("base64.decode('aGk=') == b'hi'", json!(true)),
        ("null == null // comment", json!(true)),
        ("dyn(1) == 'a'", json!(false)),
        ("\"\"\"a\nb\"\"\"", json!("a\nb")),
        ("0x10 == 16 && 1e3 == 1000.0", json!(true)),
    ] {
        assert_eq!(run(text), Ok(Some(value)), "{text}");
    }
}

#[test]
fn faults_are_errors_with_the_expression_in_them() {
    for (text, message) in [
        ("status.missing", "no such key: missing"),
        ("nope", "no such attribute(s): nope"),
        ("spec.items[9]", "index out of bounds: 9"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("1 + 'a'", "no such overload: _+_(int, string)"),
        ("'a'.frob()", "no such overload: frob(string)"),
        ("status.conditions.all(e, e.reason == 'Ok')", "no such key: reason"),
    ] {
        let error = run(text).unwrap_err().to_string();
        assert_eq!(error, format!("failed to evaluate the CEL expression '{text}': {message}"));
    }
    for text in ["", "a b", "a.", "(1", "[1", "'x", "1 +", "has(1)", "a.all(1, true)", "@"] {
        assert!(matches!(run(text), Err(Error::Parse { .. })), "{text}");
    }
    let object = object();
    let error = Expression::parse("1").unwrap().evaluate_bool(&|name| object.get(name)).unwrap_err();
    assert_eq!(error.to_string(), "failed to evaluate CEL expression as boolean: '1'");
}

#[test]
fn types_are_known_beforehand_where_they_can_be() {
    let check =
        |text: &str| Expression::parse(text).and_then(|e| e.check(&["self", "dep"], Type::Bool)).map(|_| ());
    for text in [
        "dep.status.x == true",
        "dep.status.observedGeneration == dep.metadata.generation",
        "dep.status.conditions.exists(c, c.type == 'Ready')",
        "dep.metadata.?annotations['a'].orValue('') == 'b'",
        "has(dep.status) && !has(self.x)",
        "self.a in ['b'] || dep.name.startsWith('x')",
        "true",
    ] {
        assert_eq!(check(text), Ok(()), "{text}");
    }
    let mismatch = check("dep.status.x").unwrap_err().to_string();
    assert_eq!(mismatch, "CEL expression output type mismatch: expected bool, got dyn");
    for text in
        ["other.x == 1", "1 + 'a' == 2", "'a' && true", "dep.x ? 1 : 2", "frob(dep)", "!'a'", "1.x == 2"]
    {
        assert!(check(text).is_err(), "{text}");
    }
}

#[test]
fn hostile_expressions_end() {
    let object = object();
    let ends = |text: &str| {
        Expression::parse(text)
            .and_then(|expression| expression.evaluate(&|name| object.get(name)))
            .unwrap_err()
    };
    ends(&"(".repeat(100_000));
    ends(&"!".repeat(10_000));
    ends(&format!("{}1", "-".repeat(1000)));
    ends(&"a.".repeat(5000));
    ends(&format!("1{}", "+1".repeat(20_000)));
    let nested = "spec.items.map(a, spec.items.map(b, ".repeat(8) + "1" + &"))".repeat(8);
    ends(&nested);
    let doubled = format!("'{}'{}", "y".repeat(1000), ".replace('', 'xxxxxxxxxxxxxxxx')".repeat(5));
    ends(&doubled);
}

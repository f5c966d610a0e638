//! Targets for small languages that people write into specs: CEL, regular expressions, ranges of versions, values by path.

use std::sync::LazyLock;

use crate::targets::bytes;
use serde_json::{Value, json};
use sluice_cel::{Expression, Type};
use sluice_helm::values;
use sluice_regexp::Regexp;
use sluice_semver::{Constraints, Version};

pub(crate) const CEL_WORDS: &[&str] = &[
    "object.",
    "status.conditions",
    ".filter(e, ",
    ".exists(e, ",
    ".all(e, ",
    ".map(e, ",
    "e.type",
    "has(",
    "size(",
    ".?x",
    ".orValue(",
    "[?0]",
    "==",
    "!=",
    " in ",
    " ? ",
    " : ",
    "&&",
    "||",
    "!",
    "-",
    "%",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615u",
    "1e308",
    "\"",
    "'''",
    "r'",
    "b'",
    "\\u",
    "\\U0010ffff",
    ".matches('",
    "(a*)*b",
    "timestamp('",
    "duration('1h')",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "null",
    "double(",
    "int(",
    "string(",
    ".split('')",
    ".join(",
    "//",
];

pub(crate) fn cel() -> Vec<Vec<u8>> {
    bytes(&[
        "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')",
        "has(object.metadata.name) && object.metadata.name.startsWith('a') ? size(object.list) > 2 : false",
        "object.list.map(e, e * 2).exists(e, e in [1, 2, 3]) || object.?none.orValue('x') == \"\\u263a\"",
        "timestamp('2020-01-01T00:00:00Z') + duration('1h') < timestamp(object.time) && 7 % 2u == 1u",
        "object.text.matches('^(a+)+$') && object.text.split(',').join('-').replace('a', 'b') != b'x'",
    ])
}

/// What expressions look at.
static OBJECT: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "metadata": {"name": "app", "generation": 3}, "list": [1, 2.5, "c", null, {"type": "Ready"}],
        "time": "2024-02-29T12:00:00Z", "text": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "type": "x",
        "conditions": [{"type": "Ready", "status": "True"}],
    })
});

pub(crate) fn evaluate(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(expression) = Expression::parse(&text) else { return };
    let scope = |name: &str| matches!(name, "object" | "status").then_some(&*OBJECT);
    let checked = expression.clone().check(&["object", "status"], Type::Bool);
    let _ = expression.evaluate(&scope);
    if let Ok(checked) = checked {
        // It may fail, but what passes as a truth value is none of the other types.
        let _ = checked.evaluate_bool(&scope);
    }
}

pub(crate) const PATTERN_WORDS: &[&str] = &[
    "(?P<v>",
    "(?:",
    "(?i)",
    ")",
    "[",
    "]",
    "[^",
    "[[:alpha:]]",
    "\\d",
    "\\pL",
    "\\x{10ffff}",
    "{1000}",
    "{2,",
    "}",
    "*",
    "+?",
    "|",
    "^",
    "$",
    "\\b",
    "\\Q",
    "\\E",
    ">=",
    "<",
    "~",
    "^1",
    " || ",
    " - ",
    "x",
    "-rc.1",
    "+build",
    "v",
    "1.2.3",
    "99999999999999999999",
    ",",
    ".",
    "\u{1f600}",
    "$v",
    "${v}",
    "$1",
];

pub(crate) fn patterns() -> Vec<Vec<u8>> {
    bytes(&[
        "^main-[a-f0-9]+-(?P<ts>[0-9]+)$",
        "(a*)*(b|c{2,5})[^[:space:]]\\p{Greek}?\\z",
        ">=1.2.3-rc.1 <2 || ~3.x - ^0.0.1",
        "v1.2.3-alpha.1+build.5",
    ])
}

pub(crate) fn match_pattern(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(pattern) = Regexp::new(&text) {
        for subject in
            ["main-0123abc-1700000000", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", "", "\u{3b1}\u{1f600}"]
        {
            let _ = pattern.is_match(subject);
        }
    }
    let versions: Vec<Version> = ["1.2.3", "0.0.1-rc.1", "3.4.5+x", "18446744073709551615.0.0"]
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    if let Ok(range) = Constraints::parse(&text) {
        for version in &versions {
            let _ = (range.check(version), range.validate(version));
        }
    }
    if let Ok(version) = text.parse::<Version>() {
        let again = version.to_string().parse::<Version>();
        assert!(again.is_ok_and(|again| again == version), "a version is written as it is read");
    }
}

pub(crate) const SET_WORDS: &[&str] = &[
    "a",
    "b.c",
    ".",
    "=",
    ",",
    "[0]",
    "[65536]",
    "[-1]",
    "[99999999999999999999]",
    "[",
    "]",
    "{",
    "}",
    "{1,2}",
    "\\,",
    "\\.",
    "\\",
    "null",
    "true",
    "0x1F",
    "1e999",
    "\"",
    "'",
    "@",
    "\u{e9}",
    "\n",
    "a[0][0][0][0]",
    "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a",
    "{\"a\":[1,{\"b\":null}]}",
];

pub(crate) fn settings() -> Vec<Vec<u8>> {
    bytes(&[
        "a.b=1,list[0].name=x,list[1]={a,b},text=a\\,b,none=null",
        "outer.inner[2][1]=true,esc\\.aped.key=\"q\"",
        "config={\"a\": [1, 2.5, {\"b\": null}]}",
    ])
}

pub(crate) fn set_values(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for set in [values::set_typed, values::set_string, values::set_json, values::set_literal] {
        let mut target = values::read_values(b"a: {b: [1, {c: d}]}\nlist: [x]\n").unwrap_or_default();
        let _ = set(&text, &mut target);
    }
}

//! Answers of Go 1.26's `regexp`, one JSON object a line in `tests/data`.

use serde_json::Value;
use sluice_regexp::Regexp;

fn pairs(groups: &[Option<(usize, usize)>]) -> Vec<i64> {
    let pair = |group: &Option<(usize, usize)>| match group {
        Some((start, end)) => [*start as i64, *end as i64],
        None => [-1, -1],
    };
    groups.iter().flat_map(pair).collect()
}

fn check(case: &Value) -> Result<(), String> {
    let text = |field: &str| case[field].as_str().unwrap_or_default();
    let regexp = match (Regexp::new(text("pattern")), case["error"].as_str()) {
        (Ok(regexp), None) => regexp,
        (Ok(_), Some(error)) => return Err(format!("compiled, but Go says {error}")),
        (Err(error), None) => return Err(format!("{error}, but Go compiles it")),
        (Err(error), Some(expected)) if error.to_string() == expected => return Ok(()),
        (Err(error), Some(expected)) => return Err(format!("{error}\n  Go: {expected}")),
    };
    let haystack = text("text");
    let equal = |what: &str, ours: Value| {
        let expected = match what {
            // Left out where nothing was replaced.
            "replace_all" if case[what].is_null() => &case["text"],
            _ => &case[what],
        };
        if ours == *expected || expected.is_null() && (ours == "" || ours == serde_json::json!([])) {
            return Ok(());
        }
        Err(format!("{what}: {ours}\n  Go: {expected}"))
    };
    equal("match", regexp.is_match(haystack).into())?;
    let groups = regexp.find_groups(haystack);
    equal("index", groups.as_deref().map(pairs).unwrap_or_default().into())?;
    let mut expanded = Vec::new();
    if let Some(groups) = &groups {
        regexp.expand(&mut expanded, text("template").as_bytes(), haystack.as_bytes(), groups);
    }
    equal("expanded", String::from_utf8_lossy(&expanded).into())?;
    let replaced = regexp.replace_all(haystack, text("template"));
    equal("replace_all", String::from_utf8_lossy(&replaced).into())?;
    let all: Vec<&str> =
        regexp.find_all(haystack, -1).into_iter().map(|(start, end)| &haystack[start..end]).collect();
    equal("all", all.into())?;
    equal("names", regexp.names().to_vec().into())
}

#[test]
fn answers_are_those_of_go() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("../data/go-regexp.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect("a JSON object");
        count += 1;
        if let Err(message) = check(&case) {
            wrong.push(format!("{}: {:?}: {message}", case["id"], case["pattern"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn splitting_is_as_in_go() {
    let split = |pattern: &str, text: &'static str, limit: i64| {
        let parts = Regexp::new(pattern).expect("valid").split(text.as_bytes(), limit);
        parts.into_iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(split("a", "banana", -1), ["b", "n", "n", ""]);
    assert_eq!(split("a", "banana", 0), [""; 0]);
    assert_eq!(split("a", "banana", 2), ["b", "nana"]);
    assert_eq!(split("z+", "pizza", -1), ["pi", "a"]);
    assert_eq!(split("", "abc", -1), ["a", "b", "c"]);
    assert_eq!(split("x", "", -1), [""]);
}

#[test]
fn huge_expressions_end_in_an_error() {
    let nested = "(".repeat(2000) + &")".repeat(2000);
    assert!(Regexp::new(&nested).is_err());
    assert!(Regexp::new("((a{1000}){1000}){1000}").is_err());
}

use serde::Deserialize;
use sluice_semver::{Constraints, Version};

#[derive(Deserialize)]
struct Case {
    id: String,
    range: String,
    version: String,
    ok: Option<bool>,
    ok_with_prereleases: Option<bool>,
    range_string: Option<String>,
    version_string: Option<String>,
    reasons: Option<Vec<String>>,
    range_error: Option<String>,
    version_error: Option<String>,
    strict_version_error: Option<String>,
}

#[test]
fn ranges_accept_what_the_reference_accepts() {
    let mut failures = Vec::new();
    let mut count = 0;
    for line in include_str!("fixtures/semver-range.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        count += 1;
        let mut want = |what: &str, got: String, expected: String| {
            if got != expected {
                failures.push(format!("{} {what}: got {got}, want {expected}", case.id));
            }
        };
        let range = Constraints::parse(&case.range);
        let version = Version::parse(&case.version);
        let error = |e: Option<String>| e.unwrap_or_default();
        want("range error", error(range.as_ref().err().map(ToString::to_string)), error(case.range_error));
        want(
            "version error",
            error(version.as_ref().err().map(ToString::to_string)),
            error(case.version_error),
        );
        let strict = Version::parse_strict(&case.version).err().map(|e| e.to_string());
        want("strict version error", error(strict), error(case.strict_version_error));
        if let (Ok(range), Some(expected)) = (&range, case.range_string) {
            want("range text", range.to_string(), expected);
        }
        if let (Ok(version), Some(expected)) = (&version, case.version_string) {
            want("version text", version.to_string(), expected);
        }
        if let (Ok(range), Ok(version)) = (range, version) {
            want("check", format!("{:?}", Some(range.check(&version))), format!("{:?}", case.ok));
            let reasons = range.validate(&version).err().unwrap_or_default();
            want("reasons", format!("{reasons:?}"), format!("{:?}", case.reasons.unwrap_or_default()));
            let checked = range.including_prereleases().check(&version);
            want(
                "check with pre-releases",
                format!("{:?}", Some(checked)),
                format!("{:?}", case.ok_with_prereleases),
            );
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(count, 706);
}

#[test]
fn increments_follow_the_reference() {
    let next = |f: fn(&Version) -> Option<Version>, text: &str| {
        f(&Version::parse(text).unwrap()).map(|v| v.original().to_owned())
    };
    assert_eq!(next(Version::increment_patch, "v1.2.3-rc.1+b").as_deref(), Some("v1.2.3"));
    assert_eq!(next(Version::increment_patch, "1.2").as_deref(), Some("1.2.1"));
    assert_eq!(next(Version::increment_minor, "v1.2.3").as_deref(), Some("v1.3.0"));
    assert_eq!(next(Version::increment_major, "1.2.3-a").as_deref(), Some("2.0.0"));
    assert_eq!(next(Version::increment_patch, "1.2.18446744073709551615"), None);
}

#[test]
fn overlong_and_crowded_texts_are_refused() {
    assert!(Version::parse(&"1".repeat(257)).is_err());
    assert!(Constraints::parse(&" ".repeat(513)).is_err());
    assert!(Constraints::parse(&["1"; 33].join("||")).is_err());
    assert!(Constraints::parse(&["1"; 32].join("||")).is_ok());
    assert!(Constraints::parse("é - 1 – ü").is_err());
}

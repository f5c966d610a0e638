//! What Go's time package answers.

use std::time::Duration;

use serde_json::Value;
use sluice_duration::{format, format_std, from_std, parse, to_std};

#[test]
fn every_answer_of_go_is_given() {
    let mut failures = Vec::new();
    for line in include_str!("../go-duration.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect("case is JSON");
        let text = case["text"].as_str().expect("text");
        let expected = match case["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => {
                Ok((case["ns"].as_i64().expect("ns"), case["string"].as_str().expect("string").to_owned()))
            }
        };
        let actual = parse(text).map(|ns| (ns, format(ns))).map_err(|e| e.to_string());
        if actual != expected {
            failures.push(format!("{text:?}: {actual:?} instead of {expected:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_ends_of_the_range_survive() {
    assert_eq!(format(i64::MIN), "-2562047h47m16.854775808s");
    assert_eq!(parse("-2562047h47m16.854775808s"), Ok(i64::MIN));
    assert_eq!(parse(&format(i64::MAX)), Ok(i64::MAX));
}

#[test]
fn printed_durations_are_read_back() {
    let mut value: i64 = 1;
    while let Some(next) = value.checked_mul(7) {
        for ns in [value, -value, value / 1000 * 1000] {
            assert_eq!(parse(&format(ns)), Ok(ns));
        }
        value = next;
    }
}

#[test]
fn standard_durations_cross_over() {
    assert_eq!(to_std(1_500_000_000), Some(Duration::from_millis(1500)));
    assert_eq!(to_std(-1), None);
    assert_eq!(from_std(Duration::from_secs(90)), 90_000_000_000);
    assert_eq!(from_std(Duration::MAX), i64::MAX);
    assert_eq!(format_std(Duration::from_micros(2_818_583)), "2.818583s");
}

use serde::Deserialize;
use sluice_policy::{Filter, Order, Policy, latest};

#[derive(Deserialize, Debug)]
struct Case {
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    pattern: String,
    #[serde(default)]
    extract: String,
    kind: String,
    #[serde(default)]
    range: String,
    #[serde(default)]
    latest: String,
    #[serde(default)]
    error: String,
}

fn choose(case: &Case) -> Result<String, String> {
    let filter = (!case.pattern.is_empty()).then(|| Filter::new(&case.pattern, &case.extract)).transpose();
    let filter = filter.map_err(|error| error.to_string())?;
    let policy = match case.kind.as_str() {
        "semver" => Policy::semver(&case.range)?,
        "asc" => Policy::Alphabetical(Order::Ascending),
        "desc" => Policy::Alphabetical(Order::Descending),
        "numasc" => Policy::Numerical(Order::Ascending),
        _ => Policy::Numerical(Order::Descending),
    };
    let tags = case.tags.as_deref().unwrap_or_default();
    latest(tags, filter.as_ref(), &policy).map(str::to_owned).map_err(|error| error.to_string())
}

#[test]
fn the_reference_chooses_the_same_tags() {
    let mut failures = Vec::new();
    let mut count = 0;
    for line in include_str!("fixtures/policies.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let expected = if case.error.is_empty() { Ok(case.latest.clone()) } else { Err(case.error.clone()) };
        let got = choose(&case);
        if got != expected {
            failures.push(format!("{got:?} instead of {expected:?} for {case:?}"));
        }
        count += 1;
    }
    assert_eq!(count, 600);
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
}

use serde::Deserialize;
use sluice_semver::Version;

#[derive(Deserialize)]
struct Case {
    id: String,
    versions: Vec<String>,
    ascending: Vec<String>,
    descending: Vec<String>,
    ascending_normal: Vec<String>,
    invalid: Vec<Invalid>,
}

#[derive(Deserialize, PartialEq, Debug)]
struct Invalid {
    version: String,
    error: String,
}

#[test]
fn versions_sort_as_the_reference_sorts_them() {
    for line in include_str!("fixtures/semver-sort.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let (mut versions, mut invalid) = (Vec::new(), Vec::new());
        for text in &case.versions {
            match Version::parse(text) {
                Ok(version) => versions.push(version),
                Err(error) => invalid.push(Invalid { version: text.clone(), error: error.to_string() }),
            }
        }
        assert_eq!(invalid, case.invalid, "{}", case.id);
        let originals = |v: &[Version]| v.iter().map(|v| v.original().to_owned()).collect::<Vec<_>>();
        let mut reversed = versions.clone();
        versions.sort();
        assert_eq!(originals(&versions), case.ascending, "{}", case.id);
        let normal: Vec<String> = versions.iter().map(ToString::to_string).collect();
        assert_eq!(normal, case.ascending_normal, "{}", case.id);
        reversed.sort_by(|a, b| b.cmp(a));
        assert_eq!(originals(&reversed), case.descending, "{}", case.id);
    }
}

use super::*;
use sluice_compose::{captures, render};

#[test]
fn directories_are_captured() {
    let work = Work::new(&[
        ("git/apps/Web/envs/prod/x", ""),
        ("git/apps/Web/envs/dev/x", ""),
        ("git/apps/api/envs/prod/x", ""),
        ("git/apps/file", ""),
        ("git/other/Web/envs/prod/x", ""),
    ]);
    let found = captures(&work.sources["git"], "apps/{app}/envs/{env}").unwrap();
    let shown: Vec<_> = found
        .iter()
        .map(|captured| {
            (captured.directory.as_str(), captured.values["app"].as_str(), captured.values["env"].as_str())
        })
        .collect();
    let expected = [
        ("apps/Web/envs/dev", "Web", "dev"),
        ("apps/Web/envs/prod", "Web", "prod"),
        ("apps/api/envs/prod", "api", "prod"),
    ];
    assert_eq!(shown, expected);
    assert_eq!(render("@git/apps/{app}/x-{env}", &found[0].values).unwrap(), "@git/apps/Web/x-dev");
    let literal = captures(&work.sources["git"], "apps/api").unwrap();
    assert_eq!(literal.len(), 1);
}

#[test]
fn malformed_patterns_are_told() {
    let work = Work::new(&[("git/a/x", "")]);
    for (pattern, expected) in [
        ("a/{", "the brace at offset 2 has no other"),
        ("a}", "the brace at offset 1 has no other"),
        ("{}", "capture variable '' must match"),
        ("{1a}", "capture variable '1a' must match"),
        ("{a}/{a}", "duplicate capture variable 'a'"),
    ] {
        let error = captures(&work.sources["git"], pattern).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = render("{b}", &BTreeMap::new()).unwrap_err().to_string();
    assert_eq!(error, "'{b}': capture variable 'b' is not defined by pathPattern");
}

use std::io::Cursor;

use serde_json::Value;

use super::*;

fn converted(text: &str) -> Result<(Converted, String), ConvertError> {
    let mut out = Vec::new();
    let converted = convert(&mut Cursor::new(text), &mut Cursor::new(Vec::new()), &mut out)?;
    Ok((converted, String::from_utf8(out).unwrap()))
}

/// The versions that an index has of a chart, in their order.
fn versions(stored: &str, chart: &str) -> Option<Vec<String>> {
    let mut versions = Vec::new();
    let known = find::each(&mut Cursor::new(stored), chart, &mut |entry| versions.push(entry)).unwrap();
    known.then(|| versions.into_iter().map(|entry| entry.metadata.version).collect())
}

const YAML: &str = "---
# made by hand
apiVersion: v1
entries:
  one:
  - apiVersion: v2
    name: one
    description: |
      - not an entry
        two:

      three
    version: 1.2.0
    urls: [one-1.2.0.tgz]
  # between
  - name: one
    version: 1.10.0
    keywords:
    - a
    urls:
    - one-1.10.0.tgz
  - name: one
    version: bad!
  'two':
    - {name: two, version: 0.1.0, urls: [two.tgz]}
  empty: []
  none:
generated: \"2026-01-01T00:00:00Z\"
";

#[test]
fn entries_are_read_one_by_one_and_stored_with_the_highest_first() {
    let (converted, stored) = converted(YAML).unwrap();
    assert_eq!((converted.charts, converted.versions, converted.warnings.len()), (4, 3, 1));
    assert_eq!(versions(&stored, "one").unwrap(), ["1.10.0", "1.2.0"]);
    assert_eq!(versions(&stored, "two").unwrap(), ["0.1.0"]);
    assert_eq!(versions(&stored, "empty").unwrap(), [""; 0]);
    assert_eq!(versions(&stored, "none").unwrap(), [""; 0]);
    assert_eq!(versions(&stored, "three"), None);
    let whole = Index::parse(YAML.as_bytes()).unwrap();
    let again = Index::parse(stored.as_bytes()).unwrap();
    assert_eq!(whole.entries["one"], again.entries["one"]);
    assert_eq!(whole.generated, again.generated);
    for wanted in ["", "1.2.0", "~1.2", ">1.2", "*"] {
        let found = find(&mut Cursor::new(&stored), "one", wanted).unwrap();
        assert_eq!(found, *whole.get("one", wanted).unwrap(), "{wanted}");
    }
    for (chart, wanted) in [("one", "2.x"), ("one", "junk!"), ("empty", ""), ("three", "")] {
        let error = find(&mut Cursor::new(&stored), chart, wanted).unwrap_err();
        assert_eq!(error.to_string(), whole.get(chart, wanted).unwrap_err().to_string());
    }
}

#[test]
fn every_shape_gives_the_same() {
    let (_, stored) = converted(YAML).unwrap();
    let json = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&stored).unwrap()).unwrap();
    let (_, from_json) = converted(&json).unwrap();
    assert_eq!(from_json, stored);
    // As somebody else stored it.
    assert_eq!(versions(&json, "one").unwrap(), ["1.10.0", "1.2.0"]);
    assert_eq!(versions(&json, "three"), None);
    let flow = "{apiVersion: v1, entries: {one: [{name: one, version: 1.2.0}]}}";
    assert_eq!(versions(&converted(flow).unwrap().1, "one").unwrap(), ["1.2.0"]);
    let anchored = "apiVersion: v1\nentries:\n  a:\n  - &x {name: a, version: 1.0.0}\n  b:\n  - *x\n";
    assert_eq!(versions(&converted(anchored).unwrap().1, "b").unwrap(), ["1.0.0"]);
    assert_eq!(versions(&converted("apiVersion: v1\nentries: {}\n").unwrap().1, "b"), None);
}

#[test]
fn what_helm_refuses_is_refused() {
    let error = |text: &str| converted(text).unwrap_err().to_string();
    assert_eq!(error(""), "empty index.yaml file");
    assert_eq!(error("entries: {}"), "no API version specified");
    assert_eq!(error("{\"entries\":{}}"), "no API version specified");
    assert!(error(&YAML.replace("generated", "degenerated")).contains("unknown field \"degenerated\""));
    assert!(error(&YAML.replace("keywords", "keywrds")).contains("unknown field \"keywrds\""));
    assert!(error(&format!("{YAML}apiVersion: v1\n")).contains("apiVersion"));
    assert!(error("<html>not an index</html>").contains("error"));
    let large = format!("{{a: {}}}", "x".repeat(9 << 20));
    assert!(matches!(converted(&large), Err(ConvertError::Shape)));
}

/// Versions of all layouts that people and programs write, put together at random.
#[test]
fn the_quick_way_and_the_whole_reader_agree_on_random_indexes() {
    let fields: &[&[&str]] = &[
        &["annotations:", "  a.b/c: x", "  images: |", "    - name: one", "", "      image: \"two\""],
        &["annotations: {a: b}"],
        &["apiVersion: v2"],
        &["apiVersion: 2"],
        &["appVersion: 1.0"],
        &["appVersion: \"1.0\"", "# a comment"],
        &["created: 2026-01-01T00:00:00.5Z"],
        &["created: \"2026-01-01T00:00:00+02:00\""],
        &["dependencies:", "- alias: x", "  name: y", "  repository: https://h/c", "  version: ^1.2"],
        &["dependencies:", "- condition: a.b", "  import-values:", "  - data", "  name: y"],
        &["dependencies:", "- alias: x y", "  name: z"],
        &["deprecated: true"],
        &["deprecated: yes"],
        &["description: words that go on,", "  and on: not", "  the end"],
        &["description: words that go on,", "  and \"on\" until", "  the end"],
        &["description: 'it''s - name: x'"],
        &["description: \"a \\\"b\\\" \\", "  \\ c\""],
        &["description: >-", "  folded", "  text"],
        &["digest: 0e1234"],
        &["digest: abc", ""],
        &["home: https://h/#a"],
        &["icon: ~"],
        &["Icon: x"],
        &["keywords: [a, b]"],
        &["keywords:", "  - a", "  - 'b'"],
        &["keywords:", "- a", "- 1"],
        &["maintainers:", "- email: a@b", "  name: ä"],
        &["maintainers:", "- ~"],
        &["maintainers:", "- nickname: x"],
        &["sources:", "-", "- x"],
        &["type: application"],
        &["type: strange"],
        &["unknown: x"],
        &["urls:", "- https://h/a.tgz"],
        &["urls: &u", "- a.tgz"],
        &["urls: *u"],
    ];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 16) as usize % below
    };
    let mut good = 0;
    for _ in 0..1_500 {
        let mut text = String::from("apiVersion: v1\nentries:\n");
        for chart in 0..=random(2) {
            text += &format!("  chart-{chart}:\n");
            let margin = " ".repeat(2 + 2 * random(2));
            for _ in 0..random(4) {
                let mut lines = Vec::new();
                let mut next = random(12);
                while next < fields.len() {
                    lines.extend_from_slice(fields[next]);
                    next += 2 + random(14);
                }
                let name = ["name: a", "name: a/b", "name: \"a\"", "name: 1"][random(13).saturating_sub(9)];
                let number = random(5);
                let version = ["1.0.0", "1.2.0-rc.1", "v3", "bad!", "'2.0'"][number];
                lines.insert(0, name);
                let version = format!("version: {version}");
                // In the order that programs write, or not.
                lines.insert(if random(3) == 0 { 0 } else { lines.len() }, &version);
                if random(3) > 0 {
                    lines.remove(lines.iter().position(|line| *line == name).unwrap());
                    let at = lines.iter().position(|line| *line > name && !line.starts_with(['-', ' ', '#']));
                    lines.insert(at.unwrap_or(lines.len()), name);
                }
                for (index, line) in lines.iter().enumerate() {
                    text += &format!("{margin}{} {line}\n", if index == 0 { '-' } else { ' ' });
                }
            }
        }
        let mut json = Vec::new();
        let quick = convert(&mut Cursor::new(&text), &mut Cursor::new(Vec::new()), &mut json);
        let mut slow = Vec::new();
        let whole = whole(&mut Cursor::new(&text), &mut slow);
        match (quick, whole) {
            (Ok(quick), Ok(whole)) => {
                assert_eq!(quick, whole, "{text}");
                assert_eq!(String::from_utf8(json).unwrap(), String::from_utf8(slow).unwrap(), "{text}");
                good += usize::from(quick.versions > 0);
            }
            (Err(quick), Err(whole)) => assert_eq!(quick.to_string(), whole.to_string(), "{text}"),
            (quick, whole) => panic!("{quick:?} but {whole:?}:\n{text}"),
        }
    }
    assert!(good > 150, "{good}");
}

#[test]
fn a_version_without_end_is_refused() {
    let long =
        format!("apiVersion: v1\nentries:\n  a:\n  - name: a\n    description: {}\n", "x".repeat(5 << 20));
    assert!(matches!(converted(&long), Err(ConvertError::Large)));
}

use super::*;

const SOURCES: &[(&str, &str)] = &[
    ("git/apps/a/a.yaml", "a"),
    ("git/apps/a/sub/deep.yaml", "deep"),
    ("git/apps/a/README.md", "read"),
    ("git/apps/b/b.yaml", "b"),
    ("git/config.yaml", "x: 1\nmap: {a: 1, b: [1, 2]}\n"),
    ("oci/config.yaml", "map: {b: [3], c: 4}\n---\nz: 2\n"),
];

/// Names of the files that come of one operation.
fn names(operation: Operation) -> Vec<String> {
    let work = Work::new(SOURCES);
    work.compose(&[operation]).unwrap().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn files_and_directories_are_copied_as_cp_does() {
    let all = ["apps/a/README.md", "apps/a/a.yaml", "apps/a/sub/deep.yaml", "apps/b/b.yaml", "config.yaml"];
    for (operation, expected) in [
        (copy("@git/config.yaml", "@artifact/"), &["config.yaml"][..]),
        (copy("@git/config.yaml", "@artifact/x/"), &["x/config.yaml"]),
        (copy("@git/config.yaml", "@artifact/x/y.yaml"), &["x/y.yaml"]),
        (copy("@git/apps/b", "@artifact/x"), &["x/b/b.yaml"]),
        (copy("@git/apps/b/", "@artifact/x/"), &["x/b/b.yaml"]),
        (copy("@git/", "@artifact/"), &all),
        (copy("@git/**", "@artifact/"), &all),
        (copy("@git/apps/a/**", "@artifact/x/"), &["x/README.md", "x/a.yaml", "x/sub/deep.yaml"]),
        (copy("@git/apps/*/*.yaml", "@artifact/x/"), &["x/apps/a/a.yaml", "x/apps/b/b.yaml"]),
        (copy("@git/apps/[a]", "@artifact/"), &["apps/a/README.md", "apps/a/a.yaml", "apps/a/sub/deep.yaml"]),
        (without(&["*.md"], "@git/apps/a", "@artifact/"), &["a/a.yaml", "a/sub/deep.yaml"]),
        (without(&["sub/**"], "@git/apps/a/**", "@artifact/"), &["README.md", "a.yaml"]),
        (without(&["apps/{a,c}"], "@git/apps/*", "@artifact/"), &["apps/b/b.yaml"]),
        (without(&["config.yaml"], "@git/config.yaml", "@artifact/"), &[]),
    ] {
        assert_eq!(names(operation.clone()), expected, "{operation:?}");
    }
}

#[test]
fn later_operations_replace_or_merge() {
    let work = Work::new(SOURCES);
    let files = work.compose(&[
        copy("@git/config.yaml", "@artifact/merged.yaml"),
        with(Strategy::Merge, "@oci/config.yaml", "@artifact/merged.yaml"),
        copy("@git/config.yaml", "@artifact/replaced.yaml"),
        copy("@oci/config.yaml", "@artifact/replaced.yaml"),
    ]);
    let files = files.unwrap();
    assert_eq!(files[0].1, "map:\n  a: 1\n  b:\n  - 3\n  c: 4\nx: 1\nz: 2\n");
    assert_eq!(files[1].1, SOURCES[5].1);
}

#[test]
fn a_file_goes_into_a_directory_that_is_there() {
    let work = Work::new(SOURCES);
    let operations = [copy("@git/apps/b", "@artifact/"), copy("@git/config.yaml", "@artifact/b")];
    let names: Vec<_> = work.compose(&operations).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["b/b.yaml", "b/config.yaml"]);
}

#[test]
fn archives_are_unpacked() {
    let work = Work::new(&[("git/a/note.txt", "x")]);
    let archive = hostile::archive(&[("templates/x.yaml", "x: 1")]);
    fs::write(work.sources["git"].join("a/chart.TGZ"), &archive).unwrap();
    let files = work.compose(&[
        with(Strategy::Extract, "@git/**/*", "@artifact/all/"),
        with(Strategy::Extract, "@git/a/chart.TGZ", "@artifact/"),
    ]);
    let names: Vec<_> = files.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["all/templates/x.yaml", "templates/x.yaml"]);
}

//! Charts in archives: what is packed comes back, and what should not be there is refused.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use sluice_gotemplate::SystemHost;
use sluice_helm::chart::{File, LoadError, load_archive, load_directory, load_files, load_listed};
use sluice_helm::package::package;
use sluice_helm::template::render_chart;
use sluice_helm::{TemplateOptions, Values, template};

const CHART: &str =
    "apiVersion: v2\nname: c\nversion: 1.2.3\ndependencies: [{name: s, version: 1.x, repository: ''}]\n";

fn files() -> Vec<File> {
    [
        ("Chart.yaml", CHART),
        ("values.yaml", "# kept\na: 1\n"),
        ("values.schema.json", "{}"),
        ("Chart.lock", "dependencies: []\ndigest: sha256:1\ngenerated: \"2026-01-02T03:04:05Z\"\n"),
        ("templates/a.yaml", "a: {{ .Values.a }}\n"),
        ("README.md", "read me"),
        ("charts/s/Chart.yaml", "apiVersion: v2\nname: s\nversion: 1.0.0\n"),
        ("charts/s/templates/s.yaml", "s: 1\n"),
        ("charts/_ignored/x", ""),
    ]
    .into_iter()
    .map(|(name, content)| File::new(name, content.as_bytes()))
    .collect()
}

fn names(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| &*file.name).collect()
}

#[test]
fn a_packed_chart_comes_back() {
    let chart = load_files(files()).expect("a chart");
    let packed = package(&chart, None).expect("an archive");
    assert_eq!(packed.file_name, "c-1.2.3.tgz");
    assert_eq!(packed, package(&chart, None).expect("the same archive"));
    let back = load_archive(&packed.bytes).expect("a chart");
    assert_eq!(back.metadata, chart.metadata);
    assert_eq!((back.values, back.lock), (chart.values, chart.lock));
    assert_eq!(names(&back.templates), ["templates/a.yaml"]);
    assert_eq!(names(&back.files), ["README.md"]);
    assert_eq!(back.subcharts.len(), 1);
    assert_eq!(names(&back.subcharts[0].templates), ["templates/s.yaml"]);
}

#[test]
fn a_folder_is_read_without_what_helmignore_names() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in [
        ("Chart.yaml", CHART),
        (".helmignore", "*.bak\nci/\n"),
        ("ci/a.yaml", ""),
        ("x.bak", ""),
        ("templates/.swp", ""),
        ("templates/a.yaml", "\u{feff}a: 1"),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    std::os::unix::fs::symlink("templates/a.yaml", folder.path().join("link.txt")).expect("a link");
    let chart = load_directory(folder.path()).expect("a chart");
    assert_eq!(names(&chart.templates), ["templates/a.yaml"]);
    assert_eq!(names(&chart.files), [".helmignore", "link.txt"]);
    assert_eq!(&*chart.templates[0].data, b"a: 1");

    // The same from a list, which says nothing of times.
    let read = |name: &str| fs::read(folder.path().join(name));
    let mut listed: Vec<(String, u64)> = Vec::new();
    for name in
        ["link.txt", ".helmignore", "Chart.yaml", "ci/a.yaml", "templates/.swp", "templates/a.yaml", "x.bak"]
    {
        listed.push((name.to_owned(), read(name).expect("a file").len() as u64));
    }
    listed.sort();
    let list: Vec<(&str, u64)> = listed.iter().map(|(name, size)| (name.as_str(), *size)).collect();
    let other = load_listed(Path::new("x"), &list, read).expect("a chart");
    let contents = |chart: &sluice_helm::Chart| {
        chart.raw.iter().map(|f| (f.name.clone(), f.data.to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(contents(&other), contents(&chart));
    let missing = |_: &str| Err(std::io::Error::from_raw_os_error(2));
    let error = load_listed(Path::new("x"), &[("a", 1)], missing).expect_err("no chart");
    let text = "unable to detect chart at x/Chart.yaml: No such file or directory (os error 2)";
    assert_eq!(error.to_string(), text);
    let deep = "d/".repeat(70) + "f";
    let deep = [("Chart.yaml", 0), (deep.as_str(), 0)];
    assert!(matches!(load_listed(Path::new("x"), &deep, |_| Ok(Vec::new())), Err(LoadError::Depth(_))));
    let large = [("Chart.yaml", 0), ("f", 1 << 40)];
    assert!(matches!(load_listed(Path::new("x"), &large, |_| Ok(Vec::new())), Err(LoadError::TooLarge(_))));

    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).expect("a link");
    assert!(matches!(load_directory(folder.path()), Err(LoadError::Depth(_))));
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        // Past the checks of the writer.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, *content).expect("an entry");
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tar.into_inner().expect("a tar")).expect("written");
    gzip.finish().expect("an archive")
}

#[test]
fn archives_that_reach_out_are_refused() {
    for (name, message) in [
        ("c/../../etc/passwd", "chart illegally references parent directory"),
        ("c//etc/passwd", "chart illegally contains absolute paths"),
        ("passwd", "chart illegally contains content outside the base directory: \"passwd\""),
        ("c/c:/x", "chart contains illegally named files"),
    ] {
        let error = load_archive(&archive(&[(name, b"x")])).expect_err(name);
        assert_eq!(error.to_string(), format!("unable to load chart archive: {message}"), "{name}");
    }
    assert!(load_archive(b"\x1f\x8b\x08").is_err());
    assert!(load_archive(b"").is_err());
    assert_eq!(
        load_archive(&archive(&[])).expect_err("empty").to_string(),
        "unable to load chart archive: no files in chart archive"
    );
}

#[test]
fn archives_that_swell_are_refused() {
    // What the header claims is enough: nothing is unpacked.
    let mut header = tar::Header::new_gnu();
    header.set_path("c/big").expect("a path");
    header.set_size(101 << 20);
    header.set_cksum();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(header.as_bytes()).expect("written");
    let error = load_archive(&gzip.finish().expect("an archive")).expect_err("too large");
    assert!(error.to_string().contains("decompressed chart is larger than the maximum size"));
}

#[test]
fn archives_within_archives_do_not_go_on_for_ever() {
    let metadata = b"apiVersion: v2\nname: c\nversion: 1.0.0\n".as_slice();
    let mut inner = archive(&[("c/Chart.yaml", metadata)]);
    for _ in 0..80 {
        inner = archive(&[("c/Chart.yaml", metadata), ("c/charts/c.tgz", &inner)]);
    }
    assert!(load_archive(&inner).expect_err("too deep").to_string().contains("too deep"));
}

#[test]
fn charts_that_are_none_are_told_as_helm_tells_them() {
    let message = |files: &[(&str, &str)]| {
        load_files(files.iter().map(|(name, text)| File::new(*name, text.as_bytes())).collect())
            .expect_err("no chart")
            .to_string()
    };
    assert_eq!(message(&[("values.yaml", "a: 1")]), "Chart.yaml file is missing");
    assert_eq!(message(&[("Chart.yaml", "name: a")]), "validation: chart.metadata.version is required");
    assert_eq!(
        message(&[("Chart.yaml", "name: a/b\nversion: 1.0.0")]),
        "validation: chart.metadata.name \"a/b\" is invalid"
    );
    assert_eq!(
        message(&[("Chart.yaml", "name: a\nversion: one")]),
        "validation: chart.metadata.version \"one\" is invalid"
    );
    assert_eq!(
        message(&[("Chart.yaml", "name: a\nversion: 1.0.0"), ("charts/README.md", "x")]),
        "error unpacking subchart README.md in a: Chart.yaml file is missing"
    );
    assert_eq!(
        message(&[("Chart.yaml", "name: a\nversion: 1.0.0\ndependencies: [{name: b}, {name: c, alias: b}]")]),
        "validation: more than one dependency with name or alias \"b\""
    );
}

#[test]
fn crds_that_stay_in_their_files_print_as_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    let large = "# é\n".repeat(40_000) + "kind: Large\n";
    write("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
    write("crds/large.yaml", &large);
    write("crds/small.yaml", "kind: Small\n");
    write("charts/crds/Chart.yaml", "apiVersion: v2\nname: crds\nversion: 1.0.0\n");
    write("charts/crds/crds/large.yaml", &large);
    write("charts/crds/values.yaml", &format!("text: |\n  {}", large.replace('\n', "\n  ")));
    for template in ["", "a: {{ .Files.Get \"crds/large.yaml\" | sha256sum }}{{ .Values.crds.text | len }}\n"]
    {
        write("templates/a.yaml", template);
        for include_crds in [false, true] {
            let options = TemplateOptions { include_crds, ..TemplateOptions::default() };
            let mut chart = load_directory(folder.path()).expect("a chart");
            let eager = render_chart(&mut chart, &Values::new(), &options, &mut SystemHost, None);
            let eager = eager.and_then(|rendered| rendered.text(&options)).expect("a text");
            let lean = template_of(folder.path(), &options);
            assert!(eager == lean, "{template} {include_crds}");
            assert_eq!(lean.len() > 2 * large.len(), include_crds);
        }
    }
}

fn template_of(folder: &Path, options: &TemplateOptions) -> String {
    template(folder, &Values::new(), options, &mut SystemHost, None).expect("a text")
}

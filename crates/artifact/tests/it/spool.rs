use std::path::{Path, PathBuf};

use sluice_artifact::extract::{ExtractError, Options};
use sluice_artifact::spool::{Entry, Scope, Spool};
use tar::{EntryType, Header};

fn gzip(entries: &[(&str, Option<&str>)]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(encoder);
    for (name, content) in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(if content.is_some() { EntryType::Regular } else { EntryType::Directory });
        header.set_mode(0o600);
        header.set_size(content.unwrap_or_default().len() as u64);
        header.set_cksum();
        tar.append(&header, content.unwrap_or_default().as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

const TREE: &[(&str, Option<&str>)] = &[
    (".", None),
    ("a.b", Some("beside")),
    ("a/z", Some("old")),
    ("a/c/d", Some("deep")),
    ("a", None),
    ("a/B", Some("")),
    ("ab/x", Some("x")),
    ("empty", None),
    ("a/z", Some("new")),
];

fn read(scope: Scope) -> Spool {
    Spool::read(&gzip(TREE)[..], scope, &Options::artifact()).unwrap()
}

fn files<'a>(spool: &'a Spool, directory: &str) -> Vec<&'a str> {
    spool.files(Path::new(directory)).map(|(name, _)| name).collect()
}

#[test]
fn files_are_found_by_their_paths() {
    let spool = read(Scope::Whole);
    for (path, entry) in [
        ("", Some(Entry::Directory)),
        ("a", Some(Entry::Directory)),
        ("a/c", Some(Entry::Directory)),
        ("a/c/d", Some(Entry::File(4))),
        ("a/B", Some(Entry::File(0))),
        ("a.b", Some(Entry::File(6))),
        ("ab", Some(Entry::Directory)),
        ("empty", Some(Entry::Directory)),
        ("a/c/d/e", None),
        ("b", None),
        ("zz", None),
    ] {
        assert_eq!(spool.find(Path::new(path)), entry, "{path:?}");
    }
    assert_eq!(files(&spool, ""), ["a/B", "a/c/d", "a/z", "a.b", "ab/x"]);
    assert_eq!(files(&spool, "a"), ["B", "c/d", "z"]);
    assert!(files(&spool, "empty").is_empty() && files(&spool, "none").is_empty());
    assert_eq!(spool.files(Path::new("a")).map(|(_, size)| size).collect::<Vec<_>>(), [0, 4, 3]);
    let content = |path: &str| spool.content(Path::new(path)).map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!((content("a/z").unwrap(), content("a/B").unwrap()), ("new".to_owned(), String::new()));
    assert_eq!(content("a/c/d").unwrap(), "deep");
    assert_eq!(content("b").unwrap_err().to_string(), "No such file or directory (os error 2)");
    assert_eq!(content("a").unwrap_err().to_string(), "Is a directory (os error 21)");
}

#[test]
fn only_what_is_wanted_is_kept() {
    let spool = read(Scope::of([PathBuf::from("a/c"), PathBuf::from("a.b")]));
    assert_eq!(files(&spool, ""), ["a/c/d", "a.b"]);
    assert_eq!(spool.content(Path::new("a/c/d")).unwrap(), b"deep");
    for (path, covered) in
        [("a/c", true), ("a/c/x", true), ("a.b", true), ("a", false), ("ab", false), ("", false)]
    {
        assert_eq!(spool.covers(Path::new(path)), covered, "{path:?}");
    }
    assert_eq!(Scope::of([PathBuf::from("a"), PathBuf::new()]), Scope::Whole);
}

#[test]
fn bad_archives_are_refused_also_where_they_are_not_wanted() {
    let nothing = || Scope::of([]);
    for name in ["/etc/passwd", "../x", "a/../../x", "a\\b"] {
        let result = Spool::read(&gzip(&[(name, Some("x"))])[..], nothing(), &Options::artifact());
        assert!(matches!(result, Err(ExtractError::Name(_))), "{name:?}: {result:?}");
    }
    let bytes = gzip(TREE);
    for cut in [0, 1, 20, bytes.len() / 2] {
        assert!(Spool::read(&bytes[..cut], nothing(), &Options::artifact()).is_err(), "{cut}");
    }
    let mut few = Options::artifact();
    few.max_entries = 3;
    assert!(matches!(Spool::read(&bytes[..], nothing(), &few), Err(ExtractError::TooMany(3))));
}

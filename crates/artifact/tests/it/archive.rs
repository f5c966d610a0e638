use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use sluice_artifact::archive::{Archive, write_directory};
use sluice_artifact::ignore::{Patterns, Rules};

pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) directory: bool,
    mode: u32,
    content: String,
}

pub(crate) fn list(bytes: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let entry = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
        assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        Entry { name, directory: header.entry_type().is_dir(), mode: header.mode().unwrap(), content }
    };
    archive.entries().unwrap().map(entry).collect()
}

fn no_rules() -> Rules {
    Rules::only(Patterns::new())
}

#[test]
fn a_directory_is_archived_in_order_with_fixed_modes() {
    let root = tempfile::tempdir().unwrap();
    for directory in ["b", "b-", "empty"] {
        fs::create_dir(root.path().join(directory)).unwrap();
    }
    for (file, mode) in [("b/z", 0o777), ("b/a", 0o644), ("b-/x", 0o600), ("b.txt", 0o664), ("a", 0o610)] {
        fs::write(root.path().join(file), file).unwrap();
        fs::set_permissions(root.path().join(file), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("/etc/passwd", root.path().join("link")).unwrap();
    let bytes = write_directory(root.path(), &no_rules(), Vec::new()).unwrap();
    let shown: Vec<String> =
        list(&bytes).iter().map(|e| format!("{:o} {} {}", e.mode, e.name, e.content)).collect();
    let expected = [
        "750 . ",
        "700 a a",
        "750 b ",
        "600 b/a b/a",
        "700 b/z b/z",
        "750 b- ",
        "600 b-/x b-/x",
        "600 b.txt b.txt",
        "750 empty ",
    ];
    assert_eq!(shown, expected);
    assert_eq!(bytes, write_directory(root.path(), &no_rules(), Vec::new()).unwrap());
}

#[test]
fn the_bytes_are_those_of_every_release_before() {
    let mut archive = Archive::new(Vec::new());
    archive.directory(b".").unwrap();
    archive.file(b"a", false, 5, &b"hello"[..]).unwrap();
    let bytes = archive.finish().unwrap();
    let digest = sluice_artifact::Algorithm::Sha256.digest(&bytes).to_string();
    assert_eq!(digest, "sha256:3b94e49c42fd73e8ec1f0a518d7a67aaa73c7cb2eef4451cde8fa3d7ebf668f1");
}

#[test]
fn long_and_foreign_names_survive() {
    let names = [
        "x".repeat(100),
        "x".repeat(101),
        format!("{}/{}", "d".repeat(150), "f".repeat(100)),
        format!("{}/{}", "d".repeat(156), "f".repeat(10)),
        format!("{}/{}", "d".repeat(100), "f".repeat(101)),
        "grüße/ž".to_owned(),
        format!("{}ü", "/n".repeat(400).trim_start_matches('/')),
    ];
    let mut archive = Archive::new(Vec::new());
    for name in &names {
        archive.file(name.as_bytes(), false, 1, &b"1"[..]).unwrap();
    }
    let bytes = archive.finish().unwrap();
    let read: Vec<String> = list(&bytes).into_iter().map(|e| e.name).collect();
    assert_eq!(read, names);
    let target = tempfile::tempdir().unwrap();
    sluice_artifact::extract(&bytes[..], target.path(), &sluice_artifact::extract::Options::default())
        .unwrap();
    for name in &names {
        assert!(target.path().join(name).is_file(), "{name}");
    }
}

#[test]
fn a_file_that_is_shorter_than_announced_is_an_error() {
    let mut archive = Archive::new(Vec::new());
    let error = archive.file(b"a/b", false, 5, &b"1234"[..]).unwrap_err();
    assert_eq!(error.to_string(), "a/b: 4 bytes where 5 were announced");
}

#[test]
fn the_bytes_do_not_depend_on_the_pieces_in_which_content_comes() {
    let content: Vec<u8> = (0..20_000_u64)
        .flat_map(|n| format!("{}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 99_991).into_bytes())
        .collect();
    let in_pieces = |length: usize| {
        let mut archive = Archive::new(Vec::new());
        archive.directory(b".").unwrap();
        let size = content.len() as u64;
        let write = |out: &mut dyn std::io::Write| {
            content.chunks(length).try_for_each(|piece| {
                out.write_all(piece)?;
                out.flush()
            })
        };
        archive.file_with::<std::io::Error>(b"file", false, size, write).unwrap();
        archive.finish().unwrap()
    };
    let whole = in_pieces(content.len());
    for length in [1, 7, 511, 4096, 10_007, 32 * 1024, 65_536] {
        assert!(in_pieces(length) == whole, "pieces of {length} bytes");
    }
}

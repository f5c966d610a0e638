use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use sluice_artifact::extract::{ExtractError, Options, Symlinks, extract, extract_tar};
use tar::{EntryType, Header};

/// A tar as an attacker would write it: no checks.
#[derive(Default)]
struct Hostile(Vec<u8>);

impl Hostile {
    fn entry(mut self, name: &[u8], kind: EntryType, mode: u32, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, 0o644, b"x")
    }

    fn unpack(mut self, options: &Options) -> Result<tempfile::TempDir, ExtractError> {
        self.0.extend_from_slice(&[0; 1024]);
        let target = tempfile::tempdir().unwrap();
        extract_tar(&self.0[..], target.path(), options).map(|_| target)
    }
}

#[test]
fn names_that_leave_the_target_are_refused() {
    for name in [&b""[..], b"/etc/passwd", b"../x", b"a/../../x", b"a/..", b"..", b"a\\b", b"a\\..\\b"] {
        let result = Hostile::default().file(name).unpack(&Options::default());
        assert!(matches!(result, Err(ExtractError::Name(_))), "{name:?}: {result:?}");
    }
    let long = pax("path", &"d/".repeat(2500));
    let result =
        Hostile::default().entry(b"p", EntryType::XHeader, 0, &long).file(b"x").unpack(&Options::default());
    assert!(matches!(result, Err(ExtractError::Name(_))));
    let escape = pax("path", "../x");
    let result =
        Hostile::default().entry(b"p", EntryType::XHeader, 0, &escape).file(b"x").unpack(&Options::default());
    assert!(matches!(result, Err(ExtractError::Name(_))));
    let result = Hostile::default()
        .entry(b"p", EntryType::GNULongName, 0, b"/x\0")
        .file(b"x")
        .unpack(&Options::default());
    assert!(matches!(result, Err(ExtractError::Name(_))));
}

fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = rest + (rest + 4).to_string().len();
    format!("{length} {key}={value}\n").into_bytes()
}

#[test]
fn malformed_extensions_are_refused() {
    for record in
        [&b"x"[..], b"999 path=a\n", b"0 \n", b"-1 a=b\n", b"9 path=a", b"18446744073709551615 a=b\n"]
    {
        let result =
            Hostile::default().entry(b"p", EntryType::XHeader, 0, record).unpack(&Options::default());
        assert!(matches!(result, Err(ExtractError::Archive(_))), "{record:?}");
    }
    let bomb = vec![b'a'; (1 << 20) + 1];
    let result = Hostile::default().entry(b"p", EntryType::GNULongName, 0, &bomb).unpack(&Options::default());
    assert!(matches!(result, Err(ExtractError::Archive(_))));
}

#[test]
fn special_files_are_refused_and_symlinks_on_request_skipped() {
    let link = || Hostile::default().entry(b"l", EntryType::Symlink, 0o777, b"").file(b"x");
    assert!(matches!(link().unpack(&Options::default()), Err(ExtractError::Symlink(_))));
    let mut skipping = Options::default();
    skipping.symlinks = Symlinks::Skip;
    let target = link().unpack(&skipping).unwrap();
    assert!(target.path().join("x").is_file() && !target.path().join("l").exists());
    for kind in [EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::GNUSparse] {
        let result = Hostile::default().entry(b"a", kind, 0o644, b"").unpack(&skipping);
        assert!(matches!(result, Err(ExtractError::Kind(_))), "{kind:?}");
    }
}

#[test]
fn sizes_and_counts_are_bounded() {
    let mut options = Options::default();
    options.max_bytes = Some(2);
    options.max_entries = 3;
    let files = |n: usize| (0..n).fold(Hostile::default(), |h, i| h.file(&[b'a' + i as u8]));
    assert!(files(2).unpack(&options).is_ok());
    assert!(matches!(files(3).unpack(&options), Err(ExtractError::TooLarge(2))));
    options.max_bytes = None;
    assert!(files(3).unpack(&options).is_ok());
    assert!(matches!(files(4).unpack(&options), Err(ExtractError::TooMany(3))));
}

#[test]
fn missing_parents_are_made_and_modes_are_kept() {
    let target = Hostile::default()
        .entry(b"a/b/c.sh", EntryType::Regular, 0o4755, b"x")
        .entry(b"d/", EntryType::Directory, 0o050, b"")
        .entry(b"./e", EntryType::Regular, 0o600, b"")
        .entry(b".", EntryType::Directory, 0o755, b"")
        .unpack(&Options::default())
        .unwrap();
    let mode = |path: &str| fs::metadata(target.path().join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode("a/b") & 0o700, mode("a/b/c.sh") & 0o4700, mode("d"), mode("e")),
        (0o700, 0o700, 0o750, 0o600)
    );
}

#[test]
fn nothing_is_written_through_a_symlink_that_was_there() {
    let outside = tempfile::tempdir().unwrap();
    let target = tempfile::tempdir().unwrap();
    symlink(outside.path(), target.path().join("d")).unwrap();
    symlink(outside.path().join("f"), target.path().join("f")).unwrap();
    for name in [&b"d/x"[..], b"f"] {
        let mut archive = Hostile::default().file(name).0;
        archive.extend_from_slice(&[0; 1024]);
        assert!(extract_tar(&archive[..], target.path(), &Options::default()).is_err());
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn cut_off_and_garbled_archives_are_errors() {
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let noise: Vec<u8> = (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut tar = Hostile::default().entry(b"a", EntryType::Regular, 0o644, &noise).0;
    tar.extend_from_slice(&[0; 1024]);
    zip.write_all(&tar).unwrap();
    let bytes = zip.finish().unwrap();
    let target = tempfile::tempdir().unwrap();
    extract(&bytes[..], target.path(), &Options::default()).unwrap();
    for cut in [1, 10, bytes.len() / 2] {
        assert!(extract(&bytes[..cut], target.path(), &Options::default()).is_err(), "{cut}");
    }
    assert!(extract(&b"not a gzip"[..], target.path(), &Options::default()).is_err());
}

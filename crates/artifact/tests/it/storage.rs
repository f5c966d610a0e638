use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use sluice_artifact::storage::{Integrity, Location, PublishError, Retention, Storage};
use sluice_artifact::{Algorithm, Digest};

fn storage(root: &Path) -> Storage {
    Storage::open(root, "source:9090", Algorithm::Sha256, Retention::default()).unwrap()
}

fn location(file: &str) -> Location {
    Location::new("GitRepository", "apps", "podinfo", file).unwrap()
}

fn publish(storage: &Storage, file: &str, content: &[u8]) -> sluice_artifact::storage::Published {
    storage.publish(&location(file), |out| out.write_all(content)).unwrap()
}

#[test]
fn a_published_file_has_the_layout_of_the_reference() {
    let root = tempfile::tempdir().unwrap();
    let storage = storage(root.path());
    let published = publish(&storage, "abc.tar.gz", b"one");
    assert_eq!(published.path, "gitrepository/apps/podinfo/abc.tar.gz");
    assert_eq!(published.url, "http://source:9090/gitrepository/apps/podinfo/abc.tar.gz");
    assert_eq!((published.size, published.digest), (3, Algorithm::Sha256.digest(b"one")));
    let file = root.path().join(&published.path);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let link = storage.link(&location("abc.tar.gz"), "latest.tar.gz").unwrap();
    assert_eq!(link, "http://source:9090/gitrepository/apps/podinfo/latest.tar.gz");
    assert_eq!(fs::read(file.with_file_name("latest.tar.gz")).unwrap(), b"one");
    assert!(fs::read_link(file.with_file_name("latest.tar.gz")).unwrap().is_absolute());
}

#[test]
fn an_address_with_a_scheme_is_taken_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let open =
        |address| Storage::open(root.path(), address, Algorithm::Sha256, Retention::default()).unwrap();
    assert_eq!(open("https://files.example/x/").url("a/b"), "https://files.example/x/a/b");
    assert_eq!(open("localhost:9090").url("a/b"), "http://localhost:9090/a/b");
}

#[test]
fn a_failed_write_leaves_the_old_artifact() {
    let root = tempfile::tempdir().unwrap();
    let storage = storage(root.path());
    let published = publish(&storage, "abc.tar.gz", b"one");
    let error = storage
        .publish(&location("abc.tar.gz"), |out| {
            out.write_all(b"half of tw")?;
            Err(io::Error::other("the source broke off"))
        })
        .unwrap_err();
    assert!(matches!(error, PublishError::Content(_)));
    assert_eq!(fs::read(root.path().join(&published.path)).unwrap(), b"one");
    assert_eq!(storage.verify(&location("abc.tar.gz"), &published.digest).unwrap(), Integrity::Intact);
    let left: Vec<_> = fs::read_dir(root.path().join("gitrepository/apps/podinfo")).unwrap().collect();
    assert_eq!(left.len(), 2, "artifact and lock: {left:?}");
}

#[test]
fn a_second_writer_waits_for_the_lock() {
    let root = tempfile::tempdir().unwrap();
    let storage = storage(root.path());
    let path = root.path().join(publish(&storage, "a", b"1").path);
    let lock = fs::File::open(path.with_file_name("a.lock")).unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| publish(&storage, "a", b"2"));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(fs::read(&path).unwrap(), b"1");
        lock.unlock().unwrap();
        writer.join().unwrap();
    });
    assert_eq!(fs::read(&path).unwrap(), b"2");
}

#[test]
fn missing_and_corrupt_files_are_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let storage = storage(root.path());
    let published = publish(&storage, "a", b"one");
    let path = root.path().join(&published.path);
    let verify = |digest: &Digest| storage.verify(&location("a"), digest).unwrap();
    assert_eq!(verify(&published.digest), Integrity::Intact);
    assert_eq!(verify(&Algorithm::Sha512.digest(b"one")), Integrity::Intact);
    fs::write(&path, b"two").unwrap();
    assert_eq!(verify(&published.digest), Integrity::Corrupt(Algorithm::Sha256.digest(b"two")));
    fs::remove_file(&path).unwrap();
    assert_eq!(verify(&published.digest), Integrity::Missing);
    symlink("/etc/hostname", &path).unwrap();
    assert_eq!(verify(&published.digest), Integrity::Missing);
}

#[test]
fn a_directory_that_another_program_wrote_is_taken_over() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("gitrepository/apps/podinfo");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("a.tar.gz"), b"old").unwrap();
    let intact = storage(root.path()).verify(&location("a.tar.gz"), &Algorithm::Sha256.digest(b"old"));
    assert_eq!(intact.unwrap(), Integrity::Intact);
}

#[test]
fn old_and_surplus_artifacts_go_and_the_current_one_stays() {
    let root = tempfile::tempdir().unwrap();
    let storage = storage(root.path());
    let now = SystemTime::now();
    let mut names = Vec::new();
    for (file, age) in [("a", 300), ("b", 50), ("c", 40), ("d", 30), ("current", 900)] {
        let path = root.path().join(publish(&storage, file, b"x").path);
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(now - Duration::from_secs(age))
            .unwrap();
        names.push(path);
    }
    symlink(&names[4], names[4].with_file_name("latest.tar.gz")).unwrap();
    assert_eq!(storage.collect_garbage(&location("current"), now).unwrap(), 3);
    let mut left: Vec<String> = fs::read_dir(names[0].parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["current", "current.lock", "d", "d.lock", "latest.tar.gz"]);
    assert_eq!(storage.collect_garbage(&location("current"), now + Duration::from_mins(1)).unwrap(), 1);
    assert!(storage.remove_object("GitRepository", "apps", "podinfo").unwrap());
    assert!(!storage.remove_object("GitRepository", "apps", "podinfo").unwrap());
    assert!(!names[4].exists());
}

#[test]
fn locations_cannot_leave_the_storage() {
    for bad in ["", ".", "..", "a/b", "/", "/a", "a/", "a\0"] {
        assert!(Location::new("Bucket", bad, "n", "f").is_err(), "{bad:?}");
        assert!(Location::new("Bucket", "ns", "n", bad).is_err(), "{bad:?}");
    }
    for bad in ["gitrepository/../../x", "/etc/passwd", "a/b/c", "a/b/c/d/e", "a/b/../d"] {
        assert!(Location::parse(bad).is_err(), "{bad:?}");
    }
    let path = "ocirepository/ns/name/sha256:00.tar.gz";
    assert_eq!(Location::parse(path).unwrap().relative(), path);
}

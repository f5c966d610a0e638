//! Tags on disk: a file for each ImageRepository, so that a restart needs no scan.
//!
//! A file is written beside its place and moved there, so it holds a whole scan or it is not there. Flux's controller
//! uses the same files with its feature gate FluxStorage.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use sluice_runtime::ObjectKey;

/// Most bytes of a list of tags that are read.
const MAX_SIZE: u64 = 256 << 20;
const PLAIN: &str = "tags.txt";
const COMPRESSED: &str = "tags.txt.gz";
/// Which format the directory holds.
const VERSION_FILE: &str = ".storage-version";
const VERSION: &str = "2";

/// The tags of all objects.
pub(crate) struct TagStore {
    root: PathBuf,
    /// Lists of this many bytes or more are compressed.
    threshold: u64,
}

impl TagStore {
    /// Opens the store. What the database of Flux's controller left there is removed.
    pub(crate) fn open(path: &Path, threshold_kib: u64) -> io::Result<Self> {
        let root = path.join("imagerepository");
        fs::create_dir_all(&root)?;
        let version = path.join(VERSION_FILE);
        if fs::read_to_string(&version).map(|text| text.trim() == VERSION).unwrap_or(false) {
            return Ok(Self { root, threshold: threshold_kib * 1024 });
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let known = matches!(&*name, "MANIFEST" | "KEYREGISTRY" | "DISCARD" | "LOCK");
            let table = [".vlog", ".sst", ".mem"].iter().any(|end| name.ends_with(end));
            if (known || table) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        fs::write(&version, VERSION)?;
        Ok(Self { root, threshold: threshold_kib * 1024 })
    }

    fn folder(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(&key.namespace).join(&key.name)
    }

    /// The tags of an object in descending order; none if there was no scan.
    pub(crate) fn read(&self, key: &ObjectKey) -> io::Result<Vec<String>> {
        let folder = self.folder(key);
        let found = |name: &str| match fs::metadata(folder.join(name)) {
            Ok(metadata) => metadata.modified().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let (plain, compressed) = (found(PLAIN)?, found(COMPRESSED)?);
        if plain.is_none() && compressed.is_none() {
            return Ok(Vec::new());
        }
        let mut text = String::new();
        if compressed > plain {
            let file = fs::File::open(folder.join(COMPRESSED))?;
            flate2::read::GzDecoder::new(file).take(MAX_SIZE).read_to_string(&mut text)?;
        } else {
            fs::File::open(folder.join(PLAIN))?.take(MAX_SIZE).read_to_string(&mut text)?;
        }
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Stores the tags of an object.
    pub(crate) fn write(&self, key: &ObjectKey, tags: &[String]) -> io::Result<()> {
        let folder = self.folder(key);
        fs::create_dir_all(&folder)?;
        let size: usize = tags.iter().map(|tag| tag.len() + 1).sum();
        let compress = size as u64 >= self.threshold;
        let (name, other) = if compress { (COMPRESSED, PLAIN) } else { (PLAIN, COMPRESSED) };
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        if compress {
            let mut encoder = flate2::write::GzEncoder::new(&mut file, flate2::Compression::fast());
            write_lines(&mut encoder, tags)?;
            encoder.finish()?;
        } else {
            let mut writer = io::BufWriter::new(&mut file);
            write_lines(&mut writer, tags)?;
            writer.flush()?;
        }
        file.as_file().sync_all()?;
        file.persist(folder.join(name)).map_err(|error| error.error)?;
        match fs::remove_file(folder.join(other)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Forgets an object.
    pub(crate) fn remove(&self, key: &ObjectKey) -> io::Result<()> {
        match fs::remove_dir_all(self.folder(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Forgets all objects that are gone, and returns how many there were.
    pub(crate) fn collect_garbage(&self, exists: impl Fn(&ObjectKey) -> bool) -> io::Result<usize> {
        let mut removed = 0;
        for namespace in folders(&self.root)? {
            for name in folders(&namespace)? {
                let key = ObjectKey::new(file_name(&namespace), file_name(&name));
                if !exists(&key) {
                    fs::remove_dir_all(&name)?;
                    removed += 1;
                }
            }
            if fs::read_dir(&namespace)?.next().is_none() {
                fs::remove_dir(&namespace)?;
            }
        }
        Ok(removed)
    }
}

fn write_lines(writer: &mut impl io::Write, tags: &[String]) -> io::Result<()> {
    for tag in tags {
        writer.write_all(tag.as_bytes())?;
        writer.write_all(b"\n")?;
    }
    Ok(())
}

fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A value that changes with the tags.
pub(crate) fn revision(tags: &[String]) -> String {
    let mut sum = Sha256::new();
    for tag in tags {
        sum.update(tag.as_bytes());
        sum.update(b"\n");
    }
    sum.finalize().iter().fold("sha256:".to_owned(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("v1.0.{n}")).collect()
    }

    #[test]
    fn tags_survive_a_restart_in_either_form() {
        let folder = tempfile::tempdir().unwrap();
        let key = ObjectKey::new("ns", "app");
        let open = || TagStore::open(folder.path(), 1).unwrap();
        assert!(open().read(&key).unwrap().is_empty());
        open().write(&key, &tags(3)).unwrap();
        assert!(folder.path().join("imagerepository/ns/app/tags.txt").is_file());
        assert_eq!(open().read(&key).unwrap(), tags(3));
        open().write(&key, &tags(500)).unwrap();
        assert!(!folder.path().join("imagerepository/ns/app/tags.txt").exists());
        assert_eq!(open().read(&key).unwrap(), tags(500));
        open().remove(&key).unwrap();
        assert!(open().read(&key).unwrap().is_empty());
    }

    #[test]
    fn what_is_gone_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["MANIFEST", "000001.vlog", "mine"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let store = TagStore::open(folder.path(), 64).unwrap();
        assert!(!folder.path().join("000001.vlog").exists() && folder.path().join("mine").exists());
        store.write(&ObjectKey::new("a", "gone"), &tags(1)).unwrap();
        store.write(&ObjectKey::new("b", "here"), &tags(1)).unwrap();
        assert_eq!(store.collect_garbage(|key| key.name == "here").unwrap(), 1);
        assert!(!folder.path().join("imagerepository/a").exists());
        assert_eq!(store.read(&ObjectKey::new("b", "here")).unwrap(), tags(1));
    }
}

//! Where files come from: memory, a disk, or a directory of a disk that nothing may leave.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::path::{clean, is_below, split};

/// A file system with absolute slash paths. Errors are texts, as Go words them.
pub trait FileSystem: Send + Sync {
    /// Makes a path absolute, follows all links, and tells a directory from a file.
    fn resolve(&self, path: &str) -> Result<Place, String>;
    /// The content of a file.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// An existing directory, or a file in one; free of links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory.
    pub directory: String,
    /// The name of the file, if it is one.
    pub file: Option<String>,
}

/// Files in memory, under `/`.
#[derive(Clone, Debug, Default)]
pub struct MemoryFileSystem {
    files: BTreeMap<String, Vec<u8>>,
    directories: BTreeSet<String>,
}

impl MemoryFileSystem {
    /// No files at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file at a path below `/`.
    pub fn insert(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        let path = clean(&format!("/{path}"));
        let mut directory = split(&path).0;
        loop {
            if !self.directories.insert(directory.to_owned()) || directory == "/" {
                break;
            }
            directory = split(directory).0;
        }
        self.files.insert(path, content.into());
    }
}

impl FileSystem for MemoryFileSystem {
    fn resolve(&self, path: &str) -> Result<Place, String> {
        let full = clean(&format!("/{path}"));
        if full == "/" || self.directories.contains(&full) {
            return Ok(Place { directory: full, file: None });
        }
        if self.files.contains_key(&full) {
            let (directory, file) = split(&full);
            return Ok(Place { directory: directory.to_owned(), file: Some(file.to_owned()) });
        }
        let mut at = full.as_str();
        loop {
            let parent = split(at).0;
            if self.files.contains_key(parent) {
                return Err(format!("evalsymlink failure on '{path}' : lstat {at}: not a directory"));
            }
            if parent == "/" || self.directories.contains(parent) {
                return Err(format!(
                    "evalsymlink failure on '{path}' : lstat {at}: no such file or directory"
                ));
            }
            at = parent;
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let full = clean(&format!("/{path}"));
        if self.directories.contains(&full) {
            return Err(format!("read {path}: is a directory"));
        }
        self.files.get(&full).cloned().ok_or_else(|| format!("open {path}: no such file or directory"))
    }
}

/// The disk of this machine.
#[derive(Clone, Debug, Default)]
pub struct DiskFileSystem {
    /// Nothing above this is reached, by `..` or by links.
    confined_to: Option<String>,
}

impl DiskFileSystem {
    /// All of the disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only what is in a directory and below.
    pub fn confined(root: &Path) -> std::io::Result<Self> {
        let root = root.canonicalize()?;
        Ok(Self { confined_to: Some(root.to_string_lossy().into_owned()) })
    }

    fn absolute(path: &str) -> String {
        if path.starts_with('/') {
            return clean(path);
        }
        let here = std::env::current_dir().map(|here| here.to_string_lossy().into_owned());
        clean(&format!("{}/{path}", here.unwrap_or_default()))
    }

    fn without_links(path: &str) -> Result<String, String> {
        let full = Self::absolute(path);
        match std::fs::canonicalize(&full) {
            Ok(real) => Ok(real.to_string_lossy().into_owned()),
            Err(error) => {
                // Name the first part that is missing, as Go does.
                let mut end = full.len();
                while let Some(at) = full[..end].rfind('/').filter(|at| *at > 0) {
                    if std::fs::symlink_metadata(&full[..at]).is_ok() {
                        break;
                    }
                    end = at;
                }
                Err(format!("evalsymlink failure on '{path}' : lstat {}: {}", &full[..end], reason(&error)))
            }
        }
    }

    fn confine(&self, path: &str, real: &str) -> Result<(), String> {
        match &self.confined_to {
            Some(root) if !is_below(real, root) => Err(format!("path '{path}' is not in or below '{root}'")),
            _ => Ok(()),
        }
    }
}

/// Larger files hold no Kubernetes objects, and nothing that could be part of one.
const MAX_FILE: u64 = 32 << 20;

/// Reads a file of a repository, which anybody may have made as large as he likes.
///
/// # Errors
///
/// What the system says, and [`std::io::ErrorKind::FileTooLarge`] for more than 32 MiB.
pub fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let size = std::fs::metadata(path)?.len();
    if size > MAX_FILE {
        let problem = format!("the file has {size} bytes, and at most {MAX_FILE} are read");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, problem));
    }
    std::fs::read(path)
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::NotADirectory => "not a directory".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::IsADirectory => "is a directory".into(),
        _ => error.to_string(),
    }
}

impl FileSystem for DiskFileSystem {
    fn resolve(&self, path: &str) -> Result<Place, String> {
        let real = Self::without_links(path)?;
        self.confine(path, &real)?;
        if Path::new(&real).is_dir() {
            return Ok(Place { directory: real, file: None });
        }
        let (directory, file) = split(&real);
        Ok(Place { directory: directory.to_owned(), file: Some(file.to_owned()) })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if self.confined_to.is_some() {
            let real =
                Self::without_links(path).map_err(|_| format!("open {path}: no such file or directory"))?;
            self.confine(path, &real)?;
        }
        read_file(Path::new(path)).map_err(|error| match error.kind() {
            std::io::ErrorKind::IsADirectory => format!("read {path}: is a directory"),
            std::io::ErrorKind::FileTooLarge => format!("read {path}: {error}"),
            _ => format!("open {path}: {}", reason(&error)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_size_costs_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.yaml");
        // It has no blocks on the disk, only a length.
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error =
            DiskFileSystem::confined(folder.path()).unwrap().read(path.to_str().unwrap()).unwrap_err();
        assert!(error.contains("the file has 1099511627776 bytes, and at most 33554432 are read"), "{error}");
        std::fs::File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
        assert_eq!(read_file(&path).unwrap(), [0; 3]);
    }
}

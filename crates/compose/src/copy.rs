//! Carrying out copies.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use sluice_artifact::extract::{ExtractError, Options, extract};

use crate::error::{Error, Problem};
use crate::merge::merge_files;
use crate::operation::{Operation, Strategy, local};
use crate::pattern::{Pattern, find, is_glob, walk};

/// The most that one directory may be made to hold, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// Fills the empty directory `target` by these operations, in order. `sources`: where each source is unpacked, by name.
pub fn compose(
    operations: &[Operation],
    sources: &BTreeMap<String, PathBuf>,
    target: &Path,
) -> Result<(), Error> {
    let mut left = MAX_BYTES;
    for operation in operations {
        let done = Copy::new(operation, sources, target, &mut left).and_then(Copy::run);
        done.map_err(|source| Error { from: operation.from.clone(), to: operation.to.clone(), source })?;
    }
    Ok(())
}

/// One operation under way.
struct Copy<'a> {
    alias: &'a str,
    pattern: &'a str,
    strategy: Strategy,
    exclude: Vec<Pattern>,
    root: &'a Path,
    target: &'a Path,
    destination: PathBuf,
    into_directory: bool,
    /// The directory of the source that the operation is about; exclusions hold below it too.
    base: PathBuf,
    left: &'a mut u64,
}

impl<'a> Copy<'a> {
    fn new(
        operation: &'a Operation,
        sources: &'a BTreeMap<String, PathBuf>,
        target: &'a Path,
        left: &'a mut u64,
    ) -> Result<Self, Problem> {
        let (alias, pattern) = operation.source()?;
        let (destination, into_directory) = operation.destination()?;
        let root = sources.get(alias).ok_or_else(|| Problem::Alias(alias.to_owned()))?;
        let exclude = operation.exclude.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>()?;
        Ok(Copy {
            alias,
            pattern,
            strategy: operation.strategy,
            exclude,
            root,
            target,
            destination,
            into_directory,
            base: PathBuf::new(),
            left,
        })
    }

    fn run(mut self) -> Result<(), Problem> {
        let path = local(self.pattern)?;
        if is_glob(self.pattern) {
            self.base = path.iter().take_while(|name| !name.to_str().is_none_or(is_glob)).collect();
            return self.globbed();
        }
        let from = self.root.join(&path);
        match fs::symlink_metadata(&from) {
            Ok(found) if found.is_dir() => self.directory(&path),
            Ok(found) if found.is_file() => self.single(&path),
            _ => Err(Problem::Missing(self.pattern.to_owned())),
        }
    }

    /// A directory goes below the destination under its own name; the whole source goes there as it is.
    fn directory(&mut self, path: &Path) -> Result<(), Problem> {
        if self.strategy == Strategy::Extract {
            return Err(Problem::ExtractDirectory(self.pattern.to_owned()));
        }
        path.clone_into(&mut self.base);
        let to = match path.file_name() {
            Some(name) => self.destination.join(name),
            None => self.destination.clone(),
        };
        self.tree(path, &to)
    }

    fn single(&mut self, path: &Path) -> Result<(), Problem> {
        if self.is_excluded(path) {
            return Ok(());
        }
        if self.strategy == Strategy::Extract {
            if !is_archive(path) {
                return Err(Problem::NoArchive(self.pattern.to_owned()));
            }
            return self.unpack(path);
        }
        let is_directory = self.into_directory || self.target.join(&self.destination).is_dir();
        let to = match path.file_name().filter(|_| is_directory) {
            Some(name) => self.destination.join(name),
            None => self.destination.clone(),
        };
        self.file(path, &to)
    }

    fn globbed(&mut self) -> Result<(), Problem> {
        let (pattern, alias) = (self.pattern.to_owned(), self.alias.to_owned());
        let mut found = find(self.root, self.pattern, self.strategy == Strategy::Extract)?;
        if found.is_empty() {
            return Err(Problem::NoMatch { pattern, alias });
        }
        found.retain(|path| !self.is_excluded(path));
        if found.is_empty() {
            return Err(Problem::AllExcluded { pattern, alias });
        }
        // What is below `directory/**` goes below the destination; any other match keeps its path.
        let stripped = self.pattern.strip_suffix("/**").map(Path::new);
        for path in found {
            if self.strategy == Strategy::Extract {
                if is_archive(&path) && self.root.join(&path).is_file() {
                    self.unpack(&path)?;
                }
                continue;
            }
            let kept = stripped.and_then(|prefix| path.strip_prefix(prefix).ok()).unwrap_or(&path);
            let to = self.destination.join(kept);
            if self.root.join(&path).is_dir() { self.tree(&path, &to)? } else { self.file(&path, &to)? }
        }
        Ok(())
    }

    fn is_excluded(&self, path: &Path) -> bool {
        let relative = path.strip_prefix(&self.base).ok().filter(|relative| !relative.as_os_str().is_empty());
        self.exclude
            .iter()
            .any(|pattern| pattern.excludes(path) || relative.is_some_and(|path| pattern.excludes(path)))
    }

    /// Copies all of a directory but what is excluded.
    fn tree(&mut self, from: &Path, to: &Path) -> Result<(), Problem> {
        let mut paths = Vec::new();
        let walked = walk(self.root, from, &mut |path| {
            let wanted = !self.is_excluded(path);
            if wanted {
                paths.push(path.to_owned());
            }
            wanted
        });
        walked.map_err(|source| Problem::Io { path: from.to_owned(), source })?;
        self.make_directory(to)?;
        for path in paths {
            let target = to.join(path.strip_prefix(from).unwrap_or(&path));
            if self.root.join(&path).is_dir() {
                self.make_directory(&target)?;
            } else {
                self.file(&path, &target)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path) -> Result<(), Problem> {
        let (source, target) = (self.root.join(from), self.target.join(to));
        if self.strategy == Strategy::Merge && target.is_file() {
            return merge_files(&source, &target, &from.to_string_lossy());
        }
        if let Some(parent) = to.parent() {
            self.make_directory(parent)?;
        }
        let failed = |source| Problem::Io { path: from.to_owned(), source };
        self.take(fs::metadata(&source).map_err(failed)?.len())?;
        if target.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        fs::copy(&source, &target).map_err(failed).map(|_| ())
    }

    fn unpack(&mut self, path: &Path) -> Result<(), Problem> {
        self.make_directory(&self.destination)?;
        let failed = |source| Problem::Extract { path: path.to_string_lossy().into_owned(), source };
        let archive =
            File::open(self.root.join(path)).map_err(|error| failed(ExtractError::Archive(error)))?;
        let target = self.target.join(&self.destination);
        let size = extract(BufReader::new(archive), &target, &Options::default()).map_err(failed)?;
        self.take(size)
    }

    fn make_directory(&self, path: &Path) -> Result<(), Problem> {
        let failed = |source| Problem::Io { path: path.to_owned(), source };
        fs::create_dir_all(self.target.join(path)).map_err(failed)
    }

    fn take(&mut self, bytes: u64) -> Result<(), Problem> {
        *self.left = self.left.checked_sub(bytes).ok_or(Problem::TooLarge(MAX_BYTES))?;
        Ok(())
    }
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.ends_with(".tar.gz") || name.ends_with(".tgz")
}

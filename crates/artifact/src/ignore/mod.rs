//! Which paths stay out of an artifact: `.sourceignore` files, `spec.ignore` and the defaults.
//!
//! The syntax looks like gitignore and is not: each path is matched by itself, so a file below an excluded
//! directory can be included again, and a pattern without a slash matches every component of a path.

mod pattern;

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use pattern::Pattern;

/// The name of the files that hold patterns.
pub const FILE_NAME: &str = ".sourceignore";

/// Lines longer than this end the reading of a file, as they do in the reference.
const MAX_LINE: usize = 64 * 1024;

/// Larger files of patterns are cut off there.
const MAX_FILE: u64 = 1 << 20;
/// Deep trees are refused rather than walked.
const MAX_DEPTH: usize = 1000;

const VERSION_CONTROL: [&str; 4] = [".git/", ".gitignore", ".gitmodules", ".gitattributes"];

const DEFAULTS: [&str; 20] = [
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// Patterns as they were read, in order of precedence: the last match wins.
#[derive(Debug, Clone, Default)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the patterns of one file, or of `spec.ignore`; `directory` is where they apply (empty for the root).
    pub fn read(&mut self, directory: &[u8], text: &[u8]) {
        for line in text.split(|b| *b == b'\n') {
            if line.len() >= MAX_LINE {
                return;
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.starts_with(b"#") && !line.trim_ascii().is_empty() {
                self.0.push(Pattern::parse(line, directory));
            }
        }
    }

    /// Reads the ignore files of a directory tree: a directory's own before those of its subdirectories.
    pub fn load(root: &Path) -> io::Result<Self> {
        let mut patterns = Self::new();
        patterns.load_directory(root, &mut Vec::new(), 0)?;
        Ok(patterns)
    }

    fn load_directory(&mut self, directory: &Path, path: &mut Vec<u8>, depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::other(format!("directories are nested more than {MAX_DEPTH} deep")));
        }
        let file = directory.join(FILE_NAME);
        if fs::symlink_metadata(&file).is_ok_and(|metadata| metadata.is_file()) {
            let mut text = Vec::new();
            fs::File::open(&file)?.take(MAX_FILE).read_to_end(&mut text)?;
            self.read(path, &text);
        }
        let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        let parent = path.len();
        for entry in entries {
            if entry.file_type()?.is_dir() && entry.file_name() != ".git" {
                if parent > 0 {
                    path.push(b'/');
                }
                path.extend_from_slice(entry.file_name().as_bytes());
                self.load_directory(&entry.path(), path, depth + 1)?;
                path.truncate(parent);
            }
        }
        Ok(())
    }

    /// How many were read.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The rules by which one tree is archived.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Pattern>);

impl Rules {
    /// Nothing is ignored that `patterns` do not name.
    pub fn only(patterns: Patterns) -> Self {
        Rules(patterns.0)
    }

    /// The rules of a source tree: version control files always, the other defaults only where no pattern was
    /// read; `patterns` come last and so may include any of them again.
    pub fn for_source(patterns: Patterns) -> Self {
        let defaults: &[&str] = if patterns.is_empty() { &DEFAULTS } else { &[] };
        Self::after(defaults, patterns)
    }

    /// All defaults, then `patterns`.
    pub fn with_defaults(patterns: Patterns) -> Self {
        Self::after(&DEFAULTS, patterns)
    }

    fn after(defaults: &[&str], patterns: Patterns) -> Self {
        let first = VERSION_CONTROL.iter().chain(defaults);
        let mut rules: Vec<Pattern> = first.map(|line| Pattern::parse(line.as_bytes(), b"")).collect();
        rules.extend(patterns.0);
        Rules(rules)
    }

    /// Whether the slash-separated `path` stays out.
    pub fn ignores(&self, path: &[u8], is_directory: bool) -> bool {
        let components: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
        let decision = self.0.iter().rev().find(|pattern| pattern.matches(&components, is_directory));
        decision.is_some_and(|pattern| !pattern.includes())
    }
}

//! Globs over paths.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use sluice_artifact::glob::Glob;

use crate::error::Problem;

/// For how many patterns one with `{a,b}` may stand.
const MAX_ALTERNATIVES: usize = 1024;
/// Deep trees are refused rather than walked.
const MAX_DEPTH: usize = 1000;

/// Whether a path is a glob.
pub(crate) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '[', ']'])
}

/// One component of a pattern.
#[derive(Debug, Clone)]
enum Segment {
    /// Any number of components.
    AnyDepth,
    One(Glob),
}

/// A pattern of paths: `**` stands for any number of components, `{a,b}` for either.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    alternatives: Vec<Vec<Segment>>,
    /// It is compared with the last component too.
    is_name: bool,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let malformed = |reason| Problem::Pattern(text.to_owned(), reason);
        let mut texts = Vec::new();
        expand(text, &mut texts).map_err(malformed)?;
        let alternatives = texts.iter().map(|text| segments(text, true)).collect::<Option<_>>();
        let alternatives = alternatives.ok_or_else(|| malformed("it is malformed"))?;
        Ok(Pattern { alternatives, is_name: !text.contains('/') })
    }

    pub(crate) fn matches(&self, path: &Path) -> bool {
        let components: Vec<&[u8]> = path.iter().map(|name| name.as_bytes()).collect();
        self.alternatives.iter().any(|segments| matches(segments, &components))
    }

    /// Whether the path, or its last component where the pattern is that of a name, is meant.
    pub(crate) fn excludes(&self, path: &Path) -> bool {
        let name = path.file_name().map(Path::new).filter(|_| self.is_name);
        self.matches(path) || name.is_some_and(|name| self.matches(name))
    }
}

fn segments(text: &str, deep: bool) -> Option<Vec<Segment>> {
    let parts = text.split('/').filter(|part| !part.is_empty() && *part != ".");
    let segment = |part: &str| match part {
        "**" if deep => Some(Segment::AnyDepth),
        part => Glob::parse(part.as_bytes()).map(Segment::One),
    };
    parts.map(segment).collect()
}

/// Compares in order and, on a mismatch, lets the last `**` take one component more.
fn matches(segments: &[Segment], path: &[&[u8]]) -> bool {
    let (mut segment, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let fits = match segments.get(segment) {
            None if at == path.len() => return true,
            Some(Segment::AnyDepth) => {
                retry = Some((segment + 1, at));
                segment += 1;
                continue;
            }
            Some(Segment::One(glob)) => path.get(at).is_some_and(|name| glob.matches(name)),
            None => false,
        };
        if fits {
            segment += 1;
            at += 1;
        } else {
            let Some((after, taken)) = retry else { return false };
            if taken >= path.len() {
                return false;
            }
            retry = Some((after, taken + 1));
            (segment, at) = (after, taken + 1);
        }
    }
}

/// Writes out the alternatives in braces.
fn expand(text: &str, texts: &mut Vec<String>) -> Result<(), &'static str> {
    let bytes = text.as_bytes();
    let (mut depth, mut start, mut index) = (0, 0, 0);
    let mut commas = Vec::new();
    while index < bytes.len() {
        match bytes[index] {
            b'\\' => index += 1,
            b'{' => {
                if depth == 0 {
                    start = index;
                }
                depth += 1;
            }
            b',' if depth == 1 => commas.push(index),
            b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    let mut from = start + 1;
                    for end in commas.into_iter().chain([index]) {
                        let alternative =
                            format!("{}{}{}", &text[..start], &text[from..end], &text[index + 1..]);
                        expand(&alternative, texts)?;
                        from = end + 1;
                    }
                    return Ok(());
                }
            }
            _ => {}
        }
        index += 1;
    }
    if depth > 0 {
        return Err("a brace is not closed");
    }
    if texts.len() >= MAX_ALTERNATIVES {
        return Err("it has too many alternatives in braces");
    }
    texts.push(text.to_owned());
    Ok(())
}

/// What `text` matches below `root`, in order of names; paths are relative. `deep`: `**` stands for any number of
/// directories, and braces for alternatives; otherwise it is the same as `*`.
pub(crate) fn find(root: &Path, text: &str, deep: bool) -> Result<Vec<PathBuf>, Problem> {
    let mut found = Vec::new();
    let io = |source| Problem::Io { path: PathBuf::from(text), source };
    if deep {
        let pattern = Pattern::parse(text)?;
        walk(root, Path::new(""), &mut |path| {
            if pattern.matches(path) {
                found.push(path.to_owned());
            }
            true
        })
        .map_err(io)?;
    } else {
        let segments =
            segments(text, false).ok_or_else(|| Problem::Pattern(text.to_owned(), "it is malformed"))?;
        walk(root, Path::new(""), &mut |path| {
            let name = path.file_name().map(|name| name.as_bytes()).unwrap_or_default();
            let depth = path.iter().count();
            let Some(Segment::One(glob)) = segments.get(depth - 1) else { return false };
            let fits = glob.matches(name);
            if fits && depth == segments.len() {
                found.push(path.to_owned());
            }
            fits && depth < segments.len()
        })
        .map_err(io)?;
    }
    Ok(found)
}

/// Shows every entry below `root`, a directory before what is in it, in order of names. `visit` says whether to go into
/// it. Only files and directories are seen.
pub(crate) fn walk(root: &Path, below: &Path, visit: &mut impl FnMut(&Path) -> bool) -> io::Result<()> {
    if below.iter().count() > MAX_DEPTH {
        return Err(io::Error::other(format!("directories are nested more than {MAX_DEPTH} deep")));
    }
    let mut entries = fs::read_dir(root.join(below))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if !kind.is_file() && !kind.is_dir() {
            continue;
        }
        let path = below.join(entry.file_name());
        if visit(&path) && kind.is_dir() {
            walk(root, &path, visit)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_doublestar_does() {
        for (pattern, path, expected) in [
            ("**/*.md", "a/b/c.md", true),
            ("**/*.md", "c.md", true),
            ("a/**", "a", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/b", true),
            ("a/*/b", "a/x/y/b", false),
            ("*.md", "a/c.md", false),
            ("{a,b}/*.{yaml,yml}", "b/x.yml", true),
            ("{a,b}/*.{yaml,yml}", "c/x.yml", false),
            ("x{,y}", "x", true),
            ("**/test/**", "a/test/b", true),
            ("**/**/**/**/**/**/z", "a/b/c/d/e/f/g/h/i/j/k", false),
        ] {
            let matched = Pattern::parse(pattern).map(|pattern| pattern.matches(Path::new(path)));
            assert_eq!(matched.ok(), Some(expected), "{pattern} {path}");
        }
        let name = Pattern::parse("*.md");
        assert!(name.is_ok_and(|name| name.excludes(Path::new("a/c.md"))));
    }

    #[test]
    fn patterns_that_would_cost_too_much_are_refused() {
        assert!(Pattern::parse(&"{a,b}".repeat(11)).is_err());
        assert!(Pattern::parse(&"{".repeat(1000)).is_err());
        assert!(Pattern::parse("[").is_err());
    }
}

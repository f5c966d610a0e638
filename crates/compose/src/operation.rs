//! What is to be copied, from where to where.

use std::path::{Component, Path, PathBuf};

use crate::error::Problem;

/// How a file is put where another may be already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// The later file replaces the earlier one.
    #[default]
    Overwrite,
    /// Both are YAML: maps are merged, all else is replaced.
    Merge,
    /// The file is a gzipped tar, whose content is put there.
    Extract,
}

/// One copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operation {
    /// `@source/path`: a file, a directory or a glob in one of the sources.
    pub from: String,
    /// `@artifact/path`: where it goes. A slash at the end names a directory.
    pub to: String,
    /// Globs of paths that are left out; `**` stands for any number of directories, `{a,b}` for either.
    pub exclude: Vec<String>,
    /// What happens to a file that is there already, or to an archive.
    pub strategy: Strategy,
}

impl Operation {
    /// The name of the source and the path or glob in it.
    pub(crate) fn source(&self) -> Result<(&str, &str), Problem> {
        let parts = self.from.strip_prefix('@').and_then(|rest| rest.split_once('/'));
        let (alias, path) = parts.ok_or_else(|| Problem::Reference(self.from.clone()))?;
        Ok((alias, path))
    }

    /// Where it goes, below the target, and whether that is said to be a directory.
    pub(crate) fn destination(&self) -> Result<(PathBuf, bool), Problem> {
        let path = self.to.strip_prefix("@artifact/").ok_or_else(|| Problem::Reference(self.to.clone()))?;
        Ok((local(path)?, path.is_empty() || path.ends_with('/')))
    }
}

/// A path that stays below where it begins.
pub(crate) fn local(path: &str) -> Result<PathBuf, Problem> {
    let mut local = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => local.push(name),
            Component::CurDir => {}
            _ => return Err(Problem::Escape(path.to_owned())),
        }
    }
    Ok(local)
}

//! Repositories on this machine, by `file://` URLs: a commit as files, whatever lies in the working tree.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use gix::object::tree::EntryKind;
use gix::objs::Kind;
use gix::{ObjectId, Repository, Tree};

/// Deeper trees than this are not written.
const MAX_DEPTH: usize = 256;

/// Writes the commit that is known by one of the names, or by its hash, into a directory that is empty.
pub(super) fn checkout(path: &str, reference: &str, names: &[String], target: &Path) -> Result<()> {
    let repository = gix::open_opts(path, gix::open::Options::isolated())
        .map_err(|_| anyhow!("'{path}' does not appear to be a git repository"))?;
    let id = find(&repository, reference, names)?;
    let tree = repository.find_object(id)?.peel_to_kind(Kind::Tree)?.try_into_tree()?;
    write(&tree, target, 0)
}

fn find(repository: &Repository, reference: &str, names: &[String]) -> Result<ObjectId> {
    for name in names {
        if let Ok(Some(found)) = repository.try_find_reference(name.as_str()) {
            return Ok(found.into_fully_peeled_id()?.detach());
        }
    }
    ObjectId::from_hex(reference.as_bytes()).map_err(|_| anyhow!("couldn't find remote ref {reference}"))
}

fn write(tree: &Tree<'_>, target: &Path, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("the tree is deeper than {MAX_DEPTH} directories");
    }
    for entry in tree.iter() {
        let entry = entry?;
        let name = entry.filename().to_string();
        if matches!(name.as_str(), "" | "." | "..") || name.contains(['/', '\0']) || is_git(&name) {
            bail!("the repository has a file with the name {name:?}");
        }
        let path = target.join(&name);
        let written = || format!("cannot write {}", path.display());
        match entry.mode().kind() {
            EntryKind::Tree => {
                DirBuilder::new().mode(0o700).create(&path).with_context(written)?;
                write(&entry.object()?.into_tree(), &path, depth + 1)?;
            }
            kind @ (EntryKind::Blob | EntryKind::BlobExecutable) => {
                let mode = if kind == EntryKind::Blob { 0o600 } else { 0o700 };
                let object = entry.object()?;
                let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
                file.and_then(|mut file| file.write_all(&object.data)).with_context(written)?;
            }
            EntryKind::Link => {
                let object = entry.object()?;
                let link = String::from_utf8_lossy(&object.data).into_owned();
                std::os::unix::fs::symlink(link, &path).with_context(written)?;
            }
            // A submodule is a directory that stays empty.
            EntryKind::Commit => fs::create_dir(&path).with_context(written)?,
        }
    }
    Ok(())
}

fn is_git(name: &str) -> bool {
    name.eq_ignore_ascii_case(".git")
}

//! Revisions of a repository on this machine, read by `git` itself: it alone knows all that a repository on disk can be.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sluice_artifact::extract;

use crate::failure::hinted;

/// Runs git in a folder and returns what it prints.
fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let run = Command::new("git").arg("-C").arg(folder).args(arguments).output();
    let output = run.context("git cannot be run: is it installed?")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("fatal: ");
        bail!("git {}: {said}", arguments.first().unwrap_or(&""));
    }
    Ok(output.stdout)
}

fn line(folder: &Path, arguments: &[&str]) -> Result<String> {
    Ok(String::from_utf8_lossy(&git(folder, arguments)?).trim().to_owned())
}

/// The root of the repository that a folder is in.
pub(super) fn root(folder: &Path) -> Result<PathBuf> {
    Ok(line(folder, &["rev-parse", "--show-toplevel"])?.into())
}

/// The two revisions that are meant; the second is none for the working tree.
pub(super) fn range(root: &Path, old: &str, new: Option<&str>) -> Result<(String, Option<String>)> {
    let known = |revision: &str| {
        let revision = if revision.is_empty() { "HEAD" } else { revision };
        // Nothing that begins with a dash is a revision.
        if revision.starts_with('-') {
            bail!("{revision} is no revision");
        }
        let commit = format!("{revision}^{{commit}}");
        line(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).map_err(|_| {
            hinted(
                anyhow::anyhow!("{revision} is no revision of this repository"),
                "in CI, fetch the whole history: a shallow clone has one commit only",
            )
        })
    };
    if let (Some((old, new)), None) = (old.split_once("..."), new) {
        let (old, new) = (known(old)?, known(new)?);
        let base = line(root, &["merge-base", &old, &new]).context("the revisions have nothing in common")?;
        return Ok((base, Some(new)));
    }
    if let (Some((old, new)), None) = (old.split_once(".."), new) {
        return Ok((known(old)?, Some(known(new)?)));
    }
    Ok((known(old)?, new.map(known).transpose()?))
}

/// The files of a revision in a folder of their own.
pub(super) fn revision(root: &Path, commit: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("sluice-revision-").tempdir()?;
    let archive = git(root, &["archive", "--format=tar", commit])?;
    extract::extract_tar(archive.as_slice(), folder.path(), &extract::Options::artifact())
        .with_context(|| format!("the files of {commit} cannot be unpacked"))?;
    Ok(folder)
}

//! Files to archive, and archives to compare.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use sha2::{Digest, Sha256};
use sluice_artifact::ignore::Patterns;
use sluice_artifact::{Archive, Rules, archive as archives};

use super::resolved;
use crate::failure::io as io_text;

/// What stays out unless other patterns are given.
const IGNORED: [&str; 12] = [
    ".git/",
    ".gitignore",
    ".gitmodules",
    ".gitattributes",
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
];

/// The archive of a folder without what usually stays out, in a temporary file.
pub(crate) fn archive(folder: &Path) -> Result<tempfile::NamedTempFile> {
    TreeArgs::default().archive(&folder.display().to_string())
}

/// Flags that say what belongs to an artifact.
#[derive(Args, Default)]
pub(crate) struct TreeArgs {
    /// Patterns, as in .gitignore files, of what stays out; they take the place of the usual ones.
    #[arg(long, value_delimiter = ',', value_name = "PATTERN")]
    ignore_paths: Option<Vec<String>>,
    /// Further patterns of what stays out.
    #[arg(long, value_delimiter = ',', value_name = "PATTERN")]
    add_ignore_paths: Vec<String>,
    /// Take what links lead to in their place; links are left out otherwise.
    #[arg(long)]
    resolve_symlinks: bool,
}

impl TreeArgs {
    /// Writes the archive of a folder, of a file, or of what comes by stdin (`-`), to a temporary file.
    pub(super) fn archive(&self, path: &str) -> Result<tempfile::NamedTempFile> {
        let file = tempfile::NamedTempFile::new().context("no temporary file can be made")?;
        let out = BufWriter::new(file.reopen()?);
        let written = if path == "-" {
            let mut content = Vec::new();
            io::stdin().lock().read_to_end(&mut content).context("cannot read stdin")?;
            if content.is_empty() {
                bail!("stdin is empty");
            }
            single(out, "stdin.yaml", false, &content)
        } else {
            let path = Path::new(path);
            let data = fs::metadata(path).map_err(|error| {
                anyhow!(
                    "invalid path {:?}, must point to an existing directory or file: {}",
                    path.display().to_string(),
                    io_text(&error)
                )
            })?;
            if data.is_dir() && self.resolve_symlinks {
                let copy = resolved::copy(path)?;
                archives::write_directory(copy.path(), &self.rules(), out)
            } else if data.is_dir() {
                archives::write_directory(path, &self.rules(), out)
            } else {
                let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                let name = path.file_name().context("the path has no name")?.to_string_lossy();
                single(out, &name, data.permissions().mode() & 0o111 != 0, &content)
            }
        };
        written.and_then(|mut out| out.flush()).context("cannot write the archive")?;
        Ok(file)
    }

    fn rules(&self) -> Rules {
        let mut patterns = Patterns::new();
        match &self.ignore_paths {
            Some(lines) => lines.iter().for_each(|line| patterns.read(b"", line.as_bytes())),
            None => IGNORED.iter().for_each(|line| patterns.read(b"", line.as_bytes())),
        }
        self.add_ignore_paths.iter().for_each(|line| patterns.read(b"", line.as_bytes()));
        Rules::only(patterns)
    }
}

fn single<W: Write>(out: W, name: &str, executable: bool, content: &[u8]) -> io::Result<W> {
    let mut archive = Archive::new(out);
    archive.directory(b".")?;
    archive.file(name.as_bytes(), executable, content.len() as u64, content)?;
    archive.finish()
}

/// The digest of an archive without its compression.
pub(super) fn plain_digest(archive: &Path) -> Result<String> {
    let mut plain = flate2::read::MultiGzDecoder::new(File::open(archive)?);
    let mut sum = Sha256::new();
    io::copy(&mut plain, &mut sum)?;
    Ok(hex("sha256:", &sum.finalize()))
}

fn hex(prefix: &str, bytes: &[u8]) -> String {
    bytes.iter().fold(prefix.to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// What is in an unpacked archive: folders, and files with their content and whether they can be run.
pub(super) fn contents(root: &Path) -> Result<BTreeMap<PathBuf, Option<(bool, String)>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let data = fs::symlink_metadata(&path)?;
            let name = path.strip_prefix(root)?.to_owned();
            if data.is_dir() {
                found.insert(name, None);
                folders.push(path);
            } else {
                let mut sum = Sha256::new();
                io::copy(&mut File::open(&path)?, &mut sum)?;
                let executable = data.permissions().mode() & 0o111 != 0;
                found.insert(name, Some((executable, hex("", &sum.finalize()))));
            }
        }
    }
    Ok(found)
}

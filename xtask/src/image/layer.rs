//! A layer: an archive of files whose times, owners and order depend on nothing but what is put in.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// Who owns a file.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Root,
    /// Whom the programs run as.
    Nobody,
}

/// The number of the user and the group that nobody is.
pub(super) const NOBODY: u64 = 65534;

/// A layer in a temporary file.
pub(super) struct Layer {
    file: tempfile::NamedTempFile,
    /// Of the compressed archive.
    pub(super) digest: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// The digest of the archive without its compression.
    pub(super) plain: String,
}

/// A layer that is being written.
pub(super) struct Writer {
    file: tempfile::NamedTempFile,
    archive: Builder<Counted<GzEncoder<Counted<BufWriter<File>>>>>,
    folders: BTreeSet<PathBuf>,
}

impl Layer {
    /// Where the compressed archive is.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }
}

impl Writer {
    pub(super) fn new() -> Result<Self> {
        let file = tempfile::NamedTempFile::new().context("no temporary file can be made")?;
        let packed = GzEncoder::new(Counted::new(BufWriter::new(file.reopen()?)), Compression::default());
        Ok(Self { file, archive: Builder::new(Counted::new(packed)), folders: BTreeSet::new() })
    }

    /// A folder; those above it are made where they are not there yet.
    pub(super) fn folder(&mut self, path: &str, mode: u32, owner: Owner) -> Result<()> {
        self.parents(path)?;
        self.folders.insert(path.into());
        self.entry(EntryType::Directory, &format!("{path}/"), mode, owner, 0, io::empty())
    }

    /// A file of bytes.
    pub(super) fn bytes(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.parents(path)?;
        self.entry(EntryType::Regular, path, 0o644, Owner::Root, content.len() as u64, content)
    }

    /// A copy of a program or a library.
    pub(super) fn program(&mut self, path: &str, source: &Path) -> Result<()> {
        self.parents(path)?;
        let file = File::open(source).with_context(|| format!("{} cannot be read", source.display()))?;
        let size = file.metadata()?.len();
        self.entry(EntryType::Regular, path, 0o755, Owner::Root, size, file)
    }

    pub(super) fn finish(self) -> Result<Layer> {
        let (packed, plain, _) = self.archive.into_inner()?.finish();
        let (mut out, digest, size) = packed.finish()?.finish();
        out.flush()?;
        Ok(Layer { file: self.file, digest, size, plain })
    }

    fn parents(&mut self, path: &str) -> Result<()> {
        let mut above: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
        above.pop();
        for folder in above.into_iter().rev() {
            if self.folders.insert(folder.to_owned()) {
                let name = format!("{}/", folder.display());
                self.entry(EntryType::Directory, &name, 0o755, Owner::Root, 0, io::empty())?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        type_: EntryType,
        path: &str,
        mode: u32,
        owner: Owner,
        size: u64,
        content: impl Read,
    ) -> Result<()> {
        let mut header = header(type_, mode, size);
        let id = if matches!(owner, Owner::Nobody) { NOBODY } else { 0 };
        header.set_uid(id);
        header.set_gid(id);
        self.archive.append_data(&mut header, path, content).with_context(|| format!("{path} does not fit"))
    }
}

/// A header without a time.
pub(super) fn header(type_: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(type_);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header
}

/// Digest and size of what is written.
struct Counted<W> {
    inner: W,
    sum: Sha256,
    size: u64,
}

impl<W> Counted<W> {
    fn new(inner: W) -> Self {
        Self { inner, sum: Sha256::new(), size: 0 }
    }

    fn finish(self) -> (W, String, u64) {
        let hex =
            self.sum.finalize().iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"));
        (self.inner, hex, self.size)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(bytes.get(..written).unwrap_or_default());
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

//! The reproducible tar.gz.
//!
//! Everything that could differ between two writes of the same content is fixed: owner, times, modes, the gzip
//! header. The caller gives the entries in order: the root first, each directory before what is in it, names
//! sorted by bytes. Symlinks and other special files have no place in an artifact.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use crate::ignore::Rules;

const BLOCK: usize = 512;
const COMPRESSED_AT_ONCE: usize = 32 * 1024;
const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o600;
const EXECUTABLE_MODE: u32 = 0o700;
/// Deep trees are refused rather than walked: no real repository comes near.
const MAX_DEPTH: usize = 1000;

/// Writes a tar.gz entry by entry.
pub struct Archive<W: Write> {
    out: Blocks<GzEncoder<W>>,
}

impl<W: Write> Archive<W> {
    /// Begins an archive on `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        // GzBuilder's defaults: no name, no time, operating system "unknown".
        let encoder = GzEncoder::new(out, flate2::Compression::default());
        Archive { out: Blocks { out: encoder, block: Vec::with_capacity(COMPRESSED_AT_ONCE) } }
    }

    /// Adds a directory. The root is named `.`.
    pub fn directory(&mut self, path: &[u8]) -> io::Result<()> {
        self.header(path, EntryType::Directory, DIRECTORY_MODE, 0)
    }

    /// Adds a file of exactly `size` bytes.
    pub fn file(&mut self, path: &[u8], executable: bool, size: u64, content: impl Read) -> io::Result<()> {
        self.file_with(path, executable, size, |out| io::copy(&mut content.take(size), out).map(|_| ()))
    }

    /// Adds a file of exactly `size` bytes, which `content` writes.
    pub fn file_with<E: From<io::Error>>(
        &mut self,
        path: &[u8],
        executable: bool,
        size: u64,
        content: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        self.header(path, EntryType::Regular, if executable { EXECUTABLE_MODE } else { FILE_MODE }, size)?;
        let mut counted = Counted { out: &mut self.out, left: size };
        content(&mut counted)?;
        let written = size - counted.left;
        if written != size {
            let path = String::from_utf8_lossy(path);
            let message = format!("{path}: {written} bytes where {size} were announced");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message).into());
        }
        Ok(self.pad(size)?)
    }

    /// Ends the archive and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.pass_on()?;
        self.out.out.finish()
    }

    fn header(&mut self, path: &[u8], kind: EntryType, mode: u32, size: u64) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        if !set_ustar_path(&mut header, path) {
            self.extended_path(path)?;
            // Readers take the name from the extension; this one is only for those that know none.
            let short: Vec<u8> =
                path.iter().map(|b| if b.is_ascii() { *b } else { b'_' }).take(100).collect();
            set_ustar_path(&mut header, &short);
        }
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    /// A PAX header that carries a name too long or not ASCII.
    fn extended_path(&mut self, path: &[u8]) -> io::Result<()> {
        let record = pax_record(b"path", path);
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(record.len() as u64);
        set_ustar_path(&mut header, b"PaxHeaders.0/path");
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(&record)?;
        self.pad(record.len() as u64)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = (size % BLOCK as u64) as usize;
        if over > 0 { self.out.write_all(&[0; BLOCK][over..]) } else { Ok(()) }
    }
}

/// Passes bytes on in pieces of always the same size: what the compressor makes of them depends on how they come, and
/// that depends on how they were stored before.
struct Blocks<W: Write> {
    out: W,
    block: Vec<u8>,
}

impl<W: Write> Blocks<W> {
    fn pass_on(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.block);
        self.block.clear();
        written
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(COMPRESSED_AT_ONCE - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == COMPRESSED_AT_ONCE {
            self.pass_on()?;
        }
        Ok(taken)
    }

    /// Does nothing: a flush in the middle would be seen in the result.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes so many bytes and no more.
struct Counted<'a, W: Write> {
    out: &'a mut W,
    left: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than were announced"));
        }
        let written = self.out.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// `<length> <key>=<value>\n`, the length counting itself.
fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} ").into_bytes();
    record.extend_from_slice(key);
    record.push(b'=');
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

/// Fills in the name (and the prefix before a slash where it is long); false if it does not fit.
fn set_ustar_path(header: &mut Header, path: &[u8]) -> bool {
    if !path.is_ascii() {
        return false;
    }
    let Some(ustar) = header.as_ustar_mut() else { return false };
    if path.len() <= ustar.name.len() {
        ustar.name[..path.len()].copy_from_slice(path);
        return true;
    }
    // The longest prefix that fits, so that the split is a function of the name alone.
    let end = path.len().min(ustar.prefix.len() + 1);
    let Some(slash) = path[..end].iter().rposition(|b| *b == b'/') else { return false };
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    if prefix.is_empty() || name.is_empty() || name.len() > ustar.name.len() {
        return false;
    }
    ustar.prefix[..prefix.len()].copy_from_slice(prefix);
    ustar.name[..name.len()].copy_from_slice(name);
    true
}

/// Writes everything below `root` that `rules` do not ignore.
///
/// An ignored directory is still walked: a later rule may include a file in it again.
pub fn write_directory<W: Write>(root: &Path, rules: &Rules, out: W) -> io::Result<W> {
    let mut archive = Archive::new(out);
    archive.directory(b".")?;
    append_directory(&mut archive, root, &mut Vec::new(), rules, 0)?;
    archive.finish()
}

fn append_directory<W: Write>(
    archive: &mut Archive<W>,
    directory: &Path,
    path: &mut Vec<u8>,
    rules: &Rules,
    depth: usize,
) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!("directories are nested more than {MAX_DEPTH} deep")));
    }
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by(|a, b| a.file_name().as_bytes().cmp(b.file_name().as_bytes()));
    let parent = path.len();
    for entry in entries {
        if parent > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(entry.file_name().as_bytes());
        let kind = entry.file_type()?;
        let ignored = rules.ignores(path, kind.is_dir());
        if kind.is_dir() {
            if !ignored {
                archive.directory(path)?;
            }
            append_directory(archive, &entry.path(), path, rules, depth + 1)?;
        } else if kind.is_file() && !ignored {
            let file = File::open(entry.path())?;
            let metadata = file.metadata()?;
            let executable = metadata.permissions().mode() & 0o111 != 0;
            archive.file(path, executable, metadata.len(), BufReader::new(file))?;
        }
        path.truncate(parent);
    }
    Ok(())
}

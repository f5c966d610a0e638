//! What a file of a chart holds.

use std::fs;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, OnceLock};

use super::archive::without_bom;

/// Bytes in memory or, until somebody looks at them, in an open file. Copies share them.
#[derive(Debug, Clone)]
pub struct Content(Place);

#[derive(Debug, Clone)]
enum Place {
    Held(Arc<[u8]>),
    Stored(Arc<Stored>),
}

#[derive(Debug)]
struct Stored {
    file: fs::File,
    length: u64,
    held: OnceLock<Result<Arc<[u8]>, String>>,
}

/// Bytes of one read.
const PIECE: usize = 64 << 10;

impl Content {
    /// What an open file holds, which is read when it is wanted.
    pub(super) fn stored(file: fs::File, length: u64) -> Self {
        Content(Place::Stored(Arc::new(Stored { file, length, held: OnceLock::new() })))
    }

    /// The bytes, to be kept. Nothing if the file can no longer be read: see [`Content::failure`].
    pub fn shared(&self) -> Arc<[u8]> {
        match &self.0 {
            Place::Held(bytes) => Arc::clone(bytes),
            Place::Stored(stored) => stored.held().as_ref().map_or_else(|_| Arc::default(), Arc::clone),
        }
    }

    /// Why the bytes that were wanted could not be read.
    pub fn failure(&self) -> Option<&str> {
        match &self.0 {
            Place::Held(_) => None,
            Place::Stored(stored) => stored.held.get()?.as_ref().err().map(String::as_str),
        }
    }

    /// Hands out the bytes as text, piece by piece, without keeping them. What is not UTF-8 is replaced.
    pub(crate) fn each_piece<E: From<io::Error>>(
        &self,
        mut out: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let stored = match &self.0 {
            Place::Stored(stored) if stored.held.get().is_none() => stored,
            _ => return out(&String::from_utf8_lossy(self)),
        };
        let mut buffer = Vec::with_capacity(PIECE);
        let mut offset = 0;
        loop {
            let kept = buffer.len();
            buffer.resize(PIECE, 0);
            let read = match stored.file.read_at(&mut buffer[kept..], offset) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    buffer.truncate(kept);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            buffer.truncate(kept + read);
            offset += read as u64;
            // A character may go on in the next piece.
            let whole = if read == 0 { buffer.len() } else { whole_characters(&buffer) };
            out(&String::from_utf8_lossy(&buffer[..whole]))?;
            buffer.drain(..whole);
            if read == 0 {
                return Ok(());
            }
        }
    }
}

/// Where the bytes end, without the first bytes of a character that is not complete.
fn whole_characters(bytes: &[u8]) -> usize {
    let begins = |start: &usize| {
        std::str::from_utf8(&bytes[*start..])
            .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (bytes.len().saturating_sub(3)..bytes.len()).find(begins).unwrap_or(bytes.len())
}

impl Stored {
    fn held(&self) -> &Result<Arc<[u8]>, String> {
        self.held.get_or_init(|| {
            let length = usize::try_from(self.length).map_err(|error| error.to_string())?;
            // Read into the place where it stays.
            let mut held: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
            let bytes = Arc::get_mut(&mut held).ok_or("shared before it was read")?;
            let mut filled = 0;
            while filled < length {
                match self.file.read_at(&mut bytes[filled..], filled as u64) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
            let text = without_bom(&bytes[..filled]);
            Ok(if text.len() == length { held } else { text.into() })
        })
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Held(bytes) => bytes,
            Place::Stored(stored) => stored.held().as_ref().map_or(&[], |bytes| bytes),
        }
    }
}

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Arc<[u8]>> for Content {
    fn from(bytes: Arc<[u8]>) -> Self {
        Content(Place::Held(bytes))
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Content(Place::Held(bytes.into()))
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Place::Held(one), Place::Held(two)) => Arc::ptr_eq(one, two) || one == two,
            (Place::Stored(one), Place::Stored(two)) if Arc::ptr_eq(one, two) => true,
            _ => **self == **other,
        }
    }
}

impl Eq for Content {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;

    use super::{Content, PIECE};

    fn stored(bytes: &[u8]) -> Content {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, bytes).expect("a file");
        Content::stored(fs::File::open(&path).expect("the file"), bytes.len() as u64)
    }

    #[test]
    fn pieces_are_the_text_whether_held_or_stored() {
        for text in [
            Vec::new(),
            b"a: 1\n".to_vec(),
            "é".repeat(PIECE).into_bytes(),
            [&vec![b'x'; PIECE - 1][..], "€ and more".as_bytes()].concat(),
            [&vec![b'x'; PIECE - 1][..], b"\xe2\x82"].concat(),
            [&vec![b'x'; PIECE - 2][..], b"\xff\xe2\x82\xac\xe2"].concat(),
        ] {
            let expected = String::from_utf8_lossy(&text).into_owned();
            for content in [stored(&text), Content::from(&text[..])] {
                let mut found = String::new();
                let result = content.each_piece(|piece| {
                    found.push_str(piece);
                    Ok::<_, io::Error>(())
                });
                assert!(result.is_ok() && found == expected, "{} bytes", text.len());
                assert_eq!(content[..], text[..]);
            }
        }
    }

    #[test]
    fn a_file_that_became_shorter_is_what_it_is_now() {
        let content = Content::stored(tempfile::tempfile().expect("a file"), 100);
        assert_eq!((content.len(), content.failure()), (0, None));
    }
}

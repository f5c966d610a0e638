//! What a file of a chart holds.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, OnceLock};

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

    /// The bytes for one who looks at them once: what is in a file is not kept.
    pub(crate) fn once(&self) -> io::Result<Cow<'_, [u8]>> {
        match &self.0 {
            Place::Stored(stored) if stored.held.get().is_none() => stored.read().map(Cow::Owned),
            _ => Ok(Cow::Borrowed(self)),
        }
    }
}

impl Stored {
    fn held(&self) -> &Result<Arc<[u8]>, String> {
        self.held.get_or_init(|| Ok(self.read().map_err(|error| error.to_string())?.into()))
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.length).map_err(io::Error::other)?];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
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
    use super::Content;

    #[test]
    fn a_file_that_became_shorter_is_what_it_is_now() {
        let content = Content::stored(tempfile::tempfile().expect("a file"), 100);
        assert_eq!(content.once().expect("readable").len(), 0);
        assert_eq!((content.len(), content.failure()), (0, None));
    }
}

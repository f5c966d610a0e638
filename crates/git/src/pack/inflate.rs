//! Inflating from anything that has a buffer.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Interrupt, PackError};

/// A zlib stream's state, used for one object after the other.
pub(super) struct Inflater {
    state: Decompress,
    done: bool,
    buffer: Box<[u8]>,
}

/// Where compressed bytes come from: like `BufRead`, with errors of packs.
pub(super) trait Source {
    /// Bytes at hand; none at the end.
    fn fill(&mut self) -> Result<&[u8], PackError>;
    /// Marks the first `count` of them as used.
    fn consume(&mut self, count: usize) -> Result<(), PackError>;
}

impl Inflater {
    pub(super) fn new() -> Self {
        Inflater { state: Decompress::new(true), done: false, buffer: vec![0; 32 * 1024].into_boxed_slice() }
    }

    pub(super) fn begin(&mut self) {
        self.state.reset(true);
        self.done = false;
    }

    /// The next bytes; none at the end of the stream.
    pub(super) fn next(&mut self, source: &mut dyn Source) -> Result<&[u8], PackError> {
        while !self.done {
            let input = source.fill()?;
            let at_end = input.is_empty();
            let before = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(input, &mut self.buffer, FlushDecompress::None)
                .map_err(|_| PackError::Malformed("corrupt compressed data"))?;
            let consumed = (self.state.total_in() - before.0) as usize;
            let produced = (self.state.total_out() - before.1) as usize;
            source.consume(consumed)?;
            self.done = status == Status::StreamEnd;
            if produced > 0 {
                return Ok(&self.buffer[..produced]);
            }
            if !self.done && consumed == 0 {
                return Err(if at_end {
                    PackError::Truncated
                } else {
                    PackError::Malformed("stuck compressed data")
                });
            }
        }
        Ok(&[])
    }

    /// Inflates an object of exactly `size` bytes, piece by piece.
    pub(super) fn object(
        &mut self,
        source: &mut dyn Source,
        size: u64,
        interrupt: &Interrupt,
        mut piece: impl FnMut(&[u8]) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        self.begin();
        let mut total = 0;
        loop {
            interrupt.check()?;
            let bytes = self.next(source)?;
            if bytes.is_empty() {
                break;
            }
            total += bytes.len() as u64;
            if total > size {
                return Err(PackError::Malformed("an object is larger than it says"));
            }
            piece(bytes)?;
        }
        if total == size { Ok(()) } else { Err(PackError::Malformed("an object is smaller than it says")) }
    }
}

/// Reads a file from an offset on, without moving its cursor.
pub(super) struct FileSource<'a> {
    file: &'a File,
    offset: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl<'a> FileSource<'a> {
    pub(super) fn new(file: &'a File, offset: u64) -> Self {
        FileSource { file, offset, buffer: Vec::new(), at: 0 }
    }
}

impl Source for FileSource<'_> {
    fn fill(&mut self) -> Result<&[u8], PackError> {
        if self.at == self.buffer.len() {
            // Most objects are small: a little first, more when there is more.
            let want = if self.buffer.is_empty() { 4 * 1024 } else { 32 * 1024 };
            self.buffer.resize(want, 0);
            let length = self.file.read_at(&mut self.buffer, self.offset).map_err(PackError::Store)?;
            self.buffer.truncate(length);
            self.offset += length as u64;
            self.at = 0;
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, count: usize) -> Result<(), PackError> {
        self.at += count;
        Ok(())
    }
}

/// Lets the content of a small delta be read byte by byte.
pub(super) struct Inflated<'a> {
    inflater: &'a mut Inflater,
    source: &'a mut dyn Source,
    piece: Vec<u8>,
    at: usize,
    total: u64,
}

impl<'a> Inflated<'a> {
    pub(super) fn new(inflater: &'a mut Inflater, source: &'a mut dyn Source) -> Self {
        inflater.begin();
        Inflated { inflater, source, piece: Vec::new(), at: 0, total: 0 }
    }

    pub(super) fn fill(&mut self) -> Result<&[u8], PackError> {
        if self.at == self.piece.len() {
            self.piece.clear();
            self.at = 0;
            let bytes = self.inflater.next(self.source)?;
            self.piece.extend_from_slice(bytes);
            self.total += bytes.len() as u64;
        }
        Ok(&self.piece[self.at..])
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.at += count;
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, PackError> {
        let byte = *self.fill()?.first().ok_or(PackError::Malformed("a delta is cut off"))?;
        self.consume(1);
        Ok(byte)
    }

    /// Bytes that were inflated so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

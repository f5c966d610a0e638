//! Content of objects while others are made from it: small in memory, large in a temporary file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::PackError;

/// Larger objects go to the file.
pub(super) const IN_MEMORY: u64 = 1 << 20;

/// Content of one object.
#[derive(Debug, Clone)]
pub(super) enum Data {
    Memory(Arc<Vec<u8>>),
    Scratch { offset: u64, size: u64 },
}

impl Data {
    pub(super) fn len(&self) -> u64 {
        match self {
            Data::Memory(bytes) => bytes.len() as u64,
            Data::Scratch { size, .. } => *size,
        }
    }
}

/// The file; made when the first large object comes.
#[derive(Debug)]
pub(super) struct Scratch {
    file: Option<File>,
    end: u64,
    limit: u64,
    /// Bytes of objects that are held in memory.
    memory: u64,
}

/// All small objects together may take so much memory before they go to the file as well.
const ALL_IN_MEMORY: u64 = 16 << 20;

impl Scratch {
    pub(super) fn new(limit: u64) -> Self {
        Scratch { file: None, end: 0, limit, memory: 0 }
    }

    /// Begins to take an object of `size` bytes.
    pub(super) fn begin(&mut self, size: u64) -> Result<Growing, PackError> {
        if size <= IN_MEMORY && self.memory + size <= ALL_IN_MEMORY {
            return Ok(Growing::Memory(Vec::with_capacity(size as usize)));
        }
        if self.end.saturating_add(size) > self.limit {
            return Err(PackError::Limit { limit: self.limit, what: "bytes of deltas' bases" });
        }
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile().map_err(PackError::Store)?);
        }
        let offset = self.end;
        self.end += size;
        Ok(Growing::Scratch { offset, size: 0 })
    }

    pub(super) fn append(&self, growing: &mut Growing, bytes: &[u8]) -> Result<(), PackError> {
        match growing {
            Growing::Memory(vec) => vec.extend_from_slice(bytes),
            Growing::Scratch { offset, size } => {
                let file = self.file()?;
                file.write_all_at(bytes, *offset + *size).map_err(PackError::Store)?;
                *size += bytes.len() as u64;
            }
        }
        Ok(())
    }

    pub(super) fn end(&mut self, growing: Growing) -> Data {
        match growing {
            Growing::Memory(vec) => {
                self.memory += vec.len() as u64;
                Data::Memory(Arc::new(vec))
            }
            Growing::Scratch { offset, size } => Data::Scratch { offset, size },
        }
    }

    /// Forgets an object. Those in the file are forgotten in the reverse order of their coming.
    pub(super) fn release(&mut self, data: &Data) {
        match data {
            Data::Memory(bytes) => self.memory = self.memory.saturating_sub(bytes.len() as u64),
            Data::Scratch { offset, .. } => self.end = *offset,
        }
    }

    /// Passes `length` bytes from `start` on to `piece`.
    pub(super) fn copy(
        &self,
        data: &Data,
        start: u64,
        length: u64,
        piece: &mut dyn FnMut(&[u8]) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        let end = start.checked_add(length).filter(|end| *end <= data.len());
        let end = end.ok_or(PackError::Malformed("a delta copies from beyond its base"))?;
        match data {
            Data::Memory(bytes) => piece(&bytes[start as usize..end as usize]),
            Data::Scratch { offset, .. } => {
                let mut buffer = vec![0; length.min(64 * 1024) as usize];
                let mut at = start;
                while at < end {
                    let part = (end - at).min(buffer.len() as u64) as usize;
                    self.file()?.read_exact_at(&mut buffer[..part], offset + at).map_err(PackError::Store)?;
                    piece(&buffer[..part])?;
                    at += part as u64;
                }
                Ok(())
            }
        }
    }

    fn file(&self) -> Result<&File, PackError> {
        self.file.as_ref().ok_or_else(|| PackError::Store(io::ErrorKind::NotFound.into()))
    }
}

/// An object that is being made.
#[derive(Debug)]
pub(super) enum Growing {
    Memory(Vec<u8>),
    Scratch { offset: u64, size: u64 },
}

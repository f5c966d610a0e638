//! Taking a pack from the network.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

use super::entry::{self, Head};
use super::inflate::{Inflated, Inflater, Source};
use super::{Cache, Entry, Interrupt, Limits, Pack, PackError, delta, resolve};
use crate::object::{IdHasher, Kind, ObjectId};

/// The pack as it arrives: what is consumed has been hashed and stored.
struct Input {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
    file: BufWriter<File>,
    hasher: IdHasher,
    offset: u64,
    limit: u64,
}

impl Source for Input {
    fn fill(&mut self) -> Result<&[u8], PackError> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(&[]),
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, count: usize) -> Result<(), PackError> {
        self.offset += count as u64;
        if self.offset > self.limit {
            return Err(PackError::Limit { limit: self.limit, what: "bytes" });
        }
        self.hasher.update(&self.piece[..count]);
        self.file.write_all(&self.piece[..count]).map_err(PackError::Store)?;
        self.piece.advance(count);
        Ok(())
    }
}

impl Input {
    fn byte(&mut self) -> Result<u8, PackError> {
        let byte = *self.fill()?.first().ok_or(PackError::Truncated)?;
        self.consume(1)?;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u32, PackError> {
        Ok(u32::from_be_bytes([self.byte()?, self.byte()?, self.byte()?, self.byte()?]))
    }

    /// The checksum at the end, which is not part of itself.
    fn trailer(&mut self) -> Result<ObjectId, PackError> {
        let mut bytes = [0; 20];
        for slot in &mut bytes {
            *slot = *self.fill()?.first().ok_or(PackError::Truncated)?;
            self.piece.advance(1);
        }
        Ok(ObjectId::from_bytes(bytes))
    }
}

impl Pack {
    /// Takes a pack from `pieces`; blocks until it is complete and indexed. Its deltas may be of objects in `known`.
    pub(crate) fn receive(
        pieces: mpsc::Receiver<Bytes>,
        known: &[Arc<Pack>],
        limits: &Limits,
        interrupt: &Interrupt,
    ) -> Result<Self, PackError> {
        let file = tempfile::tempfile().map_err(PackError::Store)?;
        let mut input = Input {
            pieces,
            piece: Bytes::new(),
            file: BufWriter::with_capacity(64 * 1024, file),
            hasher: IdHasher::raw(),
            offset: 0,
            limit: limits.pack_bytes,
        };
        if input.number()?.to_be_bytes() != *b"PACK" {
            return Err(PackError::Malformed("it does not begin as a pack"));
        }
        if !matches!(input.number()?, 2 | 3) {
            return Err(PackError::Malformed("its version is unknown"));
        }
        let count = input.number()?;
        if count > limits.objects {
            return Err(PackError::Limit { limit: limits.objects.into(), what: "objects" });
        }
        let mut unresolved = resolve::Unresolved::default();
        let mut inflater = Inflater::new();
        // Grows as entries come: the count is only what the server says.
        let (mut entries, mut starts) = (Vec::new(), Vec::new());
        for index in 0..count {
            interrupt.check()?;
            let start = input.offset;
            let (head, stored) = entry::read(|| input.byte())?;
            if stored > limits.object_bytes {
                return Err(PackError::Limit { limit: limits.object_bytes, what: "bytes in one object" });
            }
            let offset = input.offset;
            let entry = match head {
                Head::Object(kind) => object(&mut input, &mut inflater, kind, offset, stored, interrupt)?,
                Head::OffsetDelta(distance) => {
                    let base = start.checked_sub(distance).and_then(|at| starts.binary_search(&at).ok());
                    let base = base.ok_or(PackError::Malformed("a delta has no base"))? as u32;
                    unresolved.by_offset.push((base, index));
                    let size = delta_size(&mut input, &mut inflater, stored, limits, interrupt)?;
                    Entry {
                        offset,
                        stored,
                        size,
                        id: ObjectId::from_bytes([0; 20]),
                        base: Some(base),
                        kind: Kind::Blob,
                    }
                }
                Head::NamedDelta(base) => {
                    unresolved.by_name.entry(base).or_default().push(index);
                    let size = delta_size(&mut input, &mut inflater, stored, limits, interrupt)?;
                    Entry {
                        offset,
                        stored,
                        size,
                        id: ObjectId::from_bytes([0; 20]),
                        base: None,
                        kind: Kind::Blob,
                    }
                }
            };
            starts.push(start);
            entries.push(entry);
        }
        let checksum = std::mem::replace(&mut input.hasher, IdHasher::raw()).finish();
        if checksum.is_none_or(|checksum| input.trailer().ok() != Some(checksum)) {
            return Err(PackError::Checksum);
        }
        let file = input.file.into_inner().map_err(|error| PackError::Store(error.into_error()))?;
        let mut pack = Pack {
            file: Arc::new(file),
            entries,
            by_id: Vec::new(),
            limits: limits.clone(),
            cache: Mutex::new(Cache::default()),
        };
        drop(starts);
        resolve::resolve(&mut pack, unresolved, known, interrupt)?;
        let mut by_id: Vec<u32> = (0..pack.entries.len() as u32).collect();
        by_id.sort_unstable_by_key(|index| pack.entry(*index).id);
        pack.by_id = by_id;
        Ok(pack)
    }
}

fn object(
    input: &mut Input,
    inflater: &mut Inflater,
    kind: Kind,
    offset: u64,
    size: u64,
    interrupt: &Interrupt,
) -> Result<Entry, PackError> {
    let mut hasher = IdHasher::object(kind, size);
    inflater.object(input, size, interrupt, |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    let id = hasher.finish().ok_or(PackError::Collision)?;
    Ok(Entry { offset, stored: size, size, id, base: None, kind })
}

/// Skips a delta; gives the size of what it makes.
fn delta_size(
    input: &mut Input,
    inflater: &mut Inflater,
    stored: u64,
    limits: &Limits,
    interrupt: &Interrupt,
) -> Result<u64, PackError> {
    let mut inflated = Inflated::new(inflater, input);
    let (_, size) = delta::sizes(&mut inflated)?;
    if size > limits.object_bytes {
        return Err(PackError::Limit { limit: limits.object_bytes, what: "bytes in one object" });
    }
    loop {
        interrupt.check()?;
        let length = inflated.fill()?.len();
        if inflated.total() > stored {
            return Err(PackError::Malformed("a delta is larger than it says"));
        }
        if length == 0 {
            break;
        }
        inflated.consume(length);
    }
    if inflated.total() == stored {
        Ok(size)
    } else {
        Err(PackError::Malformed("a delta is smaller than it says"))
    }
}

//! Packs that wait to be read again. Neither costs memory while it waits: pack and index are files without a name, which
//! nobody can damage or lose, and which are gone with the process.

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Arc, Mutex};

use super::{Cache, Entry, Limits, Pack, PackError};
use crate::object::{Kind, ObjectId};

/// Bytes of an entry in the index.
const RECORD: usize = 20 + 8 + 8 + 8 + 4 + 1;
const NO_BASE: u32 = u32::MAX;

/// A pack at rest.
#[derive(Debug)]
pub(crate) struct KeptPack {
    file: Arc<File>,
    index: File,
    entries: usize,
    limits: Limits,
    bytes: u64,
}

impl KeptPack {
    /// Writes the index of a pack.
    pub(crate) fn keep(pack: &Pack) -> Result<Self, PackError> {
        let mut out = BufWriter::new(tempfile::tempfile().map_err(PackError::Store)?);
        let kind = |kind: Kind| match kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
            Kind::Tag => 4,
        };
        for entry in &pack.entries {
            let mut record = [0; RECORD];
            record[..20].copy_from_slice(entry.id.as_bytes());
            record[20..28].copy_from_slice(&entry.offset.to_le_bytes());
            record[28..36].copy_from_slice(&entry.stored.to_le_bytes());
            record[36..44].copy_from_slice(&entry.size.to_le_bytes());
            record[44..48].copy_from_slice(&entry.base.unwrap_or(NO_BASE).to_le_bytes());
            record[48] = kind(entry.kind);
            out.write_all(&record).map_err(PackError::Store)?;
        }
        for index in &pack.by_id {
            out.write_all(&index.to_le_bytes()).map_err(PackError::Store)?;
        }
        let index = out.into_inner().map_err(|error| PackError::Store(error.into_error()))?;
        let length = |file: &File| file.metadata().map(|metadata| metadata.len()).map_err(PackError::Store);
        Ok(KeptPack {
            file: Arc::clone(&pack.file),
            bytes: length(&pack.file)? + length(&index)?,
            index,
            entries: pack.entries.len(),
            limits: pack.limits.clone(),
        })
    }

    /// What it costs on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the index.
    pub(crate) fn wake(&self) -> Result<Pack, PackError> {
        let mut bytes = Vec::new();
        let mut index = &self.index;
        index.seek(SeekFrom::Start(0)).map_err(PackError::Store)?;
        index.read_to_end(&mut bytes).map_err(PackError::Store)?;
        let damaged = PackError::Malformed("the index of a kept pack is damaged");
        if bytes.len() != self.entries * (RECORD + 4) {
            return Err(damaged);
        }
        let (records, order) = bytes.split_at(self.entries * RECORD);
        let entries: Option<Vec<Entry>> = records.chunks_exact(RECORD).map(entry).collect();
        let by_id = order.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        Ok(Pack {
            file: Arc::clone(&self.file),
            entries: entries.ok_or(damaged)?,
            by_id,
            limits: self.limits.clone(),
            cache: Mutex::new(Cache::default()),
        })
    }
}

fn entry(record: &[u8]) -> Option<Entry> {
    let number = |at: usize| Some(u64::from_le_bytes(record.get(at..at + 8)?.try_into().ok()?));
    let base = u32::from_le_bytes(record.get(44..48)?.try_into().ok()?);
    let kind = match record.get(48)? {
        1 => Kind::Commit,
        2 => Kind::Tree,
        3 => Kind::Blob,
        4 => Kind::Tag,
        _ => return None,
    };
    Some(Entry {
        offset: number(20)?,
        stored: number(28)?,
        size: number(36)?,
        id: ObjectId::from_bytes(record.get(..20)?.try_into().ok()?),
        base: (base != NO_BASE).then_some(base),
        kind,
    })
}

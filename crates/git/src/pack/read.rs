//! Reading objects.

use std::io::Write;
use std::sync::{Arc, PoisonError};

use super::inflate::{FileSource, Inflated, Inflater};
use super::scratch::{Data, IN_MEMORY, Scratch};
use super::{Cache, Interrupt, Pack, PackError, delta};
use crate::object::ObjectId;

/// All cached objects together.
const CACHE_BYTES: usize = 8 << 20;

impl Cache {
    fn insert(&mut self, index: u32, bytes: &Arc<Vec<u8>>) {
        if bytes.len() > CACHE_BYTES / 8 || self.objects.contains_key(&index) {
            return;
        }
        self.bytes += bytes.len();
        self.objects.insert(index, Arc::clone(bytes));
        self.order.push_back(index);
        while self.bytes > CACHE_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(old) = self.objects.remove(&oldest) {
                self.bytes -= old.len();
            }
        }
    }
}

impl Pack {
    /// Writes an object's content to `out`; `None` if it is not there.
    pub(crate) fn copy(
        &self,
        id: ObjectId,
        out: &mut dyn Write,
        interrupt: &Interrupt,
    ) -> Result<Option<()>, PackError> {
        let Some(index) = self.find(id) else { return Ok(None) };
        let mut inflater = Inflater::new();
        let mut write = |bytes: &[u8]| out.write_all(bytes).map_err(PackError::Write);
        let entry = self.entry(index);
        let mut source = FileSource::new(&self.file, entry.offset);
        let Some(base) = entry.base else {
            inflater.object(&mut source, entry.stored, interrupt, write)?;
            return Ok(Some(()));
        };
        let mut scratch = Scratch::new(self.limits.scratch_bytes);
        let base = self.materialize(base, &mut scratch, &mut inflater, interrupt)?;
        let mut inflated = Inflated::new(&mut inflater, &mut source);
        delta::sizes(&mut inflated)?;
        delta::apply(&mut inflated, &base, &scratch, entry.size, interrupt, &mut write)?;
        Ok(Some(()))
    }

    /// The content of an entry, made along its chain from the nearest cached or full object on.
    fn materialize(
        &self,
        index: u32,
        scratch: &mut Scratch,
        inflater: &mut Inflater,
        interrupt: &Interrupt,
    ) -> Result<Data, PackError> {
        let mut chain = vec![index];
        let mut data = None;
        while let Some(&last) = chain.last() {
            if let Some(cached) = self.cached(last) {
                data = Some(Data::Memory(cached));
                chain.pop();
                break;
            }
            match self.entry(last).base {
                Some(base) => chain.push(base),
                None => break,
            }
        }
        while let Some(next) = chain.pop() {
            let entry = self.entry(next);
            let mut source = FileSource::new(&self.file, entry.offset);
            let mut growing = scratch.begin(entry.size)?;
            if let Some(base) = &data {
                let mut inflated = Inflated::new(inflater, &mut source);
                delta::sizes(&mut inflated)?;
                delta::apply(&mut inflated, base, scratch, entry.size, interrupt, &mut |bytes| {
                    scratch.append(&mut growing, bytes)
                })?;
            } else {
                inflater.object(&mut source, entry.stored, interrupt, |bytes| {
                    scratch.append(&mut growing, bytes)
                })?;
            }
            let made = scratch.end(growing);
            if let (Data::Memory(bytes), true) = (&made, entry.size <= IN_MEMORY) {
                self.cache.lock().unwrap_or_else(PoisonError::into_inner).insert(next, bytes);
            }
            if let Some(base @ Data::Memory(_)) = data.replace(made) {
                scratch.release(&base);
            }
        }
        data.ok_or(PackError::Malformed("a delta has no base"))
    }

    fn cached(&self, index: u32) -> Option<Arc<Vec<u8>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).objects.get(&index).cloned()
    }
}

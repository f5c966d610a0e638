//! Learning the names of objects that are stored as deltas.
//!
//! Depth first from each full object, so that only one chain of bases is held at a time.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::inflate::{FileSource, Inflated, Inflater};
use super::scratch::{Data, Scratch};
use super::{Entry, Interrupt, Pack, PackError, delta};
use crate::object::{IdHasher, ObjectId};

/// Git itself never makes longer chains.
const MAX_CHAIN: usize = 4096;

/// Deltas whose result is not known yet.
#[derive(Debug, Default)]
pub(super) struct Unresolved {
    /// `(base, delta)` as indices of entries.
    pub(super) by_offset: Vec<(u32, u32)>,
    /// Deltas by the name of their base.
    pub(super) by_name: HashMap<ObjectId, Vec<u32>>,
}

impl Unresolved {
    fn has_children(&self, index: u32) -> bool {
        // By name anything may have children.
        !self.by_name.is_empty() || self.first_child(index).is_some()
    }

    fn first_child(&self, base: u32) -> Option<usize> {
        let at = self.by_offset.partition_point(|(b, _)| *b < base);
        (self.by_offset.get(at)?.0 == base).then_some(at)
    }

    fn children(&mut self, base: u32, id: ObjectId) -> Vec<u32> {
        let mut children = self.by_name.remove(&id).unwrap_or_default();
        if let Some(first) = self.first_child(base) {
            children.extend(
                self.by_offset[first..].iter().take_while(|(b, _)| *b == base).map(|(_, child)| child),
            );
        }
        children
    }
}

struct Frame {
    index: u32,
    data: Data,
    children: Vec<u32>,
}

/// Resolves all deltas of `pack`. Bases that it lacks are added to it from `known`.
pub(super) fn resolve(
    pack: &mut Pack,
    mut unresolved: Unresolved,
    known: &[Arc<Pack>],
    interrupt: &Interrupt,
) -> Result<(), PackError> {
    let named: usize = unresolved.by_name.values().map(Vec::len).sum();
    let deltas = unresolved.by_offset.len() + named;
    if deltas == 0 {
        return Ok(());
    }
    unresolved.by_offset.sort_unstable();
    let mut is_delta = vec![false; pack.entries.len()];
    for delta in
        unresolved.by_offset.iter().map(|(_, delta)| delta).chain(unresolved.by_name.values().flatten())
    {
        is_delta[*delta as usize] = true;
    }
    let scratch = Scratch::new(pack.limits.scratch_bytes);
    let mut resolver =
        Resolver { pack, unresolved, scratch, inflater: Inflater::new(), interrupt, missing: deltas };
    for root in (0..resolver.pack.entries.len() as u32).filter(|root| !is_delta[*root as usize]) {
        resolver.descend(root)?;
    }
    if resolver.missing > 0 && !known.is_empty() {
        let bases: Vec<ObjectId> = resolver.unresolved.by_name.keys().copied().collect();
        for base in bases {
            // It may have become known as the result of another delta.
            if resolver.unresolved.by_name.contains_key(&base)
                && let Some(root) = adopt(resolver.pack, base, known, interrupt)?
            {
                resolver.descend(root)?;
            }
        }
    }
    if resolver.missing == 0 { Ok(()) } else { Err(PackError::Malformed("a delta has no base")) }
}

/// The state of a resolution.
struct Resolver<'a> {
    pack: &'a mut Pack,
    unresolved: Unresolved,
    scratch: Scratch,
    inflater: Inflater,
    interrupt: &'a Interrupt,
    /// Deltas whose result is not known yet.
    missing: usize,
}

impl Resolver<'_> {
    /// Resolves all that is made of a full object.
    fn descend(&mut self, root: u32) -> Result<(), PackError> {
        let children = self.unresolved.children(root, self.pack.entry(root).id);
        if children.is_empty() {
            return Ok(());
        }
        let data = full(self.pack, root, &mut self.scratch, &mut self.inflater, self.interrupt)?;
        let mut stack = vec![Frame { index: root, data, children }];
        while let Some(frame) = stack.last_mut() {
            let Some(child) = frame.children.pop() else {
                if let Some(done) = stack.pop() {
                    self.scratch.release(&done.data);
                }
                continue;
            };
            let (base, data) = (frame.index, frame.data.clone());
            if let Some(kept) = self.make(child, base, &data)? {
                let children = self.unresolved.children(child, self.pack.entry(child).id);
                if children.is_empty() {
                    self.scratch.release(&kept);
                    continue;
                }
                if stack.len() >= MAX_CHAIN {
                    return Err(PackError::Malformed("a chain of deltas is too long"));
                }
                stack.push(Frame { index: child, data: kept, children });
            }
        }
        Ok(())
    }

    /// Computes the name of a delta's result; keeps the content only if others need it.
    fn make(&mut self, index: u32, base: u32, data: &Data) -> Result<Option<Data>, PackError> {
        let kind = self.pack.entry(base).kind;
        let (offset, size) = (self.pack.entry(index).offset, self.pack.entry(index).size);
        let mut hasher = IdHasher::object(kind, size);
        let keep = self.unresolved.has_children(index);
        let scratch = &mut self.scratch;
        let mut growing = if keep { Some(scratch.begin(size)?) } else { None };
        let mut source = FileSource::new(&self.pack.file, offset);
        let mut inflated = Inflated::new(&mut self.inflater, &mut source);
        if delta::sizes(&mut inflated)?.0 != data.len() {
            return Err(PackError::Malformed("a delta does not fit its base"));
        }
        delta::apply(&mut inflated, data, scratch, size, self.interrupt, &mut |bytes| {
            hasher.update(bytes);
            growing.as_mut().map_or(Ok(()), |growing| scratch.append(growing, bytes))
        })?;
        let id = hasher.finish().ok_or(PackError::Collision)?;
        let entry = &mut self.pack.entries[index as usize];
        entry.id = id;
        entry.kind = kind;
        entry.base = Some(base);
        self.missing -= 1;
        Ok(growing.map(|growing| self.scratch.end(growing)))
    }
}

/// Copies an object out of another pack to the end of this one; `None` if no pack has it.
fn adopt(
    pack: &mut Pack,
    id: ObjectId,
    known: &[Arc<Pack>],
    interrupt: &Interrupt,
) -> Result<Option<u32>, PackError> {
    let found = known.iter().find_map(|other| Some((other, other.header(id)?)));
    let Some((other, (kind, size))) = found else { return Ok(None) };
    let offset = pack.file.metadata().map_err(PackError::Store)?.len();
    let end = Appender { file: &pack.file, offset };
    let mut encoder = ZlibEncoder::new(end, Compression::fast());
    other.copy(id, &mut encoder, interrupt)?;
    encoder.try_finish().map_err(PackError::Store)?;
    pack.entries.push(Entry { offset, stored: size, size, id, base: None, kind });
    Ok(Some(pack.entries.len() as u32 - 1))
}

fn full(
    pack: &Pack,
    index: u32,
    scratch: &mut Scratch,
    inflater: &mut Inflater,
    interrupt: &Interrupt,
) -> Result<Data, PackError> {
    let entry = pack.entry(index);
    let mut growing = scratch.begin(entry.size)?;
    let mut source = FileSource::new(&pack.file, entry.offset);
    inflater.object(&mut source, entry.stored, interrupt, |bytes| scratch.append(&mut growing, bytes))?;
    Ok(scratch.end(growing))
}

/// Writes at the end of a file.
struct Appender<'a> {
    file: &'a File,
    offset: u64,
}

impl Write for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.offset)?;
        self.offset += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Learning the names of objects that are stored as deltas.
//!
//! Depth first from each full object, so that only one chain of bases is held at a time.

use std::collections::HashMap;

use super::inflate::{FileSource, Inflated, Inflater};
use super::scratch::{Data, Scratch};
use super::{Interrupt, Pack, PackError, delta};
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

/// Resolves all deltas of `pack`.
pub(super) fn resolve(
    pack: &mut Pack,
    mut unresolved: Unresolved,
    interrupt: &Interrupt,
) -> Result<(), PackError> {
    let named: usize = unresolved.by_name.values().map(Vec::len).sum();
    let mut missing = unresolved.by_offset.len() + named;
    if missing == 0 {
        return Ok(());
    }
    unresolved.by_offset.sort_unstable();
    let mut is_delta = vec![false; pack.entries.len()];
    let deltas =
        unresolved.by_offset.iter().map(|(_, delta)| delta).chain(unresolved.by_name.values().flatten());
    for delta in deltas {
        is_delta[*delta as usize] = true;
    }
    let mut scratch = Scratch::new(pack.limits.scratch_bytes);
    let mut inflater = Inflater::new();
    let mut stack: Vec<Frame> = Vec::new();
    for root in 0..pack.entries.len() as u32 {
        if is_delta[root as usize] {
            continue;
        }
        let children = unresolved.children(root, pack.entry(root).id);
        if children.is_empty() {
            continue;
        }
        let data = full(pack, root, &mut scratch, &mut inflater, interrupt)?;
        stack.push(Frame { index: root, data, children });
        while let Some(frame) = stack.last_mut() {
            let Some(child) = frame.children.pop() else {
                if let Some(done) = stack.pop() {
                    scratch.release(&done.data);
                }
                continue;
            };
            let (base, data) = (frame.index, frame.data.clone());
            let keep = unresolved.has_children(child);
            let kept = make(pack, child, base, &data, keep, &mut scratch, &mut inflater, interrupt)?;
            missing -= 1;
            if let Some(kept) = kept {
                let children = unresolved.children(child, pack.entry(child).id);
                if children.is_empty() {
                    scratch.release(&kept);
                    continue;
                }
                if stack.len() >= MAX_CHAIN {
                    return Err(PackError::Malformed("a chain of deltas is too long"));
                }
                stack.push(Frame { index: child, data: kept, children });
            }
        }
    }
    if missing == 0 { Ok(()) } else { Err(PackError::Malformed("a delta has no base")) }
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

/// Computes the name of a delta's result; keeps the content only if others need it.
#[expect(clippy::too_many_arguments, reason = "one step of the loop above, with its state")]
fn make(
    pack: &mut Pack,
    index: u32,
    base: u32,
    data: &Data,
    keep: bool,
    scratch: &mut Scratch,
    inflater: &mut Inflater,
    interrupt: &Interrupt,
) -> Result<Option<Data>, PackError> {
    let kind = pack.entry(base).kind;
    let (offset, size) = (pack.entry(index).offset, pack.entry(index).size);
    let mut hasher = IdHasher::object(kind, size);
    let mut growing = if keep { Some(scratch.begin(size)?) } else { None };
    let mut source = FileSource::new(&pack.file, offset);
    let mut inflated = Inflated::new(inflater, &mut source);
    if delta::sizes(&mut inflated)?.0 != data.len() {
        return Err(PackError::Malformed("a delta does not fit its base"));
    }
    delta::apply(&mut inflated, data, scratch, size, interrupt, &mut |bytes| {
        hasher.update(bytes);
        growing.as_mut().map_or(Ok(()), |growing| scratch.append(growing, bytes))
    })?;
    let id = hasher.finish().ok_or(PackError::Collision)?;
    let entry = &mut pack.entries[index as usize];
    entry.id = id;
    entry.kind = kind;
    entry.base = Some(base);
    Ok(growing.map(|growing| scratch.end(growing)))
}

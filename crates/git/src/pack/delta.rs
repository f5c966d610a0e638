//! Making an object from another one.

use super::Interrupt;
use super::PackError;
use super::entry::varint;
use super::inflate::Inflated;
use super::scratch::{Data, Scratch};

/// The sizes at the head of a delta: of the base and of the result.
pub(super) fn sizes(delta: &mut Inflated<'_>) -> Result<(u64, u64), PackError> {
    Ok((varint(|| delta.byte())?, varint(|| delta.byte())?))
}

/// Applies the instructions after the head; the result goes to `out` piece by piece.
pub(super) fn apply(
    delta: &mut Inflated<'_>,
    base: &Data,
    scratch: &Scratch,
    size: u64,
    interrupt: &Interrupt,
    out: &mut dyn FnMut(&[u8]) -> Result<(), PackError>,
) -> Result<(), PackError> {
    let mut total = 0;
    loop {
        interrupt.check()?;
        let Some(&instruction) = delta.fill()?.first() else { break };
        delta.consume(1);
        if instruction & 0x80 != 0 {
            let mut number = |bits: u8, count: u32| {
                (0..count).filter(|bit| bits & (1 << bit) != 0).try_fold(0u64, |value, bit| {
                    Ok::<_, PackError>(value | u64::from(delta.byte()?) << (8 * bit))
                })
            };
            let start = number(instruction & 0x0f, 4)?;
            let length = match number((instruction >> 4) & 0x07, 3)? {
                0 => 0x1_0000,
                length => length,
            };
            total += length;
            check(total, size)?;
            scratch.copy(base, start, length, out)?;
        } else {
            let mut length = usize::from(instruction);
            if length == 0 {
                return Err(PackError::Malformed("a delta has a reserved instruction"));
            }
            total += length as u64;
            check(total, size)?;
            while length > 0 {
                let bytes = delta.fill()?;
                if bytes.is_empty() {
                    return Err(PackError::Malformed("a delta is cut off"));
                }
                let part = bytes.len().min(length);
                out(&bytes[..part])?;
                delta.consume(part);
                length -= part;
            }
        }
    }
    if total == size { Ok(()) } else { Err(PackError::Malformed("a delta makes less than it says")) }
}

fn check(total: u64, size: u64) -> Result<(), PackError> {
    if total > size { Err(PackError::Malformed("a delta makes more than it says")) } else { Ok(()) }
}

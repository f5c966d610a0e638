//! The heads of entries.

use super::PackError;
use crate::object::{Kind, ObjectId};

/// What the head of an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Object(Kind),
    /// A delta of the entry so many bytes before.
    OffsetDelta(u64),
    /// A delta of a named object.
    NamedDelta(ObjectId),
}

/// Reads kind and inflated size, byte by byte.
pub(super) fn read(mut byte: impl FnMut() -> Result<u8, PackError>) -> Result<(Head, u64), PackError> {
    let first = byte()?;
    let mut size = u64::from(first & 15);
    let mut shift = 4;
    let mut more = first & 0x80 != 0;
    while more {
        let next = byte()?;
        size |= checked_shift(next & 0x7f, shift)?;
        shift += 7;
        more = next & 0x80 != 0;
    }
    let head = match (first >> 4) & 7 {
        1 => Head::Object(Kind::Commit),
        2 => Head::Object(Kind::Tree),
        3 => Head::Object(Kind::Blob),
        4 => Head::Object(Kind::Tag),
        6 => Head::OffsetDelta(distance(&mut byte)?),
        7 => {
            let mut id = [0; 20];
            for slot in &mut id {
                *slot = byte()?;
            }
            Head::NamedDelta(ObjectId::from_bytes(id))
        }
        _ => return Err(PackError::Malformed("an entry has an unknown kind")),
    };
    Ok((head, size))
}

/// A little-endian number of seven bits a byte.
pub(super) fn varint(mut byte: impl FnMut() -> Result<u8, PackError>) -> Result<u64, PackError> {
    let mut value = 0;
    let mut shift = 0;
    loop {
        let next = byte()?;
        value |= checked_shift(next & 0x7f, shift)?;
        shift += 7;
        if next & 0x80 == 0 {
            return Ok(value);
        }
    }
}

fn checked_shift(bits: u8, shift: u32) -> Result<u64, PackError> {
    let value = u64::from(bits);
    if shift >= 64 || (value << shift) >> shift != value {
        return Err(PackError::Malformed("a size does not fit"));
    }
    Ok(value << shift)
}

/// The big-endian distance to a base, where each further byte adds one.
fn distance(byte: &mut impl FnMut() -> Result<u8, PackError>) -> Result<u64, PackError> {
    let mut next = byte()?;
    let mut value = u64::from(next & 0x7f);
    while next & 0x80 != 0 {
        next = byte()?;
        value = value
            .checked_add(1)
            .filter(|v| *v < 1 << 56)
            .ok_or(PackError::Malformed("a distance does not fit"))?
            << 7
            | u64::from(next & 0x7f);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<(Head, u64), PackError> {
        let mut bytes = bytes.iter().copied();
        read(|| bytes.next().ok_or(PackError::Truncated))
    }

    #[test]
    fn heads_are_read() {
        assert_eq!(parse(&[0x35]).unwrap(), (Head::Object(Kind::Blob), 5));
        assert_eq!(parse(&[0x95, 0x0a]).unwrap(), (Head::Object(Kind::Commit), 165));
        assert_eq!(parse(&[0x61, 0x80, 0x00]).unwrap(), (Head::OffsetDelta(128), 1));
        assert!(matches!(parse(&[0x95]), Err(PackError::Truncated)));
        for bad in
            [&[0x05u8][..], &[0x55], &[0xb5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]]
        {
            assert!(matches!(parse(bad), Err(PackError::Malformed(_))), "{bad:?}");
        }
        let far = [&[0x61u8][..], &[0xff; 12], &[0]].concat();
        assert!(matches!(parse(&far), Err(PackError::Malformed(_))));
    }
}

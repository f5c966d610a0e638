//! As much of CBOR (RFC 8949) as envelopes have: definite lengths, no fractions.

/// How deep values may be in one another.
const MAX_DEPTH: usize = 16;
/// Entries of a map: headers are few, and each key is compared with all before it.
const MAX_ENTRIES: u64 = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Integer(i64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Tag(u64, Box<Value>),
    /// True, false, nothing.
    Simple(u8),
}

/// Reads one value that takes up all bytes.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader(bytes);
    let value = reader.value(0)?;
    reader.0.is_empty().then_some(value)
}

/// Writes a string of bytes.
pub(super) fn encode_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len() as u64;
    match length {
        0..24 => out.push(0x40 | length as u8),
        24..0x100 => out.extend([0x58, length as u8]),
        0x100..0x1_0000 => {
            out.push(0x59);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x5a);
            out.extend((length as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let first = self.take(1)?[0];
        let size = match first & 0x1f {
            small @ 0..24 => u64::from(small),
            more @ 24..28 => {
                let bytes = self.take(1 << (more - 24))?;
                bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            _ => return None,
        };
        Some(match first >> 5 {
            0 => Value::Integer(i64::try_from(size).ok()?),
            1 => Value::Integer(-1 - i64::try_from(size).ok()?),
            2 => Value::Bytes(self.take(size)?.to_vec()),
            3 => Value::Text(String::from_utf8(self.take(size)?.to_vec()).ok()?),
            // Nothing is set aside for what is only announced.
            4 => {
                let mut items = Vec::new();
                for _ in 0..size {
                    items.push(self.value(depth + 1)?);
                }
                Value::Array(items)
            }
            5 if size > MAX_ENTRIES => return None,
            5 => {
                let mut entries: Vec<(Value, Value)> = Vec::new();
                for _ in 0..size {
                    let key = self.value(depth + 1)?;
                    // Two readers could read different ones.
                    if entries.iter().any(|(other, _)| *other == key) {
                        return None;
                    }
                    entries.push((key, self.value(depth + 1)?));
                }
                Value::Map(entries)
            }
            6 => Value::Tag(size, Box::new(self.value(depth + 1)?)),
            _ if first & 0x1f < 24 => Value::Simple(first & 0x1f),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_nonsense_is_not() {
        assert_eq!(read(&[0x18, 0x2a]), Some(Value::Integer(42)));
        assert_eq!(read(&[0x38, 0x24]), Some(Value::Integer(-37)));
        assert_eq!(
            read(&[0xa1, 0x01, 0x61, 0x61]),
            Some(Value::Map(vec![(Value::Integer(1), Value::Text("a".into()))]))
        );
        let mut bytes = Vec::new();
        encode_bytes(&mut bytes, &[7; 300]);
        assert_eq!(read(&bytes), Some(Value::Bytes(vec![7; 300])));
        for bad in
            [&[0x5a, 0xff, 0xff, 0xff, 0xff][..], &[0x9f], &[0x81; 99], &[0xa2, 1, 1, 1, 1], &[1, 1], &[]]
        {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn maps_of_many_entries_are_refused() {
        let map = |size: u8| {
            let mut bytes = vec![0xb8, size];
            (0..size).for_each(|key| bytes.extend([0x19, 1, key, 0]));
            read(&bytes)
        };
        assert!(matches!(map(64), Some(Value::Map(entries)) if entries.len() == 64));
        assert_eq!(map(65), None);
    }
}

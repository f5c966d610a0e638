//! Go's quoted strings and characters.

/// What is wrong with a quoted string: Go says no more.
pub(crate) const INVALID: &str = "invalid syntax";

/// The content of a `"…"` or a raw string, quotes included in `text`.
pub(crate) fn string(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (&quote, rest) = text.split_first().ok_or(INVALID)?;
    let (&last, inner) = rest.split_last().ok_or(INVALID)?;
    if last != quote {
        return Err(INVALID);
    }
    match quote {
        b'`' if inner.contains(&b'`') => Err(INVALID),
        // A raw string has no carriage returns.
        b'`' => Ok(inner.iter().copied().filter(|byte| *byte != b'\r').collect()),
        b'"' if memchr::memchr3(b'"', b'\\', b'\n', inner).is_none() => Ok(inner.to_vec()),
        b'"' => {
            let mut content = Vec::with_capacity(inner.len());
            let mut rest = inner;
            while !rest.is_empty() {
                rest = character(rest, b'"', &mut content)?.1;
            }
            Ok(content)
        }
        _ => Err(INVALID),
    }
}

/// The value of a `'…'` constant.
pub(super) fn char_constant(text: &[u8]) -> Result<u32, String> {
    let mut scratch = Vec::new();
    let inner = text.get(1..).unwrap_or_default();
    let (value, tail) = character(inner, b'\'', &mut scratch)?;
    if tail != b"'" {
        let shown = crate::value::decode(text);
        return Err(format!("malformed character constant: {shown}"));
    }
    Ok(value)
}

/// Reads one character or escape, appends its bytes, and gives its value and the rest.
fn character<'t>(text: &'t [u8], quote: u8, content: &mut Vec<u8>) -> Result<(u32, &'t [u8]), &'static str> {
    let (&first, rest) = text.split_first().ok_or(INVALID)?;
    if first == quote || first == b'\n' {
        return Err(INVALID);
    }
    if first != b'\\' {
        if first.is_ascii() {
            content.push(first);
            return Ok((u32::from(first), rest));
        }
        let window = &text[..text.len().min(4)];
        let valid = window.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
        let width = valid.map_or(1, char::len_utf8);
        content.extend_from_slice(&text[..width]);
        return Ok((valid.map_or(0xfffd, u32::from), &text[width..]));
    }
    let (&escape, rest) = rest.split_first().ok_or(INVALID)?;
    let simple = match escape {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'\'' | b'"' if escape == quote => escape,
        b'x' => return numeric(rest, 2, 16, content, Width::Byte),
        b'u' => return numeric(rest, 4, 16, content, Width::Char),
        b'U' => return numeric(rest, 8, 16, content, Width::Char),
        b'0'..=b'7' => return numeric(&text[1..], 3, 8, content, Width::Byte),
        _ => return Err(INVALID),
    };
    content.push(simple);
    Ok((u32::from(simple), rest))
}

enum Width {
    Byte,
    Char,
}

fn numeric<'t>(
    text: &'t [u8],
    digits: usize,
    base: u32,
    content: &mut Vec<u8>,
    width: Width,
) -> Result<(u32, &'t [u8]), &'static str> {
    let number = text.get(..digits).ok_or(INVALID)?;
    let mut value: u32 = 0;
    for byte in number {
        let digit = char::from(*byte).to_digit(base).ok_or(INVALID)?;
        value = value.wrapping_mul(base).wrapping_add(digit);
    }
    match width {
        Width::Byte => content.push(u8::try_from(value).map_err(|_| INVALID)?),
        Width::Char => {
            let c = char::from_u32(value).ok_or(INVALID)?;
            content.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok((value, &text[digits..]))
}

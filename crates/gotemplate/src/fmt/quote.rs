//! Quoted strings and characters.

/// Go's `%q`.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    quote(bytes, false)
}

/// Go's `%q`, or `%+q` that leaves nothing but ASCII.
pub(super) fn quote(bytes: &[u8], ascii: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    // Nearly all texts stand as they are.
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if bytes.iter().all(is_plain)
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        out.push_str(text);
        out.push('"');
        return out;
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            escape(&mut out, c, '"', ascii);
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// Go's `%q` of a character.
pub(super) fn quote_char(c: char, ascii: bool) -> String {
    let mut out = String::from("'");
    escape(&mut out, c, '\'', ascii);
    out.push('\'');
    out
}

fn escape(out: &mut String, c: char, quote: char, ascii: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        _ if c == quote => {
            out.push('\\');
            out.push(c);
        }
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        ' '..='~' => out.push(c),
        _ if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        _ if !ascii && is_printable(c) => out.push(c),
        _ if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        _ => out.push_str(&format!("\\U{:08x}", u32::from(c))),
    }
}

/// Whether a raw string can hold it.
pub(super) fn can_backquote(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars().all(|c| match c {
            '\t' => true,
            '`' | '\u{7f}' | '\u{feff}' => false,
            _ => c >= ' ',
        })
    })
}

/// Go's `%#U`.
pub(crate) fn code_point(c: char) -> String {
    let number = u32::from(c);
    if is_printable(c) { format!("U+{number:04X} '{c}'") } else { format!("U+{number:04X}") }
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(crate) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // The standard library has the table behind `escape_debug`. It escapes combining marks too,
    // which print in Go, but only at the start of a string.
    let mut buffer = [0; 5];
    buffer[0] = b'a';
    let width = c.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..=width]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
}

//! Escaping for HTML, JavaScript and URLs.

use crate::error::Failure;
use crate::exec::Ctx;
use crate::value::Value;

/// All arguments as one text.
fn joined(ctx: &Ctx<'_>, args: &mut [Value]) -> Result<Vec<u8>, Failure> {
    if let [Value::String(text)] = args {
        return Ok(text.to_vec());
    }
    for arg in args.iter_mut().filter(|arg| arg.is_nil()) {
        *arg = Value::from("<no value>");
    }
    crate::fmt::print(args, ctx.limits().output)
}

pub(super) fn html(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let text = joined(ctx, args)?;
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            _ => out.push(byte),
        }
    }
    Ok(Value::String(out.into()))
}

pub(super) fn js(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let text = joined(ctx, args)?;
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.extend_from_slice(b"\\\\"),
                '\'' => out.extend_from_slice(b"\\'"),
                '"' => out.extend_from_slice(b"\\\""),
                '<' | '>' | '&' | '=' => out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes()),
                _ if c < ' ' || !crate::fmt::is_printable(c) && c != '\u{7f}' => {
                    out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes());
                }
                _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
    Ok(Value::String(out.into()))
}

pub(super) fn url_query(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let text = joined(ctx, args)?;
    let mut out = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(Value::string(out))
}

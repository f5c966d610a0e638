//! Lines of `NAME=value`.

use super::scalar;
use crate::error::Error;
use crate::tree::{Branch, Comment, Item, Value};

pub(super) fn read(data: &[u8]) -> Result<Branch, Error> {
    let mut branch = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        let text = String::from_utf8_lossy(line);
        if let Some(comment) = text.strip_prefix('#') {
            branch.push(Item::Comment(Comment { text: comment.to_owned(), inline: false }));
            continue;
        }
        // The line itself may be a secret, so that the error does not show it.
        let Some(equals) = line.iter().position(|byte| *byte == b'=') else {
            return Err(Error::Load("invalid dotenv input line: <redacted>".to_owned()));
        };
        let name = String::from_utf8_lossy(&line[..equals]).into_owned();
        branch.push(Item::Entry(name, Value::Text(replaced(&line[equals + 1..], b"\\n", b"\n"))));
    }
    Ok(branch)
}

pub(super) fn write(branch: &[Item]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for item in branch {
        match item {
            Item::Comment(comment) => {
                out.push(b'#');
                out.extend_from_slice(comment.text.as_bytes());
            }
            Item::Entry(name, value) => {
                let text = scalar::to_text(value).ok_or_else(|| {
                    Error::Emit(format!("cannot use complex value in dotenv file; offending key {name}"))
                })?;
                out.extend_from_slice(name.as_bytes());
                out.push(b'=');
                out.extend(replaced(&text, b"\n", b"\\n"));
            }
        }
        out.push(b'\n');
    }
    Ok(out)
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(from) {
            out.extend_from_slice(to);
            rest = after;
        } else {
            out.push(rest[0]);
            rest = &rest[1..];
        }
    }
    out
}

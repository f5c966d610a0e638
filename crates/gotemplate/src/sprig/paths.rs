//! Slash-separated paths.

use crate::args::text;
use crate::func::Func;
use crate::value::{Type, Value};

const S: Type = Type::STRING;

macro_rules! path {
    ($name:literal, $function:expr) => {
        Func::new($name, &[S], S, |_, args| Ok(Value::String($function(text(&args[0])).into())))
    };
}

macro_rules! is_abs {
    ($name:literal) => {
        Func::new($name, &[S], Type::BOOL, |_, args| Ok(Value::Bool(text(&args[0]).starts_with(b"/"))))
    };
}

pub(super) static FUNCS: &[Func] = &[
    path!("base", base),
    path!("osBase", base),
    path!("dir", dir),
    path!("osDir", dir),
    path!("clean", clean),
    path!("osClean", clean),
    path!("ext", ext),
    path!("osExt", ext),
    is_abs!("isAbs"),
    is_abs!("osIsAbs"),
];

/// Go's `path.Base`.
fn base(path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return b".".to_vec();
    }
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    if end == 0 {
        return b"/".to_vec();
    }
    let path = &path[..end];
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    path[start..].to_vec()
}

/// Go's `path.Dir`.
fn dir(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    clean(&path[..end])
}

fn ext(path: &[u8]) -> Vec<u8> {
    let name = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    match path[name..].iter().rposition(|byte| *byte == b'.') {
        Some(dot) => path[name + dot..].to_vec(),
        None => Vec::new(),
    }
}

/// Go's `path.Clean`.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                if parts.last().is_some_and(|last| *last != b"..") {
                    parts.pop();
                } else if !rooted {
                    parts.push(part);
                }
            }
            _ => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

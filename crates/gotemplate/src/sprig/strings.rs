//! Strings, most of them by bytes as in Go.

use super::convert::utf8;
use crate::args::{int, text};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{List, Map, Str, Type, Value, list, map};

const S: Type = Type::STRING;

pub(super) static FUNCS: &[Func] = &[
    Func::new("hello", &[], S, |_, _| Ok("Hello!".into())),
    Func::new("trim", &[S], S, |_, args| Ok(trim_space(text(&args[0])).into_value())),
    Func::new("upper", &[S], S, |_, args| {
        Ok(map_text(&args[0], |text| text.chars().map(crate::unicode::to_upper).collect()))
    }),
    Func::new("lower", &[S], S, |_, args| {
        Ok(map_text(&args[0], |text| text.chars().map(crate::unicode::to_lower).collect()))
    }),
    Func::new("title", &[S], S, |_, args| Ok(map_text(&args[0], super::cases::title))),
    Func::new("untitle", &[S], S, |_, args| Ok(map_text(&args[0], super::cases::untitle))),
    Func::new("swapcase", &[S], S, |_, args| Ok(map_text(&args[0], super::cases::swap))),
    Func::new("snakecase", &[S], S, |_, args| {
        Ok(map_text(&args[0], |text| super::words::separate(text, '_')))
    }),
    Func::new("kebabcase", &[S], S, |_, args| {
        Ok(map_text(&args[0], |text| super::words::separate(text, '-')))
    }),
    Func::new("camelcase", &[S], S, |_, args| Ok(map_text(&args[0], super::cases::pascal))),
    Func::new("initials", &[S], S, |_, args| Ok(super::cases::initials(text(&args[0])).into())),
    Func::new("nospace", &[S], S, |_, args| Ok(super::cases::without_space(text(&args[0])).into())),
    Func::new("substr", &[Type::INT, Type::INT, S], S, substr),
    Func::new("trunc", &[Type::INT, S], S, trunc),
    Func::new(
        "abbrev",
        &[Type::INT, S],
        S,
        |_, args| Ok(abbreviate(text(&args[1]), 0, int(&args[0])).into()),
    ),
    Func::new("abbrevboth", &[Type::INT, Type::INT, S], S, |_, args| {
        let (left, right) = (int(&args[0]), int(&args[1]));
        if left > 0 && right < 7 {
            return Ok(std::mem::take(&mut args[2]));
        }
        Ok(abbreviate(text(&args[2]), left, right).into())
    }),
    Func::new("repeat", &[Type::INT, S], S, repeat),
    Func::new("trimall", &[S, S], S, trim_all),
    Func::new("trimAll", &[S, S], S, trim_all),
    Func::new("trimSuffix", &[S, S], S, |_, args| {
        let (suffix, all) = (text(&args[0]), text(&args[1]));
        Ok(all.strip_suffix(&**suffix).unwrap_or(all).into_value())
    }),
    Func::new("trimPrefix", &[S, S], S, |_, args| {
        let (prefix, all) = (text(&args[0]), text(&args[1]));
        Ok(all.strip_prefix(&**prefix).unwrap_or(all).into_value())
    }),
    Func::new("wrap", &[Type::INT, S], S, |ctx, args| wrap(ctx, text(&args[1]), int(&args[0]), b"\n", false)),
    Func::new("wrapWith", &[Type::INT, S, S], S, |ctx, args| {
        let separator: &[u8] = if text(&args[1]).is_empty() { b"\n" } else { text(&args[1]) };
        wrap(ctx, text(&args[2]), int(&args[0]), separator, true)
    }),
    Func::new("contains", &[S, S], Type::BOOL, |_, args| {
        Ok(Value::Bool(memchr::memmem::find(text(&args[1]), text(&args[0])).is_some()))
    }),
    Func::new("hasPrefix", &[S, S], Type::BOOL, |_, args| {
        Ok(Value::Bool(text(&args[1]).starts_with(text(&args[0]))))
    }),
    Func::new("hasSuffix", &[S, S], Type::BOOL, |_, args| {
        Ok(Value::Bool(text(&args[1]).ends_with(text(&args[0]))))
    }),
    Func::new("indent", &[Type::INT, S], S, |ctx, args| indent(ctx, int(&args[0]), text(&args[1]), b"")),
    Func::new("nindent", &[Type::INT, S], S, |ctx, args| indent(ctx, int(&args[0]), text(&args[1]), b"\n")),
    Func::new("replace", &[S, S, S], S, |ctx, args| {
        replace(ctx, text(&args[2]), text(&args[0]), text(&args[1]))
    }),
    Func::new("split", &[S, S], Type::STRING_MAP, |ctx, args| numbered(ctx, &args[0], &args[1], -1)),
    Func::new("splitn", &[S, Type::INT, S], Type::STRING_MAP, |ctx, args| {
        let most = int(&args[1]);
        numbered(ctx, &args[0], &args[2], most)
    }),
    Func::new("splitList", &[S, S], Type::STRINGS, |ctx, args| {
        let parts = split(ctx, text(&args[1]), text(&args[0]), -1)?;
        Ok(Value::strings(parts))
    }),
];

/// A part of a string as a value.
trait IntoValue {
    fn into_value(self) -> Value;
}

impl IntoValue for &[u8] {
    fn into_value(self) -> Value {
        Value::String(self.into())
    }
}

fn map_text(value: &Value, map: impl FnOnce(&str) -> String) -> Value {
    map(&utf8(text(value))).into()
}

/// The bytes without white space at the ends.
pub(super) fn trim_space(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_matches(crate::unicode::is_space).as_bytes(),
        Err(_) => bytes.trim_ascii(),
    }
}

/// What Go says where a slice's bounds are wrong.
fn out_of_bounds(from: i64, to: i64, length: usize) -> Failure {
    let text = if to < 0 {
        format!("[:{to}]")
    } else if to as u64 > length as u64 {
        format!("[:{to}] with length {length}")
    } else if from < 0 {
        format!("[{from}:]")
    } else {
        format!("[{from}:{to}]")
    };
    Failure::new(format!("runtime error: slice bounds out of range {text}"))
}

fn part(text: &[u8], from: i64, to: i64) -> Result<Value, Failure> {
    let bounds = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    match bounds.and_then(|(from, to)| text.get(from..to)) {
        Some(part) => Ok(part.into_value()),
        None => Err(out_of_bounds(from, to, text.len())),
    }
}

fn substr(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let (start, end, text) = (int(&args[0]), int(&args[1]), text(&args[2]));
    let length = text.len() as i64;
    if start < 0 {
        part(text, 0, end)
    } else if end < 0 || end > length {
        part(text, start, length)
    } else {
        part(text, start, end)
    }
}

fn trunc(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let (count, bytes) = (int(&args[0]), text(&args[1]));
    let length = bytes.len() as i64;
    if count < 0 && length + count > 0 {
        return Ok(bytes[(length + count) as usize..].into_value());
    }
    if count >= 0 && length > count {
        return Ok(bytes[..count as usize].into_value());
    }
    Ok(std::mem::take(&mut args[1]))
}

/// Cuts a text to a width with dots where something is left out.
fn abbreviate(text: &Str, offset: i64, width: i64) -> Str {
    let length = text.len() as i64;
    if width < 4 || offset > 0 && width < 7 || text.is_empty() || length <= width {
        return text.clone();
    }
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    let cut = |from: i64, to: i64| &text[from.max(0) as usize..to.clamp(0, length) as usize];
    if offset <= 4 {
        return [cut(0, width - 3), b"..."].concat().into();
    }
    if offset + width - 3 < length {
        let inner: Str = cut(offset, length).into();
        let inner = abbreviate(&inner, 0, width - 3);
        return [b"...", &*inner].concat().into();
    }
    [b"...", cut(length - (width - 3), length)].concat().into()
}

fn repeat(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let (count, text) = (int(&args[0]), text(&args[1]));
    let Ok(count) = usize::try_from(count) else {
        return Err("strings: negative Repeat count".into());
    };
    ctx.charge(text.len().saturating_mul(count))?;
    Ok(Value::String(text.repeat(count).into()))
}

fn trim_all(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let (set, all) = (utf8(text(&args[0])), utf8(text(&args[1])));
    Ok(all.trim_matches(|c| set.contains(c)).into())
}

fn wrap(
    ctx: &mut Ctx<'_>,
    text: &Str,
    width: i64,
    separator: &[u8],
    cut_long: bool,
) -> Result<Value, Failure> {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    ctx.charge(text.len().saturating_add((text.len() / width + 1).saturating_mul(separator.len())))?;
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut rest: &[u8] = text;
    while rest.len() > width {
        if rest[0] == b' ' {
            rest = &rest[1..];
            continue;
        }
        if let Some(space) = rest[..=width].iter().rposition(|byte| *byte == b' ') {
            out.extend_from_slice(&rest[..space]);
            out.extend_from_slice(separator);
            rest = &rest[space + 1..];
        } else if cut_long {
            out.extend_from_slice(&rest[..width]);
            out.extend_from_slice(separator);
            rest = &rest[width..];
        } else if let Some(space) = rest[width..].iter().position(|byte| *byte == b' ') {
            out.extend_from_slice(&rest[..width + space]);
            out.extend_from_slice(separator);
            rest = &rest[width + space + 1..];
        } else {
            out.extend_from_slice(rest);
            rest = b"";
        }
    }
    out.extend_from_slice(rest);
    Ok(Value::String(out.into()))
}

fn indent(ctx: &mut Ctx<'_>, spaces: i64, text: &Str, before: &[u8]) -> Result<Value, Failure> {
    let Ok(spaces) = usize::try_from(spaces) else {
        return Err("strings: negative Repeat count".into());
    };
    let lines = memchr::memchr_iter(b'\n', text).count() + 1;
    let size = lines.saturating_mul(spaces).saturating_add(text.len() + before.len());
    ctx.charge(size)?;
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(before);
    let mut rest: &[u8] = text;
    loop {
        out.resize(out.len() + spaces, b' ');
        match memchr::memchr(b'\n', rest) {
            Some(end) => {
                out.extend_from_slice(&rest[..=end]);
                rest = &rest[end + 1..];
            }
            None => {
                out.extend_from_slice(rest);
                return Ok(Value::String(out.into()));
            }
        }
    }
}

fn replace(ctx: &mut Ctx<'_>, all: &Str, old: &Str, new: &Str) -> Result<Value, Failure> {
    if old == new {
        return Ok(Value::String(all.clone()));
    }
    if old.is_empty() {
        // Between all characters, and at both ends.
        let count = crate::fmt::rune_count(all) + 1;
        ctx.charge(all.len().saturating_add(count.saturating_mul(new.len())))?;
        let mut out = Vec::new();
        out.extend_from_slice(new);
        for chunk in all.utf8_chunks() {
            for c in chunk.valid().chars() {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                out.extend_from_slice(new);
            }
            for byte in chunk.invalid() {
                out.push(*byte);
                out.extend_from_slice(new);
            }
        }
        return Ok(Value::String(out.into()));
    }
    let count = memchr::memmem::find_iter(all, &**old).count();
    if count == 0 {
        return Ok(Value::String(all.clone()));
    }
    let size = (all.len() - count * old.len()).saturating_add(count.saturating_mul(new.len()));
    ctx.charge(size)?;
    let mut out = Vec::with_capacity(size);
    let mut from = 0;
    for at in memchr::memmem::find_iter(all, &**old) {
        out.extend_from_slice(&all[from..at]);
        out.extend_from_slice(new);
        from = at + old.len();
    }
    out.extend_from_slice(&all[from..]);
    Ok(Value::String(out.into()))
}

/// Go's `SplitN`: an empty separator parts characters; `most` of 0 gives nothing, below it all.
pub(super) fn split(ctx: &mut Ctx<'_>, all: &Str, separator: &Str, most: i64) -> Result<Vec<Str>, Failure> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut parts: Vec<Str> = Vec::new();
    let mut rest: &[u8] = all;
    if separator.is_empty() {
        ctx.charge_list(all.len())?;
        while parts.len() + 1 < most && !rest.is_empty() {
            let window = &rest[..rest.len().min(4)];
            let first = window.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
            let (part, after) = rest.split_at(first.map_or(1, char::len_utf8));
            parts.push(part.into());
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(rest.into());
        }
        return Ok(parts);
    }
    let finder = memchr::memmem::Finder::new(&**separator);
    while parts.len() + 1 < most {
        let Some(at) = finder.find(rest) else { break };
        parts.push(rest[..at].into());
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest.into());
    ctx.charge_list(parts.len())?;
    Ok(parts)
}

fn numbered(ctx: &mut Ctx<'_>, separator: &Value, all: &Value, most: i64) -> Result<Value, Failure> {
    let parts = split(ctx, text(all), text(separator), most)?;
    let entries = parts.into_iter().enumerate().map(|(at, part)| (format!("_{at}"), Value::String(part)));
    Ok(Value::Map(Map::of_entries(&map::STRINGS, entries)))
}

/// A `[]string` that is nil where there is nothing.
pub(super) fn strings_or_nil(parts: Vec<Str>) -> Value {
    if parts.is_empty() {
        return Value::List(List::of(&list::NIL_STRINGS, Vec::new()));
    }
    Value::strings(parts)
}

//! Values as text, and what their types are.

use std::borrow::Cow;

use crate::args::{int, text};
use crate::builtin::deep_equal;
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Str, Type, Value, list};

pub(super) static FUNCS: &[Func] = &[
    Func::new("toString", &[Type::ANY], Type::STRING, |ctx, args| Ok(Value::String(strval(ctx, &args[0])?))),
    Func::new("toStrings", &[Type::ANY], Type::STRINGS, |ctx, args| {
        Ok(Value::strings(strings(ctx, &args[0])?))
    }),
    Func::variadic("quote", &[Type::ANY], Type::STRING, quote),
    Func::variadic("squote", &[Type::ANY], Type::STRING, squote),
    Func::variadic("cat", &[Type::ANY], Type::STRING, cat),
    Func::new("join", &[Type::STRING, Type::ANY], Type::STRING, join),
    Func::new("sortAlpha", &[Type::ANY], Type::STRINGS, sort_alpha),
    Func::new("plural", &[Type::STRING, Type::STRING, Type::INT], Type::STRING, |_, args| {
        let at = usize::from(int(&args[2]) != 1);
        Ok(std::mem::take(&mut args[at]))
    }),
    Func::new("typeOf", &[Type::ANY], Type::STRING, |_, args| Ok(args[0].type_name().into())),
    Func::new("typeIs", &[Type::STRING, Type::ANY], Type::BOOL, |_, args| {
        Ok(Value::Bool(*text(&args[0]) == *args[1].type_name()))
    }),
    Func::new("typeIsLike", &[Type::STRING, Type::ANY], Type::BOOL, |_, args| {
        let (target, name) = (text(&args[0]), args[1].type_name().as_bytes());
        Ok(Value::Bool(**target == *name || name.strip_prefix(b"*").is_some_and(|name| **target == *name)))
    }),
    Func::new("kindOf", &[Type::ANY], Type::STRING, |_, args| Ok(args[0].kind_name().into())),
    Func::new("kindIs", &[Type::STRING, Type::ANY], Type::BOOL, |_, args| {
        Ok(Value::Bool(*text(&args[0]) == *args[1].kind_name()))
    }),
    Func::new("deepEqual", &[Type::ANY, Type::ANY], Type::BOOL, |_, args| {
        Ok(Value::Bool(deep_equal(&args[0], &args[1])))
    }),
];

/// A value as text: bytes as they are, the rest as `%v`.
pub(super) fn strval(ctx: &mut Ctx<'_>, value: &Value) -> Result<Str, Failure> {
    match value {
        Value::String(text) | Value::Bytes(text) => Ok(text.clone()),
        other => Ok(crate::fmt::display(other, ctx.limits().output)?.into()),
    }
}

/// A list's elements as texts, nil left out; anything else as the only one.
pub(super) fn strings(ctx: &mut Ctx<'_>, value: &Value) -> Result<Vec<Str>, Failure> {
    match value {
        Value::Missing | Value::Nil => Ok(Vec::new()),
        other => match super::lists::elements(other) {
            Some(values) => {
                values.iter().filter(|value| !value.is_nil()).map(|value| strval(ctx, value)).collect()
            }
            None => Ok(vec![strval(ctx, other)?]),
        },
    }
}

fn quote(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let mut out = String::new();
    for value in args.iter().filter(|value| !value.is_nil()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&crate::fmt::quoted(&strval(ctx, value)?));
    }
    Ok(out.into())
}

fn squote(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let mut out = Vec::new();
    for value in args.iter().filter(|value| !value.is_nil()) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.push(b'\'');
        match value {
            Value::String(text) => out.extend_from_slice(text),
            other => out.extend_from_slice(&crate::fmt::display(other, ctx.limits().output)?),
        }
        out.push(b'\'');
    }
    Ok(Value::String(out.into()))
}

fn cat(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let mut out = Vec::new();
    for (index, value) in args.iter().filter(|value| !value.is_nil()).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        match value {
            Value::String(text) => out.extend_from_slice(text),
            other => out.extend_from_slice(&crate::fmt::display(other, ctx.limits().output)?),
        }
    }
    Ok(Value::String(out.into()))
}

fn join(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let parts = strings(ctx, &args[1])?;
    let separator = text(&args[0]);
    let size = parts.iter().map(|part| part.len() + separator.len()).sum();
    ctx.charge(size)?;
    let mut out = Vec::with_capacity(size);
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(separator);
        }
        out.extend_from_slice(part);
    }
    Ok(Value::String(out.into()))
}

fn sort_alpha(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let mut parts = if args[0].is_nil() { vec!["<nil>".into()] } else { strings(ctx, &args[0])? };
    if let Value::List(list) = &args[0]
        && list.kind().is_nil
    {
        return Ok(Value::List(crate::value::List::of(&list::NIL_STRINGS, Vec::new())));
    }
    parts.sort();
    Ok(Value::strings(parts))
}

/// For messages and lookups: text or its lossy form.
pub(super) fn utf8(text: &Str) -> Cow<'_, str> {
    text.to_text()
}

//! Lists. None is changed in place: what would change one makes another.

use std::borrow::Cow;

use super::defaults::is_empty;
use crate::args::{NIL_DEREFERENCE, int, take};
use crate::builtin::deep_equal;
use crate::cast::to_int;
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Class, Int, IntKind, List, Type, Value, list};

const ANY: Type = Type::ANY;
const LIST: Type = Type::LIST;
const LISTS: Type = Type::new("[][]interface {}", Class::Nillable);

pub(super) static FUNCS: &[Func] = &[
    Func::variadic("list", &[ANY], LIST, make),
    Func::variadic("tuple", &[ANY], LIST, make),
    Func::new("append", &[ANY, ANY], LIST, push),
    Func::new("push", &[ANY, ANY], LIST, push),
    Func::new("mustAppend", &[ANY, ANY], LIST, push),
    Func::new("mustPush", &[ANY, ANY], LIST, push),
    Func::new("prepend", &[ANY, ANY], LIST, prepend),
    Func::new("mustPrepend", &[ANY, ANY], LIST, prepend),
    Func::new("first", &[ANY], ANY, first),
    Func::new("mustFirst", &[ANY], ANY, first),
    Func::new("last", &[ANY], ANY, last),
    Func::new("mustLast", &[ANY], ANY, last),
    Func::new("rest", &[ANY], LIST, rest),
    Func::new("mustRest", &[ANY], LIST, rest),
    Func::new("initial", &[ANY], LIST, initial),
    Func::new("mustInitial", &[ANY], LIST, initial),
    Func::new("reverse", &[ANY], LIST, reverse),
    Func::new("mustReverse", &[ANY], LIST, reverse),
    Func::new("uniq", &[ANY], LIST, uniq),
    Func::new("mustUniq", &[ANY], LIST, uniq),
    Func::variadic("without", &[ANY, ANY], LIST, without),
    Func::variadic("mustWithout", &[ANY, ANY], LIST, without),
    Func::new("has", &[ANY, ANY], Type::BOOL, has),
    Func::new("mustHas", &[ANY, ANY], Type::BOOL, has),
    Func::variadic("slice", &[ANY, ANY], ANY, slice),
    Func::variadic("mustSlice", &[ANY, ANY], ANY, slice),
    Func::variadic("concat", &[ANY], ANY, concat),
    Func::new("chunk", &[Type::INT, ANY], LISTS, chunk),
    Func::new("mustChunk", &[Type::INT, ANY], LISTS, chunk),
    Func::new("compact", &[ANY], LIST, compact),
    Func::new("mustCompact", &[ANY], LIST, compact),
];

/// The elements of a slice.
pub(super) fn elements(value: &Value) -> Option<Cow<'_, [Value]>> {
    match value {
        Value::List(list) => Some(Cow::Borrowed(list.values())),
        Value::Bytes(bytes) => {
            let byte = |byte: &u8| Value::Int(Int::new(IntKind::Uint8, i64::from(*byte)));
            Some(Cow::Owned(bytes.iter().map(byte).collect()))
        }
        Value::Object(object) if object.kind() == crate::value::ObjectKind::List => {
            let entries = object.entries()?;
            Some(Cow::Owned(entries.into_iter().map(|(_, value)| value).collect()))
        }
        _ => None,
    }
}

/// The elements, or the message that names what was to be done.
fn wanted<'v>(value: &'v Value, what: &str) -> Result<Cow<'v, [Value]>, Failure> {
    if value.is_nil() {
        return Err(NIL_DEREFERENCE.into());
    }
    elements(value).ok_or_else(|| Failure::new(format!("{what} {}", value.kind_name())))
}

/// A list as an `interface {}` element: missing is nil there.
fn element(value: Value) -> Value {
    if value.is_nil() { Value::Nil } else { value }
}

fn make(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::list(args.iter_mut().map(|value| element(std::mem::take(value))).collect()))
}

fn push(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let last = element(take(args, 1));
    let values = wanted(&args[0], "Cannot push on type")?;
    ctx.spend(values.len() as u64 / 16)?;
    let mut all = Vec::with_capacity(values.len() + 1);
    all.extend_from_slice(&values);
    all.push(last);
    Ok(Value::list(all))
}

fn prepend(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let first = element(take(args, 1));
    let values = wanted(&args[0], "Cannot prepend on type")?;
    ctx.spend(values.len() as u64 / 16)?;
    let mut all = Vec::with_capacity(values.len() + 1);
    all.push(first);
    all.extend_from_slice(&values);
    Ok(Value::list(all))
}

fn first(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let values = wanted(&args[0], "Cannot find first on type")?;
    Ok(values.first().cloned().unwrap_or(Value::Nil))
}

fn last(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let values = wanted(&args[0], "Cannot find last on type")?;
    Ok(values.last().cloned().unwrap_or(Value::Nil))
}

fn nil_list() -> Value {
    Value::List(List::nil())
}

fn rest(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let values = wanted(&args[0], "Cannot find rest on type")?;
    Ok(values.split_first().map_or_else(nil_list, |(_, rest)| Value::list(rest.to_vec())))
}

fn initial(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let values = wanted(&args[0], "Cannot find initial on type")?;
    Ok(values.split_last().map_or_else(nil_list, |(_, initial)| Value::list(initial.to_vec())))
}

fn reverse(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let values = wanted(&args[0], "Cannot find reverse on type")?;
    Ok(Value::list(values.iter().rev().cloned().collect()))
}

/// Whether the element is among those. Counts as many steps as are compared.
fn is_among(ctx: &mut Ctx<'_>, values: &[Value], value: &Value) -> Result<bool, Failure> {
    ctx.spend(values.len() as u64 / 4)?;
    Ok(values.iter().any(|other| deep_equal(value, other)))
}

fn uniq(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let values = wanted(&args[0], "Cannot find uniq on type")?;
    let mut kept: Vec<Value> = Vec::new();
    for value in values.iter() {
        if !is_among(ctx, &kept, value)? {
            kept.push(value.clone());
        }
    }
    Ok(Value::list(kept))
}

fn without(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let values = wanted(&args[0], "Cannot find without on type")?;
    let mut kept = Vec::new();
    for value in values.iter() {
        if !is_among(ctx, &args[1..], value)? {
            kept.push(value.clone());
        }
    }
    Ok(Value::list(kept))
}

fn has(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    if args[1].is_nil() {
        return Ok(Value::Bool(false));
    }
    let values = wanted(&args[1], "Cannot find has on type")?;
    Ok(Value::Bool(is_among(ctx, &values, &args[0])?))
}

fn slice(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let values = wanted(&args[0], "list should be type of slice or array but")?;
    if values.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.get(1).map_or(0, to_int);
    let end = args.get(2).map_or(values.len() as i64, to_int);
    let bounds = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let part = bounds.and_then(|(start, end)| values.get(start..end));
    let Some(part) = part else {
        return Err("reflect.Value.Slice: slice index out of bounds".into());
    };
    Ok(match &args[0] {
        Value::List(list) => Value::List(List::of(list.kind(), part.to_vec())),
        Value::Bytes(bytes) => Value::Bytes(bytes[start as usize..end as usize].into()),
        _ => Value::list(part.to_vec()),
    })
}

fn concat(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let mut all = Vec::new();
    for value in args.iter() {
        if value.is_nil() {
            return Err(NIL_DEREFERENCE.into());
        }
        let Some(values) = elements(value) else {
            return Err(Failure::new(format!("Cannot concat type {} as list", value.kind_name())));
        };
        ctx.charge_list(all.len() + values.len())?;
        all.extend_from_slice(&values);
    }
    if all.is_empty() { Ok(nil_list()) } else { Ok(Value::list(all)) }
}

fn chunk(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let size = int(&args[0]);
    let values = wanted(&args[1], "Cannot chunk type")?;
    let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
        return Err("runtime error: makeslice: len out of range".into());
    };
    ctx.charge_list(values.len())?;
    let chunks = values.chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect();
    Ok(Value::List(List::of(&list::LISTS, chunks)))
}

fn compact(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let values = wanted(&args[0], "Cannot compact on type")?;
    Ok(Value::list(values.iter().filter(|value| !is_empty(value)).cloned().collect()))
}

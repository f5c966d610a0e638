//! Maps. `set`, `unset` and the merges change the map that they are given.

use super::convert::strval;
use super::merge::merge;
use crate::args::{take, text};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Map, Type, Value, map};

const ANY: Type = Type::ANY;
const MAP: Type = Type::MAP;
const S: Type = Type::STRING;

pub(super) static FUNCS: &[Func] = &[
    Func::variadic("dict", &[ANY], MAP, dict),
    Func::new("get", &[MAP, S], ANY, |_, args| {
        let found = args[0].as_map().and_then(|map| map.get(text(&args[1])));
        Ok(found.unwrap_or_else(|| "".into()))
    }),
    Func::new("set", &[MAP, S, ANY], MAP, set),
    Func::new("unset", &[MAP, S], MAP, |_, args| {
        if let Some(map) = args[0].as_map() {
            map.remove(text(&args[1]));
        }
        Ok(plain(take(args, 0)))
    }),
    Func::new("hasKey", &[MAP, S], Type::BOOL, |_, args| {
        Ok(Value::Bool(args[0].as_map().is_some_and(|map| map.contains_key(text(&args[1])))))
    }),
    Func::variadic("pluck", &[S, MAP], Type::LIST, |_, args| {
        let key = text(&args[0]);
        let found = args[1..].iter().filter_map(|map| map.as_map()?.get(key));
        Ok(Value::list(found.collect()))
    }),
    Func::variadic("keys", &[MAP], Type::STRINGS, |_, args| {
        Ok(Value::strings(args.iter().filter_map(Value::as_map).flat_map(Map::keys)))
    }),
    Func::new("values", &[MAP], Type::LIST, |_, args| {
        let entries = args[0].as_map().map(Map::entries).unwrap_or_default();
        Ok(Value::list(entries.into_iter().map(|(_, value)| value).collect()))
    }),
    Func::variadic("pick", &[MAP, S], MAP, |_, args| {
        let Some(map) = args[0].as_map() else {
            return Ok(Value::Map(Map::new()));
        };
        let kept = args[1..].iter().filter_map(|key| Some((text(key).clone(), map.get(text(key))?)));
        Ok(Value::map(kept))
    }),
    Func::variadic("omit", &[MAP, S], MAP, |_, args| {
        let entries = args[0].as_map().map(Map::entries).unwrap_or_default();
        let keys = &args[1..];
        let kept = entries.into_iter().filter(|(key, _)| !keys.iter().any(|omitted| text(omitted) == key));
        Ok(Value::map(kept))
    }),
    Func::variadic("merge", &[MAP, MAP], ANY, |ctx, args| merged(ctx, args, false)),
    Func::variadic("mustMerge", &[MAP, MAP], ANY, |ctx, args| merged(ctx, args, false)),
    Func::variadic("mergeOverwrite", &[MAP, MAP], ANY, |ctx, args| merged(ctx, args, true)),
    Func::variadic("mustMergeOverwrite", &[MAP, MAP], ANY, |ctx, args| merged(ctx, args, true)),
    Func::variadic("dig", &[ANY], ANY, dig),
];

/// A map as the function returns it: of the plain type, whatever it was passed as.
fn plain(map: Value) -> Value {
    match map {
        Value::Map(map) if !map.is_nil() => Value::Map(map.viewed_as(&map::ANY)),
        _ => Value::Map(Map::new()),
    }
}

fn dict(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let map = Map::new();
    let mut at = 0;
    while at < args.len() {
        let key = strval(ctx, &args[at])?;
        let value = args.get_mut(at + 1).map_or_else(
            || "".into(),
            |value| match std::mem::take(value) {
                Value::Missing => Value::Nil,
                other => other,
            },
        );
        map.insert(key, value);
        at += 2;
    }
    Ok(Value::Map(map))
}

fn set(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let value = match take(args, 2) {
        Value::Missing => Value::Nil,
        other => other,
    };
    let Some(map) = args[0].as_map().filter(|map| !map.is_nil()) else {
        return Err("assignment to entry in nil map".into());
    };
    ctx.note_insert(map, &value);
    map.insert(text(&args[1]).clone(), value);
    Ok(plain(take(args, 0)))
}

fn merged(ctx: &mut Ctx<'_>, args: &mut [Value], overwrite: bool) -> Result<Value, Failure> {
    let Some((target, sources)) = args.split_first_mut() else {
        return Ok(Value::Nil);
    };
    let target = plain(std::mem::take(target));
    if let Value::Map(map) = &target {
        for source in sources.iter().filter_map(Value::as_map) {
            merge(ctx, map, source, overwrite, 0)?;
        }
    }
    Ok(target)
}

fn dig(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let [keys @ .., default, last] = args else {
        return Err("dig needs at least three arguments".into());
    };
    if keys.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let mut value = plain_map(last)?;
    for key in keys.iter() {
        if !matches!(key, Value::String(_)) {
            return Err(conversion(key, "string"));
        }
    }
    for (index, key) in keys.iter().enumerate() {
        let Some(next) = value.get(text(key)) else {
            return Ok(std::mem::take(default));
        };
        if index + 1 == keys.len() {
            return Ok(next);
        }
        value = plain_map(&next)?;
    }
    Ok(Value::Nil)
}

fn plain_map(value: &Value) -> Result<Map, Failure> {
    match value {
        Value::Map(map) if map.kind().name == MAP.name => Ok(map.clone()),
        other => Err(conversion(other, MAP.name)),
    }
}

fn conversion(value: &Value, wanted: &str) -> Failure {
    let found = if value.is_nil() { "nil" } else { value.type_name() };
    Failure::new(format!("interface conversion: interface {{}} is {found}, not {wanted}"))
}

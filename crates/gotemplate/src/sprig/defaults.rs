//! Empty values and what to take in their place.

use crate::args::{boolean, take, text};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::json::{Style, Wanted};
use crate::value::{List, Map, Type, Value};

const ANY: Type = Type::ANY;

pub(super) static FUNCS: &[Func] = &[
    Func::variadic("default", &[ANY, ANY], ANY, |_, args| {
        let at = usize::from(args.len() > 1 && !is_empty(&args[1]));
        Ok(take(args, at))
    }),
    Func::new("empty", &[ANY], Type::BOOL, |_, args| Ok(Value::Bool(is_empty(&args[0])))),
    Func::variadic("coalesce", &[ANY], ANY, |_, args| {
        let found = args.iter().position(|value| !is_empty(value));
        Ok(found.map_or(Value::Nil, |at| take(args, at)))
    }),
    Func::variadic("all", &[ANY], Type::BOOL, |_, args| {
        Ok(Value::Bool(args.iter().all(|value| !is_empty(value))))
    }),
    Func::variadic("any", &[ANY], Type::BOOL, |_, args| {
        Ok(Value::Bool(args.iter().any(|value| !is_empty(value))))
    }),
    Func::new("ternary", &[ANY, ANY, Type::BOOL], ANY, |_, args| {
        let at = usize::from(!boolean(&args[2]));
        Ok(take(args, at))
    }),
    Func::new("toPrettyJson", &[ANY], Type::STRING, |ctx, args| {
        Ok(pretty(ctx, args).unwrap_or_else(|_| "".into()))
    }),
    Func::new("mustToPrettyJson", &[ANY], Type::STRING, pretty),
    Func::new("toRawJson", &[ANY], Type::STRING, raw),
    Func::new("mustToRawJson", &[ANY], Type::STRING, raw),
    Func::new("mustFromJson", &[Type::STRING], ANY, |_, args| {
        crate::json::read(text(&args[0]), Wanted::Any).map_err(Failure::from)
    }),
    Func::new("deepCopy", &[ANY], ANY, deep_copy),
    Func::new("mustDeepCopy", &[ANY], ANY, deep_copy),
];

/// Sprig's emptiness: like truth, except that times and the like are never empty.
pub(super) fn is_empty(value: &Value) -> bool {
    !value.truth()
}

fn pretty(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let style = Style { pretty: true, escape_html: true };
    Ok(crate::json::write(&args[0], style, ctx.limits().output)?.into())
}

fn raw(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let style = Style { pretty: false, escape_html: false };
    Ok(crate::json::write(&args[0], style, ctx.limits().output)?.into())
}

fn deep_copy(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    if args[0].is_nil() {
        return Err("reflect: call of reflect.Value.Type on zero Value".into());
    }
    copy(ctx, &args[0], 0)
}

/// Lists and maps anew, down to the leaves.
pub(super) fn copy(ctx: &mut Ctx<'_>, value: &Value, depth: u32) -> Result<Value, Failure> {
    const DEEPEST: u32 = 200;
    if depth > DEEPEST {
        return Err("value is nested too deeply to be copied".into());
    }
    Ok(match value {
        Value::List(list) => {
            ctx.charge_list(list.len())?;
            ctx.spend(list.len() as u64)?;
            let values = list.values().iter().map(|value| copy(ctx, value, depth + 1));
            Value::List(List::of(list.kind(), values.collect::<Result<_, _>>()?))
        }
        Value::Map(map) => {
            ctx.charge_list(map.len())?;
            ctx.spend(map.len() as u64)?;
            let entries = map.entries().into_iter();
            let entries = entries.map(|(key, value)| Ok((key, copy(ctx, &value, depth + 1)?)));
            Value::Map(Map::of_entries(map.kind(), entries.collect::<Result<Vec<_>, Failure>>()?))
        }
        Value::Object(object) => object.copied().unwrap_or_else(|| value.clone()),
        other => other.clone(),
    })
}

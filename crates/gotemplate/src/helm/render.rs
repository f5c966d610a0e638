//! Functions that render, refuse or look up.

use super::errors::WARNING;
use crate::args::{take, text};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Map, Str, Type, Value};

const S: Type = Type::STRING;

pub(super) static FUNCS: &[Func] = &[
    Func::new("include", &[S, Type::ANY], S, include),
    Func::new("tpl", &[S, Type::ANY], S, tpl),
    Func::new("required", &[S, Type::ANY], Type::ANY, required),
    Func::new("fail", &[S], S, |ctx, args| {
        if ctx.host().is_lint() {
            return Ok("".into());
        }
        Err(warning(&text(&args[0]).to_text()))
    }),
    Func::new("lookup", &[S, S, S, S], Type::MAP, lookup),
];

/// How often a template may be included within itself.
const RECURSION: u32 = 1000;

/// How deep texts may be executed within texts.
const TEXT_RECURSION: u32 = 200;

fn warning(message: &str) -> Failure {
    let [start, end] = WARNING;
    Failure::new(format!("{start}{message}{end}"))
}

fn include(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let data = take(args, 1);
    let name = text(&args[0]);
    let count = ctx.including.entry(name.clone()).or_insert(0);
    if *count > RECURSION {
        return Err(Failure::new(format!(
            "rendering template has a nested reference name: {name}: unable to execute template"
        )));
    }
    *count += 1;
    let result = ctx.execute_named(name, data);
    if let Some(count) = ctx.including.get_mut(name) {
        *count -= 1;
    }
    let printed = result.map_err(|error| Failure::from(*error))?;
    let value = Value::String(printed.as_slice().into());
    ctx.give_back(printed);
    Ok(value)
}

fn tpl(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let data = take(args, 1);
    // Each level's message quotes those below: without a bound they outgrow memory.
    let key = Str::from("\0tpl");
    let count = ctx.including.entry(key.clone()).or_insert(0);
    if *count > TEXT_RECURSION {
        return Err(Failure::new("tpl within tpl nests too deeply: unable to execute template"));
    }
    *count += 1;
    let result = ctx.execute_text(text(&args[0]), data);
    if let Some(count) = ctx.including.get_mut(&key) {
        *count -= 1;
    }
    let printed = result?;
    let value = Value::String(without_no_value(&printed).as_slice().into());
    ctx.give_back(printed);
    Ok(value)
}

/// What missing values print as is removed from all that is rendered.
pub fn without_no_value(text: &[u8]) -> Vec<u8> {
    const NO_VALUE: &[u8] = b"<no value>";
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in memchr::memmem::find_iter(text, NO_VALUE) {
        out.extend_from_slice(&text[from..at]);
        from = at + NO_VALUE.len();
    }
    out.extend_from_slice(&text[from..]);
    out
}

fn required(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let value = take(args, 1);
    let is_absent = match &value {
        Value::Missing | Value::Nil => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    if !is_absent {
        return Ok(value);
    }
    if ctx.host().is_lint() {
        return Ok("".into());
    }
    Err(warning(&text(&args[0]).to_text()))
}

fn lookup(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let [api_version, kind, namespace, name] = [0, 1, 2, 3].map(|at| text(&args[at]).to_text().into_owned());
    match ctx.host().lookup(&api_version, &kind, &namespace, &name)? {
        map @ Value::Map(_) => Ok(map),
        _ => Ok(Value::Map(Map::new())),
    }
}

//! The functions of text/template itself.

mod compare;
mod escape;
mod index;

use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) use compare::deep_equal;

use foldhash::fast::RandomState;

use crate::args::text;
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Type, Value};

static FUNCS: &[Func] = &[
    Func::variadic("html", &[Type::ANY], Type::STRING, escape::html),
    Func::variadic("js", &[Type::ANY], Type::STRING, escape::js),
    Func::variadic("urlquery", &[Type::ANY], Type::STRING, escape::url_query),
    Func::variadic("index", &[Type::REFLECT, Type::REFLECT], Type::REFLECT, index::index),
    Func::variadic("slice", &[Type::REFLECT, Type::REFLECT], Type::REFLECT, index::slice),
    Func::new("len", &[Type::REFLECT], Type::INT, index::len),
    Func::variadic("call", &[Type::REFLECT, Type::REFLECT], Type::REFLECT, call),
    Func::new("not", &[Type::REFLECT], Type::BOOL, not),
    Func::variadic("print", &[Type::ANY], Type::STRING, print),
    Func::variadic("printf", &[Type::STRING, Type::ANY], Type::STRING, printf),
    Func::variadic("println", &[Type::ANY], Type::STRING, println),
    Func::variadic("eq", &[Type::REFLECT, Type::REFLECT], Type::BOOL, compare::eq),
    Func::new("ne", &[Type::REFLECT, Type::REFLECT], Type::BOOL, compare::ne),
    Func::new("lt", &[Type::REFLECT, Type::REFLECT], Type::BOOL, compare::lt),
    Func::new("le", &[Type::REFLECT, Type::REFLECT], Type::BOOL, compare::le),
    Func::new("gt", &[Type::REFLECT, Type::REFLECT], Type::BOOL, compare::gt),
    Func::new("ge", &[Type::REFLECT, Type::REFLECT], Type::BOOL, compare::ge),
];

/// The builtin function of that name. (`and` and `or` are part of the language.)
pub(crate) fn find(name: &str) -> Option<&'static Func> {
    static BY_NAME: LazyLock<HashMap<&str, &Func, RandomState>> =
        LazyLock::new(|| FUNCS.iter().map(|func| (func.name, func)).collect());
    BY_NAME.get(name).copied()
}

/// No value here is a function, so a call can only fail. Its message needs the argument's text:
/// execution adds it.
fn call(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Missing | Value::Nil => Err("call of nil".into()),
        other => Err(format!("non-function {CALLEE} of type {}", other.type_name()).into()),
    }
}

/// Stands for the text of what `call` was asked to call.
pub(crate) const CALLEE: &str = "\u{0}callee\u{0}";

fn not(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Bool(!args[0].truth()))
}

fn print(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::String(crate::fmt::print(args, ctx.limits().output)?.into()))
}

fn println(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::String(crate::fmt::println(args, ctx.limits().output)?.into()))
}

fn printf(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let printed = crate::fmt::printf(text(&args[0]), &args[1..], ctx.limits().output)?;
    Ok(Value::String(printed.into()))
}

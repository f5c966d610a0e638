//! Regular expressions.

use std::rc::Rc;

use sluice_regexp::Regexp;

use super::strings::strings_or_nil;
use crate::args::{int, text};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Type, Value};

const S: Type = Type::STRING;

pub(super) static FUNCS: &[Func] = &[
    Func::new("regexMatch", &[S, S], Type::BOOL, |ctx, args| {
        Ok(Value::Bool(ctx.regexp(text(&args[0])).is_ok_and(|regexp| regexp.is_match(text(&args[1])))))
    }),
    Func::new("mustRegexMatch", &[S, S], Type::BOOL, |ctx, args| {
        Ok(Value::Bool(ctx.regexp(text(&args[0]))?.is_match(text(&args[1]))))
    }),
    Func::new("regexFindAll", &[S, S, Type::INT], Type::STRINGS, |ctx, args| find_all(ctx, args, compiled)),
    Func::new("mustRegexFindAll", &[S, S, Type::INT], Type::STRINGS, |ctx, args| find_all(ctx, args, plain)),
    Func::new("regexFind", &[S, S], S, |ctx, args| find(ctx, args, compiled)),
    Func::new("mustRegexFind", &[S, S], S, |ctx, args| find(ctx, args, plain)),
    Func::new("regexReplaceAll", &[S, S, S], S, |ctx, args| replace(ctx, args, compiled)),
    Func::new("mustRegexReplaceAll", &[S, S, S], S, |ctx, args| replace(ctx, args, plain)),
    Func::new("regexReplaceAllLiteral", &[S, S, S], S, |ctx, args| replace_literal(ctx, args, compiled)),
    Func::new("mustRegexReplaceAllLiteral", &[S, S, S], S, |ctx, args| replace_literal(ctx, args, plain)),
    Func::new("regexSplit", &[S, S, Type::INT], Type::STRINGS, |ctx, args| split(ctx, args, compiled)),
    Func::new("mustRegexSplit", &[S, S, Type::INT], Type::STRINGS, |ctx, args| split(ctx, args, plain)),
    Func::new("regexQuoteMeta", &[S], S, |_, args| {
        let mut out = Vec::new();
        for chunk in text(&args[0]).utf8_chunks() {
            out.extend_from_slice(sluice_regexp::quote_meta(chunk.valid()).as_bytes());
            out.extend_from_slice(chunk.invalid());
        }
        Ok(Value::String(out.into()))
    }),
];

type Compile = fn(&mut Ctx<'_>, &Value) -> Result<Rc<Regexp>, Failure>;

/// As Go's `MustCompile` complains.
fn compiled(ctx: &mut Ctx<'_>, pattern: &Value) -> Result<Rc<Regexp>, Failure> {
    let pattern = text(pattern);
    ctx.regexp(pattern).map_err(|message| {
        let shown = pattern.to_text();
        let quoted =
            if shown.contains(['`', '\u{feff}']) || shown.chars().any(|c| c.is_control() && c != '\t') {
                crate::fmt::quoted(pattern)
            } else {
                format!("`{shown}`")
            };
        Failure::new(format!("regexp: Compile({quoted}): {message}"))
    })
}

fn plain(ctx: &mut Ctx<'_>, pattern: &Value) -> Result<Rc<Regexp>, Failure> {
    Ok(ctx.regexp(text(pattern))?)
}

fn find_all(ctx: &mut Ctx<'_>, args: &mut [Value], compile: Compile) -> Result<Value, Failure> {
    let regexp = compile(ctx, &args[0])?;
    let haystack = text(&args[1]);
    ctx.charge_list(haystack.len() / 8)?;
    let found = regexp.find_all(haystack, int(&args[2]));
    Ok(strings_or_nil(found.into_iter().map(|(start, end)| haystack[start..end].into()).collect()))
}

fn find(ctx: &mut Ctx<'_>, args: &mut [Value], compile: Compile) -> Result<Value, Failure> {
    let regexp = compile(ctx, &args[0])?;
    let haystack = text(&args[1]);
    let found = regexp.find(haystack).map_or(&b""[..], |(start, end)| &haystack[start..end]);
    Ok(Value::String(found.into()))
}

/// What a replacement may grow to, at most.
fn charge_replacement(ctx: &mut Ctx<'_>, haystack: usize, template: usize) -> Result<(), Failure> {
    let references = template / 2;
    let grown = (haystack + 1).saturating_mul(template).saturating_add(references.saturating_mul(haystack));
    let limit = ctx.limits().output;
    // Most replacements are far from this bound, so only the absurd ones are refused.
    if grown > limit.saturating_mul(64) {
        return Err(Failure::new(format!("text may exceed the limit of {limit} bytes")));
    }
    Ok(())
}

fn replace(ctx: &mut Ctx<'_>, args: &mut [Value], compile: Compile) -> Result<Value, Failure> {
    let regexp = compile(ctx, &args[0])?;
    charge_replacement(ctx, text(&args[1]).len(), text(&args[2]).len())?;
    Ok(Value::String(regexp.replace_all(text(&args[1]), text(&args[2])).into()))
}

fn replace_literal(ctx: &mut Ctx<'_>, args: &mut [Value], compile: Compile) -> Result<Value, Failure> {
    let regexp = compile(ctx, &args[0])?;
    charge_replacement(ctx, text(&args[1]).len(), text(&args[2]).len())?;
    Ok(Value::String(regexp.replace_all_literal(text(&args[1]), text(&args[2])).into()))
}

fn split(ctx: &mut Ctx<'_>, args: &mut [Value], compile: Compile) -> Result<Value, Failure> {
    let regexp = compile(ctx, &args[0])?;
    if int(&args[2]) == 0 {
        return Ok(strings_or_nil(Vec::new()));
    }
    let parts = regexp.split(text(&args[1]), int(&args[2]));
    Ok(Value::strings(parts))
}

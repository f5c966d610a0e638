//! Numbers.

use super::decimal::Decimal;
use crate::args::{float, int, text};
use crate::cast::{to_float, to_int};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::num;
use crate::value::{List, Type, Value, list};

const ANY: Type = Type::ANY;

pub(super) static FUNCS: &[Func] = &[
    Func::new("int", &[ANY], Type::INT, |_, args| Ok(Value::int(to_int(&args[0])))),
    Func::new("int64", &[ANY], Type::INT64, |_, args| Ok(Value::int64(to_int(&args[0])))),
    Func::new("float64", &[ANY], Type::FLOAT, |_, args| Ok(Value::Float(to_float(&args[0])))),
    Func::new("atoi", &[Type::STRING], Type::INT, |_, args| {
        Ok(Value::int(match num::parse_decimal(&text(&args[0]).to_text()) {
            Ok(value) | Err(num::NumError::Range(value)) => value,
            Err(num::NumError::Syntax) => 0,
        }))
    }),
    Func::new("toDecimal", &[ANY], Type::INT64, |ctx, args| {
        let shown = crate::fmt::display(&args[0], ctx.limits().output)?;
        let shown = crate::value::decode(&shown);
        Ok(Value::int64(num::parse_int(&shown, 8, 64).unwrap_or(0)))
    }),
    Func::new("add1", &[ANY], Type::INT64, |_, args| Ok(Value::int64(to_int(&args[0]).wrapping_add(1)))),
    Func::variadic("add", &[ANY], Type::INT64, |_, args| {
        Ok(Value::int64(args.iter().fold(0, |sum, value| sum.wrapping_add(to_int(value)))))
    }),
    Func::new("sub", &[ANY, ANY], Type::INT64, |_, args| {
        Ok(Value::int64(to_int(&args[0]).wrapping_sub(to_int(&args[1]))))
    }),
    Func::new("div", &[ANY, ANY], Type::INT64, |_, args| divide(args, i64::wrapping_div)),
    Func::new("mod", &[ANY, ANY], Type::INT64, |_, args| divide(args, i64::wrapping_rem)),
    Func::variadic("mul", &[ANY, ANY], Type::INT64, |_, args| {
        Ok(Value::int64(args.iter().fold(1, |product: i64, value| product.wrapping_mul(to_int(value)))))
    }),
    Func::new("add1f", &[ANY], Type::FLOAT, |_, args| {
        decimal_chain(&[args[0].clone(), Value::int(1)], |left, right| Ok(left.add(right)))
    }),
    Func::variadic("addf", &[ANY], Type::FLOAT, |_, args| {
        let zero = [Value::Float(0.0)];
        let all: Vec<Value> = zero.into_iter().chain(args.iter().cloned()).collect();
        decimal_chain(&all, |left, right| Ok(left.add(right)))
    }),
    Func::variadic("subf", &[ANY, ANY], Type::FLOAT, |_, args| {
        decimal_chain(args, |left, right| Ok(left.subtract(right)))
    }),
    Func::variadic("mulf", &[ANY, ANY], Type::FLOAT, |_, args| {
        decimal_chain(args, |left, right| Ok(left.multiply(right)))
    }),
    Func::variadic("divf", &[ANY, ANY], Type::FLOAT, |_, args| {
        decimal_chain(args, |left, right| left.divide(right).ok_or("decimal division by 0"))
    }),
    Func::variadic("max", &[ANY, ANY], Type::INT64, largest),
    Func::variadic("biggest", &[ANY, ANY], Type::INT64, largest),
    Func::variadic("min", &[ANY, ANY], Type::INT64, |_, args| {
        Ok(Value::int64(args.iter().map(to_int).min().unwrap_or(0)))
    }),
    Func::variadic("maxf", &[ANY, ANY], Type::FLOAT, |_, args| {
        Ok(Value::Float(args.iter().map(to_float).reduce(go_max).unwrap_or(0.0)))
    }),
    Func::variadic("minf", &[ANY, ANY], Type::FLOAT, |_, args| {
        Ok(Value::Float(args.iter().map(to_float).reduce(go_min).unwrap_or(0.0)))
    }),
    Func::new("ceil", &[ANY], Type::FLOAT, |_, args| Ok(Value::Float(to_float(&args[0]).ceil()))),
    Func::new("floor", &[ANY], Type::FLOAT, |_, args| Ok(Value::Float(to_float(&args[0]).floor()))),
    Func::variadic("round", &[ANY, Type::INT, Type::FLOAT], Type::FLOAT, round),
    Func::new("until", &[Type::INT], INTS, |ctx, args| {
        let count = int(&args[0]);
        Ok(integers(steps(ctx, 0, count, if count < 0 { -1 } else { 1 })?))
    }),
    Func::new("untilStep", &[Type::INT, Type::INT, Type::INT], INTS, |ctx, args| {
        Ok(integers(steps(ctx, int(&args[0]), int(&args[1]), int(&args[2]))?))
    }),
    Func::variadic("seq", &[Type::INT], Type::STRING, seq),
];

const INTS: Type = Type::new("[]int", crate::value::Class::Nillable);

fn divide(args: &[Value], operation: fn(i64, i64) -> i64) -> Result<Value, Failure> {
    match to_int(&args[1]) {
        0 => Err("runtime error: integer divide by zero".into()),
        divisor => Ok(Value::int64(operation(to_int(&args[0]), divisor))),
    }
}

fn decimal_chain(
    values: &[Value],
    operation: fn(&Decimal, &Decimal) -> Result<Decimal, &'static str>,
) -> Result<Value, Failure> {
    let read = |value: &Value| {
        let value = to_float(value);
        Decimal::from_float(value).ok_or_else(|| {
            let shown = crate::fmt::format_float(value, 'g', None);
            Failure::new(format!("Cannot create a Decimal from {shown}"))
        })
    };
    let Some((first, others)) = values.split_first() else {
        return Ok(Value::Float(0.0));
    };
    let mut result = read(first)?;
    for other in others {
        result = operation(&result, &read(other)?)?;
    }
    Ok(Value::Float(result.to_float()))
}

fn largest(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::int64(args.iter().map(to_int).max().unwrap_or(0)))
}

fn go_max(left: f64, right: f64) -> f64 {
    if left.is_nan() || right.is_nan() { f64::NAN } else { left.max(right) }
}

fn go_min(left: f64, right: f64) -> f64 {
    if left.is_nan() || right.is_nan() { f64::NAN } else { left.min(right) }
}

fn round(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let round_on = args.get(2).map_or(0.5, float);
    let power = 10.0_f64.powi(int(&args[1]).clamp(-400, 400) as i32);
    let digit = power * to_float(&args[0]);
    let rounded = if digit.fract() >= round_on { digit.ceil() } else { digit.floor() };
    Ok(Value::Float(rounded / power))
}

/// From start up or down to stop, which is left out.
fn steps(ctx: &mut Ctx<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Failure> {
    let distance = i128::from(stop) - i128::from(start);
    if step == 0 || distance == 0 || (distance < 0) != (step < 0) {
        return Ok(Vec::new());
    }
    let count = (distance.abs() + i128::from(step).abs() - 1) / i128::from(step).abs();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    ctx.charge_list(count)?;
    Ok((0..count as i64).map(|index| start + index * step).collect())
}

fn integers(values: Vec<i64>) -> Value {
    Value::List(List::of(&list::INTS, values.into_iter().map(Value::int).collect()))
}

/// The numbers of the shell's `seq`: end, or start and end, or start, step and end.
fn seq(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let numbers: Vec<i64> = args.iter().map(int).collect();
    let (start, step, end) = match numbers[..] {
        [end] => (1, None, end),
        [start, end] => (start, None, end),
        [start, step, end] => (start, Some(step), end),
        _ => return Ok("".into()),
    };
    let direction = if end < start { -1 } else { 1 };
    if direction < 0 && step.is_some_and(|step| step > 0) {
        return Ok("".into());
    }
    let values = steps(ctx, start, end.wrapping_add(direction), step.unwrap_or(direction))?;
    let words: Vec<String> = values.iter().map(i64::to_string).collect();
    Ok(words.join(" ").into())
}

/// For dates: seconds from a value of an int kind.
pub(super) fn seconds(value: &Value) -> Option<i64> {
    use crate::value::IntKind;
    match value {
        Value::Int(int) if matches!(int.kind(), IntKind::Int | IntKind::Int32 | IntKind::Int64) => {
            Some(int.signed())
        }
        _ => None,
    }
}

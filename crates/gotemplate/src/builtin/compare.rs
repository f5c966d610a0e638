//! Comparisons.

use std::cmp::Ordering;

use crate::error::Failure;
use crate::exec::Ctx;
use crate::value::{Int, Value};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Complex,
    Int,
    Uint,
    Float,
    String,
}

const fn kind(value: &Value) -> Option<Kind> {
    Some(match value {
        Value::Bool(_) => Kind::Bool,
        Value::Int(int) if int.kind().is_unsigned() => Kind::Uint,
        Value::Int(_) => Kind::Int,
        Value::Float(_) => Kind::Float,
        Value::Complex(..) => Kind::Complex,
        Value::String(_) => Kind::String,
        _ => return None,
    })
}

fn incompatible(left: &Value, right: &Value) -> Failure {
    let (left, right) = (left.type_name(), right.type_name());
    Failure::new(format!("incompatible types for comparison: {left} and {right}"))
}

/// Whether the value is nil: of an interface, a map or a slice.
fn is_nil(value: &Value) -> bool {
    match value {
        Value::List(list) => list.kind().is_nil,
        Value::Map(map) => map.is_nil(),
        other => other.is_nil(),
    }
}

pub(super) fn eq(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let Some((first, others)) = args.split_first() else {
        return Ok(Value::Bool(false));
    };
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Go template's `==`: numbers of other kinds are incompatible, lists and maps not comparable.
fn equal(left: &Value, right: &Value) -> Result<bool, Failure> {
    Ok(match (left, right) {
        (Value::String(left), Value::String(right)) => left == right,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) => left.wide() == right.wide(),
        (Value::Float(left), Value::Float(right)) => left == right,
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        _ if kind(left) != kind(right) => {
            if !left.is_nil() && !right.is_nil() {
                return Err(incompatible(left, right));
            }
            false
        }
        _ => {
            let comparable_kinds = left.kind_name() == right.kind_name() || left.is_nil() || right.is_nil();
            if !comparable_kinds {
                let (shown_left, shown_right) = (crate::fmt::shown_as_string(left), crate::fmt::shown(right));
                let (left, right) = (left.type_name(), right.type_name());
                return Err(Failure::new(format!(
                    "non-comparable types {shown_left}: {left}, {right}: {shown_right}"
                )));
            }
            if is_nil(left) || is_nil(right) {
                return Ok(is_nil(left) == is_nil(right));
            }
            match (left, right) {
                (Value::Object(left), Value::Object(right)) if left.entries().is_none() => {
                    left.equals(right.as_ref())
                }
                _ => {
                    let shown = crate::fmt::shown_as_string(right);
                    let name = right.type_name();
                    return Err(Failure::new(format!("non-comparable type {shown}: {name}")));
                }
            }
        }
    })
}

fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, Failure> {
    let (Some(kind_left), Some(kind_right)) = (kind(left), kind(right)) else {
        return Err("invalid type for comparison".into());
    };
    let wide = |left: &Int, right: &Int| Some(left.wide().cmp(&right.wide()));
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(wide(left, right)),
        (Value::Float(left), Value::Float(right)) => Ok(left.partial_cmp(right)),
        (Value::String(left), Value::String(right)) => Ok(Some(left.cmp(right))),
        _ if kind_left == kind_right => Err("invalid type for comparison".into()),
        _ => Err(incompatible(left, right)),
    }
}

fn less(left: &Value, right: &Value) -> Result<bool, Failure> {
    Ok(order(left, right)? == Some(Ordering::Less))
}

pub(super) fn ne(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Bool(!equal(&args[0], &args[1])?))
}

pub(super) fn lt(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Bool(less(&args[0], &args[1])?))
}

pub(super) fn le(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Bool(less(&args[0], &args[1])? || equal(&args[0], &args[1])?))
}

pub(super) fn gt(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Bool(!(less(&args[0], &args[1])? || equal(&args[0], &args[1])?)))
}

pub(super) fn ge(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Bool(!less(&args[0], &args[1])?))
}

/// Values nested deeper than this are never equal.
const DEEPEST: u32 = 200;

/// Go's `reflect.DeepEqual`: types count, so an int is no float.
pub(crate) fn deep_equal(left: &Value, right: &Value) -> bool {
    deep(left, right, 0)
}

fn deep(left: &Value, right: &Value, depth: u32) -> bool {
    if depth > DEEPEST {
        return false;
    }
    match (left, right) {
        (Value::Missing | Value::Nil, Value::Missing | Value::Nil) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) => left == right,
        (Value::Float(left), Value::Float(right)) => left == right,
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        (Value::String(left), Value::String(right)) | (Value::Bytes(left), Value::Bytes(right)) => {
            left == right
        }
        (Value::List(left), Value::List(right)) => {
            left.kind().name == right.kind().name
                && left.kind().is_nil == right.kind().is_nil
                && left.len() == right.len()
                && (left.is_same(right)
                    || left
                        .values()
                        .iter()
                        .zip(right.values())
                        .all(|(left, right)| deep(left, right, depth + 1)))
        }
        (Value::Map(left), Value::Map(right)) => {
            left.kind().name == right.kind().name
                && left.len() == right.len()
                && (left.is_same(right)
                    || left.entries().iter().all(|(key, value)| {
                        right.get(key).is_some_and(|other| deep(value, &other, depth + 1))
                    }))
        }
        (Value::Object(left), Value::Object(right)) => left.equals(right.as_ref()),
        _ => false,
    }
}

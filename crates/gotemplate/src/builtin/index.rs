//! Elements, parts and lengths.

use crate::error::Failure;
use crate::exec::Ctx;
use crate::value::{Int, IntKind, List, ObjectKind, Value};

/// What Go says where `reflect` is asked about nothing.
const ZERO_VALUE: &str = "reflect: call of reflect.Value.Type on zero Value";

fn position(index: &Value, capacity: usize) -> Result<usize, Failure> {
    match index {
        Value::Int(int) => {
            let value = int.signed();
            usize::try_from(value)
                .ok()
                .filter(|at| *at <= capacity)
                .ok_or_else(|| Failure::new(format!("index out of range: {value}")))
        }
        Value::Missing | Value::Nil => Err("cannot index slice/array with nil".into()),
        other => Err(Failure::new(format!("cannot index slice/array with type {}", other.type_name()))),
    }
}

pub(super) fn index(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let Some((first, indexes)) = args.split_first() else {
        return Ok(Value::Missing);
    };
    if first.is_nil() {
        return Err("index of untyped nil".into());
    }
    let mut item = first.clone();
    for index in indexes {
        item = element(&item, index)?;
    }
    Ok(item)
}

fn element(item: &Value, index: &Value) -> Result<Value, Failure> {
    match item {
        Value::Missing | Value::Nil => Err("index of nil pointer".into()),
        Value::List(list) => {
            let at = position(index, list.len())?;
            list.values().get(at).cloned().ok_or_else(|| "reflect: slice index out of range".into())
        }
        Value::String(bytes) | Value::Bytes(bytes) => {
            let at = position(index, bytes.len())?;
            let what = if matches!(item, Value::String(_)) { "string" } else { "slice" };
            let byte =
                bytes.get(at).ok_or_else(|| Failure::new(format!("reflect: {what} index out of range")))?;
            Ok(Value::Int(Int::new(IntKind::Uint8, i64::from(*byte))))
        }
        Value::Map(map) => {
            let key = key(index)?;
            Ok(map.get(key).unwrap_or_else(|| map.kind().elem.zero()))
        }
        Value::Object(object) if object.kind() == ObjectKind::Map => {
            let key = key(index)?;
            Ok(object.field(&key.to_text()).unwrap_or_else(|| object.elem().zero()))
        }
        Value::Object(object) if object.kind() == ObjectKind::List => {
            let entries = object.entries().unwrap_or_default();
            let at = position(index, entries.len())?;
            let found = entries.get(at).map(|(_, value)| value.clone());
            found.ok_or_else(|| "reflect: slice index out of range".into())
        }
        other => {
            let name = other.type_name().trim_start_matches('*');
            Err(Failure::new(format!("can't index item of type {name}")))
        }
    }
}

fn key(index: &Value) -> Result<&crate::value::Str, Failure> {
    match index {
        Value::String(key) => Ok(key),
        Value::Missing | Value::Nil => Err("value is nil; should be of type string".into()),
        other => Err(Failure::new(format!("value has type {}; should be string", other.type_name()))),
    }
}

pub(super) fn slice(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let Some((item, indexes)) = args.split_first() else {
        return Ok(Value::Missing);
    };
    if item.is_nil() {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(Failure::new(format!("too many slice indexes: {}", indexes.len())));
    }
    let length = match item {
        Value::String(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::String(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.len(),
        other => {
            let name = other.type_name().trim_start_matches('*');
            return Err(Failure::new(format!("can't slice item of type {name}")));
        }
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes.iter()) {
        *bound = position(index, length)?;
    }
    let [from, to, most] = bounds;
    if from > to {
        return Err(Failure::new(format!("invalid slice index: {from} > {to}")));
    }
    if indexes.len() == 3 && to > most {
        return Err(Failure::new(format!("invalid slice index: {to} > {most}")));
    }
    Ok(match item {
        Value::String(text) => Value::String(text[from..to].into()),
        Value::Bytes(bytes) => Value::Bytes(bytes[from..to].into()),
        Value::List(list) => Value::List(List::of(list.kind(), list.values()[from..to].to_vec())),
        other => other.clone(),
    })
}

pub(super) fn len(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Nil => Err("len of nil pointer".into()),
        Value::Missing => Err(ZERO_VALUE.into()),
        other => match other.length() {
            Some(length) => Ok(Value::int(length as i64)),
            None => Err(Failure::new(format!("len of type {}", other.type_name().trim_start_matches('*')))),
        },
    }
}

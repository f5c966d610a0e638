//! Arguments as the types that a function's parameters promise.

use std::sync::LazyLock;

use crate::value::{Str, Value};

static EMPTY: LazyLock<Str> = LazyLock::new(|| Str::from(""));

/// A `string` parameter.
pub(crate) fn text(value: &Value) -> &Str {
    match value {
        Value::String(text) => text,
        _ => &EMPTY,
    }
}

/// An integer parameter.
pub(crate) const fn int(value: &Value) -> i64 {
    match value {
        Value::Int(int) => int.signed(),
        _ => 0,
    }
}

/// A `float64` parameter.
pub(crate) const fn float(value: &Value) -> f64 {
    match value {
        Value::Float(value) => *value,
        _ => 0.0,
    }
}

/// A `bool` parameter.
pub(crate) const fn boolean(value: &Value) -> bool {
    matches!(value, Value::Bool(true))
}

/// Moves an argument out.
pub(crate) fn take(args: &mut [Value], at: usize) -> Value {
    args.get_mut(at).map(std::mem::take).unwrap_or_default()
}

/// What Go says where it would follow a nil pointer.
pub(crate) const NIL_DEREFERENCE: &str = "runtime error: invalid memory address or nil pointer dereference";

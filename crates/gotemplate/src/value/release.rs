//! Dropping deep values without a deep stack.
//!
//! A template can nest a list in a list a million times; dropping that recursively would overflow
//! the stack. Below some depth the children wait in a queue that the outermost drop empties.

use std::cell::{Cell, RefCell};

use super::Value;

const DEEP: u32 = 64;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static WAITING: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
}

/// Drops the values.
pub(super) fn values(values: &mut Vec<Value>) {
    if values.is_empty() {
        return;
    }
    // While a thread ends its locals may be gone: then plain recursion has to do.
    let depth = DEPTH.try_with(|depth| {
        depth.set(depth.get() + 1);
        depth.get()
    });
    match depth {
        Ok(depth) if depth > DEEP => {
            let _ = WAITING.try_with(|waiting| {
                let nested =
                    |value: &Value| matches!(value, Value::List(_) | Value::Map(_) | Value::Object(_));
                waiting.borrow_mut().extend(values.drain(..).filter(nested));
            });
        }
        _ => values.clear(),
    }
    if let Ok(1) = depth {
        loop {
            let next = WAITING.try_with(|waiting| waiting.borrow_mut().pop());
            match next {
                Ok(Some(value)) => drop(value),
                _ => break,
            }
        }
    }
    let _ = DEPTH.try_with(|depth| depth.set(depth.get() - 1));
}

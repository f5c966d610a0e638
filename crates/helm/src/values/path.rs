//! Paths with dots.

use serde_json::Value;

use super::Values;

/// The table at a path.
pub fn table<'a>(values: &'a Values, path: &str) -> Option<&'a Values> {
    path.split('.').try_fold(values, |table, name| table.get(name)?.as_object())
}

/// The value at a path, unless it is a table.
pub fn path_value<'a>(values: &'a Values, path: &str) -> Option<&'a Value> {
    let (parent, key) = match path.rsplit_once('.') {
        Some((parent, key)) => (table(values, parent)?, key),
        None => (values, path),
    };
    parent.get(key).filter(|value| !value.is_object())
}

//! Values: reading, setting, merging, checking.

mod coalesce;
mod graph;
mod read;
mod references;
mod set;
mod sources;
mod validate;

use serde_json::{Map, Value};

pub use coalesce::{CoalesceError, Coalesced, coalesce, merge_tables};
pub use read::{ValuesError, merge_maps, read_values};
pub use references::{ReferenceError, ReferencedValues, compose, values_of_json};
pub use set::SetError;
pub use sources::{SourceError, ValueSources, set_from_file, set_json, set_literal, set_string, set_typed};
pub use validate::{SchemaError, validate};

pub(crate) use coalesce::coalesce_tree;
pub(crate) use graph::{Graph, Node, TableId};

/// A table of values. Numbers from files are floats, as Go's JSON decoder makes them; `--set` makes integers.
pub type Values = Map<String, Value>;

/// Makes each integer the float that Go's JSON decoder reads.
pub(crate) fn floats(value: &mut Value) {
    match value {
        Value::Number(number) if !number.is_f64() => {
            if let Some(float) = number.as_f64().and_then(serde_json::Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(floats),
        Value::Object(map) => map.values_mut().for_each(floats),
        _ => {}
    }
}

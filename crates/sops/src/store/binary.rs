//! Bytes of any kind: the entry `data` of an object.

use crate::error::Error;
use crate::tree::{Branch, Item, Value};

pub(super) fn write(branches: &[Branch]) -> Result<Vec<u8>, Error> {
    let failed = |reason: &str| Error::Emit(format!("error emitting binary store: {reason}"));
    let [branch] = branches else { return Err(failed("there must be exactly one tree branch")) };
    for item in branch {
        match item {
            Item::Entry(key, Value::Text(text)) if key == "data" => return Ok(text.clone()),
            Item::Entry(key, _) if key == "data" => {
                return Err(failed("'data' key in tree does not have a string value"));
            }
            _ => {}
        }
    }
    Err(failed("no binary data found in tree"))
}

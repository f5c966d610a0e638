//! Merging YAML files.

use std::fs;
use std::path::Path;

use sluice_yaml::{Mapping, Value};

use crate::error::Problem;

/// Larger files are not merged, in bytes.
const MAX_SIZE: u64 = 16 << 20;

/// Merges the file `over` into the file `base`. `name` is what the former is called in errors.
pub(crate) fn merge_files(over: &Path, base: &Path, name: &str) -> Result<(), Problem> {
    let failed = |reason: String| Problem::Merge { path: name.to_owned(), reason };
    let mut merged = read(base).map_err(failed)?;
    merge(&mut merged, read(over).map_err(failed)?);
    let text = sluice_yaml::write(&Value::Mapping(merged)).map_err(|error| failed(error.to_string()))?;
    fs::write(base, text).map_err(|source| Problem::Io { path: base.to_owned(), source })
}

/// All documents of a file in one map, the later over the earlier.
fn read(file: &Path) -> Result<Mapping, String> {
    let size = fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > MAX_SIZE {
        return Err(format!("it has {size} bytes; at most {MAX_SIZE} can be merged"));
    }
    let text = fs::read(file).map_err(|error| error.to_string())?;
    let documents = sluice_yaml::read_all(&text).map_err(|error| error.to_string())?;
    let mut all = Mapping::new();
    for document in documents {
        match document {
            Value::Null => {}
            Value::Mapping(map) => merge(&mut all, map),
            _ => return Err("a document in it is no map".to_owned()),
        }
    }
    Ok(all)
}

/// Maps are merged key by key; anything else is replaced.
fn merge(base: &mut Mapping, over: Mapping) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Mapping(below)), Value::Mapping(above)) => merge(below, above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

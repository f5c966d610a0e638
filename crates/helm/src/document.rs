//! YAML as JSON documents.

use serde_json::{Map, Number, Value};
use sluice_yaml::Error;

/// Reads the first document; integers and floats stay apart.
pub(crate) fn to_json(text: &[u8]) -> Result<Value, Error> {
    convert(sluice_yaml::read(text)?, false)
}

/// Like [`to_json`], but leaves out members of the document that are not wanted.
pub(crate) fn members_to_json(text: &str, wanted: impl Fn(&str) -> bool) -> Result<Value, Error> {
    convert(sluice_yaml::read_members(text, wanted)?, false)
}

/// Reads the first document with every number a float, as Go's JSON decoder has it.
pub(crate) fn to_json_with_floats(text: &[u8]) -> Result<Value, Error> {
    convert(sluice_yaml::read(text)?, true)
}

fn convert(value: sluice_yaml::Value, floats: bool) -> Result<Value, Error> {
    use sluice_yaml::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Int(value) if floats => float(value as f64)?,
        Yaml::Uint(value) if floats => float(value as f64)?,
        Yaml::Int(value) => Value::from(value),
        Yaml::Uint(value) => Value::from(value),
        Yaml::Float(value) => float(value)?,
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(|item| convert(item, floats)).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                map.insert(key, convert(value, floats)?);
            }
            Value::Object(map)
        }
    })
}

fn float(value: f64) -> Result<Value, Error> {
    Number::from_f64(value).map(Value::Number).ok_or(Error::Number(value))
}

/// Writes a document as sigs.k8s.io/yaml does.
pub(crate) fn to_yaml(value: &Value) -> Result<String, Error> {
    sluice_yaml::write(&sluice_yaml::Value::from(value.clone()))
}

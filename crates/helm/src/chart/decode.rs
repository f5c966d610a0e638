//! YAML into structs as Go's JSON decoder does it behind sigs.k8s.io/yaml: names match in any case, scalars become
//! strings where a string is wanted, `null` leaves a field as it is.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

/// A value of the wrong type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go {place} of type {wanted}"
)]
pub struct DecodeError {
    found: &'static str,
    place: String,
    wanted: String,
}

/// An object whose fields are taken one by one.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    owner: &'static str,
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl<'a> Fields<'a> {
    /// The fields of an object; `None` for `null`.
    pub(crate) fn of(
        value: &'a Value,
        owner: &'static str,
        go_type: &str,
    ) -> Result<Option<Self>, DecodeError> {
        match value {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(Fields { map, owner })),
            other => {
                Err(DecodeError { found: kind(other), place: "value".to_owned(), wanted: go_type.to_owned() })
            }
        }
    }

    /// The value that wins for a field: keys are read in order and the last one that fits counts.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next_back()
    }

    /// The value of a field that is decoded further.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.get(name)
    }

    fn mismatch(&self, name: &str, found: &Value, wanted: &str) -> DecodeError {
        DecodeError {
            found: kind(found),
            place: format!("struct field {}.{name}", self.owner),
            wanted: wanted.to_owned(),
        }
    }

    pub(crate) fn string(&mut self, name: &str, target: &mut String) -> Result<(), DecodeError> {
        match self.get(name) {
            None | Some(Value::Null) => {}
            Some(value) => match coerced(value) {
                Some(text) => *target = text,
                None => return Err(self.mismatch(name, value, "string")),
            },
        }
        Ok(())
    }

    pub(crate) fn bool(&mut self, name: &str, target: &mut bool) -> Result<(), DecodeError> {
        match self.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::Bool(value)) => *target = *value,
            Some(other) => return Err(self.mismatch(name, other, "bool")),
        }
        Ok(())
    }

    pub(crate) fn strings(&mut self, name: &str, target: &mut Vec<String>) -> Result<(), DecodeError> {
        match self.get(name) {
            None => {}
            Some(Value::Null) => target.clear(),
            Some(Value::Array(items)) => {
                *target = items
                    .iter()
                    .map(|item| match item {
                        Value::Null => Ok(String::new()),
                        other => coerced(other).ok_or_else(|| self.mismatch(name, other, "string")),
                    })
                    .collect::<Result<_, _>>()?;
            }
            Some(other) => return Err(self.mismatch(name, other, "[]string")),
        }
        Ok(())
    }

    pub(crate) fn values(&mut self, name: &str, target: &mut Vec<Value>) -> Result<(), DecodeError> {
        match self.get(name) {
            None => {}
            Some(Value::Null) => target.clear(),
            Some(Value::Array(items)) => target.clone_from(items),
            Some(other) => return Err(self.mismatch(name, other, "[]interface {}")),
        }
        Ok(())
    }

    pub(crate) fn string_map(
        &mut self,
        name: &str,
        target: &mut Option<BTreeMap<String, String>>,
    ) -> Result<(), DecodeError> {
        match self.get(name) {
            None => {}
            Some(Value::Null) => *target = None,
            Some(Value::Object(map)) => {
                let filled = target.get_or_insert_default();
                for (key, value) in map {
                    let text = match value {
                        Value::Null => String::new(),
                        other => coerced(other).ok_or_else(|| self.mismatch(name, other, "string"))?,
                    };
                    filled.insert(key.clone(), text);
                }
            }
            Some(other) => return Err(self.mismatch(name, other, "map[string]string")),
        }
        Ok(())
    }

    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        item: &str,
        target: &mut Vec<T>,
        decode: fn(&Value) -> Result<T, DecodeError>,
    ) -> Result<(), DecodeError> {
        match self.get(name) {
            None => {}
            Some(Value::Null) => target.clear(),
            Some(Value::Array(items)) => *target = items.iter().map(decode).collect::<Result<_, _>>()?,
            Some(other) => return Err(self.mismatch(name, other, &format!("[]*v2.{item}"))),
        }
        Ok(())
    }

    pub(crate) fn optional_list<T>(
        &mut self,
        name: &str,
        item: &str,
        target: &mut Option<Vec<T>>,
        decode: fn(&Value) -> Result<T, DecodeError>,
    ) -> Result<(), DecodeError> {
        match self.get(name) {
            None => {}
            Some(Value::Null) => *target = None,
            Some(_) => self.list(name, item, target.get_or_insert_default(), decode)?,
        }
        Ok(())
    }
}

/// A scalar where a string is wanted.
pub(crate) fn coerced(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number_text(number)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Integers in full; floats with the shortest digits that give the same single precision float.
fn number_text(number: &Number) -> String {
    if !number.is_f64() {
        return number.to_string();
    }
    let float = number.as_f64().unwrap_or_default() as f32;
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{float}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

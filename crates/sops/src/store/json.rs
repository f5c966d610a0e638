//! JSON with its entries in order.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed as _, Deserializer, MapAccess, SeqAccess, Visitor};
use sluice_yaml::json::write_string;
use sluice_yaml::number::format_json_float;

use crate::error::Error;
use crate::tree::{Branch, Element, Item, Value};

/// Reads an object. What follows it does not count, as in the reference.
pub(super) fn read(data: &[u8]) -> Result<Branch, Error> {
    let failed = |reason: String| Error::Load(format!("Could not unmarshal input data: {reason}"));
    let start = data.trim_ascii_start().first().copied();
    match start {
        None => return Err(failed("EOF".to_owned())),
        Some(b'[') => {
            return Err(failed(
                "SOPS only supports JSON files with a top-level object (starting with '{'), not arrays or other \
                 types. Got delimiter [ instead. To encrypt this file, wrap it in an object, e.g., {\"data\": [...]}"
                    .to_owned(),
            ));
        }
        _ => {}
    }
    let mut deserializer = serde_json::Deserializer::from_slice(data);
    match ValueSeed.deserialize(&mut deserializer) {
        Ok(Value::Map(branch)) => Ok(branch),
        Ok(_) => Err(failed(
            "SOPS only supports JSON files with a top-level object (starting with '{'), not other JSON types."
                .to_owned(),
        )),
        Err(error) if error.is_eof() => Err(failed("unexpected EOF".to_owned())),
        // Only the place: the text of the error may quote a value.
        Err(error) => Err(failed(format!("invalid JSON at line {}, column {}", error.line(), error.column()))),
    }
}

struct ValueSeed;

impl<'de> serde::de::DeserializeSeed<'de> for ValueSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(ValueSeed)? {
            list.push(Element::Value(value));
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut branch = Vec::new();
        while let Some(Key(key)) = access.next_key()? {
            branch.push(Item::Entry(key, access.next_value_seed(ValueSeed)?));
        }
        Ok(Value::Map(branch))
    }
}

struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// Prints an object with tabs. Comments are lost.
pub(super) fn write(branch: &[Item]) -> Result<Vec<u8>, Error> {
    let mut out = String::new();
    map(branch, 0, &mut out)?;
    out.push('\n');
    Ok(out.into_bytes())
}

fn value(value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => match format_json_float(*value) {
            Some(text) => out.push_str(&text),
            None => {
                let text = format!("Error marshaling to json: json: unsupported value: {value}");
                return Err(Error::Emit(text));
            }
        },
        Value::Text(text) => write_text(text, out),
        Value::Time(text) => write_string(text, out),
        Value::List(list) => {
            let values = list.iter().filter_map(|element| match element {
                Element::Value(value) => Some(value),
                Element::Comment(_) => None,
            });
            block('[', ']', values, depth, out, |item, out| self::value(item, depth + 1, out))?;
        }
        Value::Map(branch) => map(branch, depth, out)?,
        Value::Foreign(name) => return Err(Error::Emit(format!("Error marshaling to json: {name}"))),
    }
    Ok(())
}

/// Bytes that are no text become one replacement each, written as an escape.
fn write_text(text: &[u8], out: &mut String) {
    let mut chunk = String::new();
    out.push('"');
    for part in text.utf8_chunks() {
        chunk.clear();
        write_string(part.valid(), &mut chunk);
        out.push_str(&chunk[1..chunk.len() - 1]);
        out.extend(part.invalid().iter().map(|_| "\\ufffd"));
    }
    out.push('"');
}

fn map(branch: &[Item], depth: usize, out: &mut String) -> Result<(), Error> {
    let entries = branch.iter().filter_map(|item| match item {
        Item::Entry(key, value) => Some((key, value)),
        Item::Comment(_) => None,
    });
    block('{', '}', entries, depth, out, |(key, item), out| {
        write_string(key, out);
        out.push_str(": ");
        value(item, depth + 1, out)
    })
}

/// Prints what stands between brackets, each on a line of its own.
fn block<T>(
    open: char,
    close: char,
    items: impl Iterator<Item = T>,
    depth: usize,
    out: &mut String,
    mut item: impl FnMut(T, &mut String) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(open);
    let mut empty = true;
    for each in items {
        if !empty {
            out.push(',');
        }
        empty = false;
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', depth + 1));
        item(each, out)?;
    }
    if !empty {
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', depth));
    }
    out.push(close);
    Ok(())
}

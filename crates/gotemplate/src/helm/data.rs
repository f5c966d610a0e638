//! YAML, JSON and TOML.

use sluice_yaml::Value as Yaml;

use super::{toml_read, toml_write};
use crate::args::text;
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::json::{Style, Wanted};
use crate::value::{List, Map, Type, Value};

const ANY: Type = Type::ANY;
const S: Type = Type::STRING;

pub(super) static FUNCS: &[Func] = &[
    Func::new("toYaml", &[ANY], S, |_, args| Ok(to_yaml(&args[0]).unwrap_or_default().into())),
    Func::new("mustToYaml", &[ANY], S, |_, args| Ok(to_yaml(&args[0])?.into())),
    Func::new("toYamlPretty", &[ANY], S, |_, args| {
        let Ok(plain) = to_plain_yaml(&args[0], 0) else { return Ok("".into()) };
        Ok(without_newline(&sluice_yaml::write_v3_indented(&plain)).into())
    }),
    Func::new("fromYaml", &[S], Type::MAP, |_, args| {
        Ok(map_or_error(from_yaml(text(&args[0]), Wanted::Map)))
    }),
    Func::new("fromYamlArray", &[S], Type::LIST, |_, args| {
        Ok(list_or_error(from_yaml(text(&args[0]), Wanted::List)))
    }),
    Func::new("toJson", &[ANY], S, |ctx, args| Ok(to_json(ctx, args).unwrap_or_else(|_| "".into()))),
    Func::new("mustToJson", &[ANY], S, to_json),
    Func::new("fromJson", &[S], Type::MAP, |_, args| {
        Ok(map_or_error(crate::json::read(text(&args[0]), Wanted::Map)))
    }),
    Func::new("fromJsonArray", &[S], Type::LIST, |_, args| {
        Ok(list_or_error(crate::json::read(text(&args[0]), Wanted::List)))
    }),
    Func::new("toToml", &[ANY], S, |_, args| {
        if args[0].is_nil() {
            return Err(toml_write::NOTHING.into());
        }
        Ok(toml_write::write(&args[0]).unwrap_or_else(|message| message).into())
    }),
    Func::new("mustToToml", &[ANY], S, |_, args| Ok(toml_write::write(&args[0])?.into())),
    Func::new("fromToml", &[S], Type::MAP, |_, args| {
        Ok(map_or_error(toml_read::read(&text(&args[0]).to_text())))
    }),
];

fn to_json(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let style = Style { pretty: false, escape_html: true };
    Ok(crate::json::write(&args[0], style, ctx.limits().output)?.into())
}

/// The map, or one that holds the error.
fn map_or_error(read: Result<Value, String>) -> Value {
    match read {
        Ok(map @ Value::Map(_)) => map,
        // `null` makes the map nil.
        Ok(_) => Value::Map(Map::nil()),
        Err(message) => Value::map([("Error", Value::from(message))]),
    }
}

/// The list, or one that holds the error.
fn list_or_error(read: Result<Value, String>) -> Value {
    match read {
        Ok(list @ Value::List(_)) => list,
        Ok(_) => Value::List(List::nil()),
        Err(message) => Value::list(vec![message.into()]),
    }
}

fn without_newline(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// A value as `toYaml` prints it, without the final newline.
pub fn to_yaml(value: &Value) -> Result<String, String> {
    let plain = to_plain_yaml(value, 0)?;
    let text = sluice_yaml::write(&plain).map_err(|error| error.to_string())?;
    Ok(without_newline(&text).to_owned())
}

const DEEPEST: u32 = 200;

/// What goes through JSON: objects as they marshal, bytes in base64, text with U+FFFD.
fn to_plain_yaml(value: &Value, depth: u32) -> Result<Yaml, String> {
    if depth > DEEPEST {
        let name = value.type_name();
        return Err(format!(
            "error marshaling into JSON: json: unsupported value: encountered a cycle via {name}"
        ));
    }
    Ok(match value {
        Value::Missing | Value::Nil => Yaml::Null,
        Value::Bool(value) => Yaml::Bool(*value),
        Value::Int(int) if int.kind().is_unsigned() => Yaml::Uint(int.unsigned()),
        Value::Int(int) => Yaml::Int(int.signed()),
        Value::Float(value) if !value.is_finite() => {
            let shown = crate::fmt::format_float(*value, 'g', None);
            return Err(format!("error marshaling into JSON: json: unsupported value: {shown}"));
        }
        Value::Float(value) => Yaml::Float(*value),
        Value::Complex(..) => {
            return Err("error marshaling into JSON: json: unsupported type: complex128".to_owned());
        }
        Value::String(text) => Yaml::String(text.to_text().into_owned()),
        Value::Bytes(bytes) => {
            use base64::Engine as _;
            Yaml::String(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        Value::List(list) if list.kind().is_nil => Yaml::Null,
        Value::List(list) => {
            let items = list.values().iter().map(|item| to_plain_yaml(item, depth + 1));
            Yaml::Sequence(items.collect::<Result<_, _>>()?)
        }
        Value::Map(map) if map.is_nil() => Yaml::Null,
        Value::Map(map) => {
            let mut entries = sluice_yaml::Mapping::with_capacity(map.len());
            map.try_each(|key, value| {
                entries.insert(key.to_text().into_owned(), to_plain_yaml(value, depth + 1)?);
                Ok::<(), String>(())
            })?;
            Yaml::Mapping(entries)
        }
        Value::Object(object) => to_plain_yaml(&object.to_plain(), depth + 1)?,
    })
}

/// Reads the first YAML document of a text as `fromYaml` does.
pub fn from_yaml(text: &[u8], wanted: Wanted) -> Result<Value, String> {
    let yaml = sluice_yaml::read(text).map_err(|error| format!("error converting YAML to JSON: {error}"))?;
    let (found, expected) = match (&yaml, wanted) {
        (Yaml::Null, Wanted::Map) => return Ok(Value::Map(Map::new())),
        (Yaml::Null, Wanted::List) => return Ok(Value::List(List::new(Vec::new()))),
        (_, Wanted::Any) | (Yaml::Mapping(_), Wanted::Map) | (Yaml::Sequence(_), Wanted::List) => {
            return Ok(from_plain_yaml(yaml));
        }
        (Yaml::Mapping(_), _) => ("object", "[]interface {}"),
        (Yaml::Sequence(_), _) => ("array", "map[string]interface {}"),
        (other, wanted) => {
            let found = match other {
                Yaml::String(_) => "string",
                Yaml::Bool(_) => "bool",
                _ => "number",
            };
            (found, if wanted == Wanted::Map { "map[string]interface {}" } else { "[]interface {}" })
        }
    };
    Err(format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type {expected}"
    ))
}

fn from_plain_yaml(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Nil,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Int(value) => Value::Float(value as f64),
        Yaml::Uint(value) => Value::Float(value as f64),
        Yaml::Float(value) => Value::Float(value),
        Yaml::String(text) => Value::from(text),
        Yaml::Sequence(items) => Value::list(items.into_iter().map(from_plain_yaml).collect()),
        Yaml::Mapping(entries) => {
            Value::map(entries.into_iter().map(|(key, value)| (key, from_plain_yaml(value))))
        }
    }
}

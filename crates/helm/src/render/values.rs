//! `.Values`: a table with methods.

use serde_json::Value as Json;
use sluice_gotemplate::{Ctx, Failure, Map, MapKind, Method, Type, Value};

use crate::document;
use crate::go::quote;
use crate::values::{Coalesced, Graph, Node, TableId, Values};

/// `common.Values`
pub(super) static VALUES: MapKind = MapKind { name: "common.Values", elem: Type::ANY, methods: METHODS };

/// `map[string]interface {}`
static PLAIN: MapKind = MapKind { name: "map[string]interface {}", elem: Type::ANY, methods: &[] };

const VALUES_TYPE: Type = Type { name: "common.Values", class: sluice_gotemplate::Class::Map };

const METHODS: &[Method] = &[
    Method { name: "AsMap", params: &[], variadic: false, result: Type::MAP, call: as_map },
    Method {
        name: "PathValue",
        params: &[Type::STRING],
        variadic: false,
        result: Type::ANY,
        call: path_value,
    },
    Method { name: "Table", params: &[Type::STRING], variadic: false, result: VALUES_TYPE, call: table },
    Method { name: "YAML", params: &[], variadic: false, result: Type::STRING, call: yaml },
];

/// The values of the root chart as templates see them: a table that several charts hold is one map.
pub(super) fn to_template(values: &Coalesced<'_>) -> Map {
    let mut made = vec![None; values.graph().len()];
    table_of(values.graph(), values.root(), &mut made)
}

fn table_of(graph: &Graph<'_>, table: TableId, made: &mut Vec<Option<Map>>) -> Map {
    if let Some(map) = &made[table.index()] {
        return map.clone();
    }
    let map = Map::of_entries(
        &PLAIN,
        graph.entries(table).map(|(key, node)| {
            let value = match node {
                Node::Plain(value) => to_value(value),
                Node::Table(inner) => Value::Map(table_of(graph, inner, made)),
            };
            (key, value)
        }),
    );
    made[table.index()] = Some(map.clone());
    map
}

fn plain(values: &Values) -> Map {
    Map::of_entries(&PLAIN, values.iter().map(|(key, value)| (key, to_value(value))))
}

/// Floats stay floats and integers, which only `--set` makes, are int64.
fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) if !number.is_f64() => Value::int64(integer),
            _ => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::string(text),
        Json::Array(items) => Value::list(items.iter().map(to_value).collect()),
        Json::Object(map) => Value::Map(plain(map)),
    }
}

/// The table of a subchart, seen as its `.Values`.
pub(super) fn section(values: &Map, name: &str) -> Map {
    lookup(values, name).unwrap_or_else(|_| Map::new()).viewed_as(&VALUES)
}

fn lookup(values: &Map, path: &str) -> Result<Map, String> {
    let mut table = values.clone();
    for name in path.split('.') {
        match table.get(name) {
            Some(Value::Map(next)) => table = next,
            _ => return Err(format!("{} is not a table", quote(name))),
        }
    }
    Ok(table)
}

fn receiver(value: &Value) -> Result<&Map, Failure> {
    value.as_map().ok_or_else(|| Failure::new("not a table"))
}

fn text(arguments: &[Value]) -> String {
    arguments.first().and_then(Value::as_str).map(|text| text.to_text().into_owned()).unwrap_or_default()
}

fn as_map(_: &mut Ctx<'_>, this: &Value, _: &mut [Value]) -> Result<Value, Failure> {
    let map = receiver(this)?;
    Ok(Value::Map(if map.is_empty() { Map::new() } else { map.viewed_as(&PLAIN) }))
}

fn table(_: &mut Ctx<'_>, this: &Value, arguments: &mut [Value]) -> Result<Value, Failure> {
    let table = lookup(receiver(this)?, &text(arguments))?;
    Ok(Value::Map(table.viewed_as(&VALUES)))
}

fn path_value(_: &mut Ctx<'_>, this: &Value, arguments: &mut [Value]) -> Result<Value, Failure> {
    let path = text(arguments);
    if path.is_empty() {
        return Err(Failure::new("YAML path cannot be empty"));
    }
    let (parent, key) =
        path.rsplit_once('.').map_or((None, path.as_str()), |(parent, key)| (Some(parent), key));
    let table = match parent {
        None => Ok(receiver(this)?.clone()),
        Some(parent) => lookup(receiver(this)?, parent),
    };
    match table.ok().and_then(|table| table.get(key)) {
        Some(value) if value.as_map().is_none() => Ok(value),
        _ => Err(Failure::new(format!("{} is not a value", quote(key)))),
    }
}

fn yaml(_: &mut Ctx<'_>, this: &Value, _: &mut [Value]) -> Result<Value, Failure> {
    let json =
        this.to_json().ok_or_else(|| Failure::new("error marshaling into JSON: json: unsupported value"))?;
    document::to_yaml(&json).map(Value::string).map_err(|error| Failure::new(error.to_string()))
}

//! `openapi.path`: a swagger document of the user's.

use std::collections::BTreeSet;

use sluice_yaml::Value;

use super::{Field, Schema, Shape, Type, TypeRef};
use crate::error::{Error, Result};
use crate::scope::Scopes;

/// Inline types may nest this deep.
const MAX_DEPTH: usize = 64;

/// Reads the definitions of a swagger document, JSON or YAML, into a schema that may have some already; `base_wins`
/// says which of two equal ones stays.
pub(crate) fn parse(text: &[u8], base: Option<&Schema>, base_wins: bool) -> Result<Schema> {
    let document = read(text)?;
    let mut reader = Reader { schema: base.cloned().unwrap_or_default() };
    let Some(definitions) = document.get("definitions").and_then(Value::as_mapping) else {
        return Ok(reader.schema);
    };
    let mut own: Vec<(&Value, usize)> = Vec::new();
    for (name, definition) in definitions {
        let number = reader.schema.types.len();
        if !(base_wins && reader.schema.names.contains_key(name)) {
            reader.schema.names.insert(name.clone(), number);
        }
        reader.schema.types.push(Type::default());
        own.push((definition, number));
    }
    for (definition, number) in own {
        let known = reader.object(definition, 0);
        reader.schema.types[number] = known;
        let resources = definition.get("x-kubernetes-group-version-kind").and_then(Value::as_sequence);
        for resource in resources.into_iter().flatten() {
            let key = type_of(resource).unwrap_or_default();
            if !(base_wins && reader.schema.roots.contains_key(&key)) {
                reader.schema.roots.insert(key, TypeRef::Type(number));
            }
        }
    }
    Ok(reader.schema)
}

/// The document. What begins with a brace must be JSON.
fn read(text: &[u8]) -> Result<Value> {
    let invalid = |error: &dyn std::fmt::Display| Error::new(format!("invalid schema file: json: {error}"));
    if text.is_empty() {
        return Err(invalid(&"cannot unmarshal Go value of type spec.Swagger: EOF"));
    }
    if text.first() == Some(&b'{') {
        serde_json::from_slice::<serde_json::Value>(text).map_err(|error| invalid(&error))?;
    }
    sluice_yaml::read(text).map_err(|error| Error::new(format!("invalid schema file: {error}")))
}

/// The kinds without a namespace, by the paths of a swagger document; fails if the document is none.
pub(crate) fn parse_scopes(text: &[u8]) -> Result<Scopes> {
    let document = read(text)?;
    check(&document, "", &[]).map_err(|problem| Error::new(format!("invalid schema file: {problem}")))?;
    for definition in document.get("definitions").and_then(Value::as_mapping).into_iter().flatten() {
        check_schema(definition.1, definition.0, 0)
            .map_err(|problem| Error::new(format!("invalid schema file: {problem}")))?;
    }
    let (mut namespaced, mut cluster_scoped) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in document.get("paths").and_then(Value::as_mapping).into_iter().flatten() {
        check(item, path, &[("get", Kind::Map)])
            .map_err(|problem| Error::new(format!("invalid schema file: {problem}")))?;
        let Some(kind) = item.get("get").and_then(|get| get.get("x-kubernetes-group-version-kind")) else {
            continue;
        };
        let Some(key) = type_of(kind) else { continue };
        let kinds =
            if path.contains("namespaces/{namespace}") { &mut namespaced } else { &mut cluster_scoped };
        kinds.insert(key);
    }
    cluster_scoped.retain(|key| !namespaced.contains(key));
    Ok(Scopes::new(cluster_scoped))
}

/// The apiVersion and kind that an extension names.
fn type_of(extension: &Value) -> Option<(String, String)> {
    extension.as_mapping()?;
    let text = |key: &str| extension.get(key).and_then(Value::as_str).unwrap_or("");
    let api_version = match text("group") {
        "" => text("version").to_owned(),
        group => format!("{group}/{}", text("version")),
    };
    Some((api_version, text("kind").to_owned()))
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Map,
    List,
}

/// Refuses what is no map, and members of another kind than expected.
fn check(value: &Value, place: &str, members: &[(&str, Kind)]) -> std::result::Result<(), String> {
    let wrong = |place: &str| format!("json: cannot unmarshal the value of '{place}'");
    if value.is_null() {
        return Ok(());
    }
    if value.as_mapping().is_none() {
        return Err(wrong(place));
    }
    const OF_DOCUMENT: &[(&str, Kind)] = &[
        ("swagger", Kind::Text),
        ("host", Kind::Text),
        ("basePath", Kind::Text),
        ("info", Kind::Map),
        ("definitions", Kind::Map),
        ("paths", Kind::Map),
    ];
    let members = if place.is_empty() { OF_DOCUMENT } else { members };
    for (name, kind) in members {
        let fits = match value.get(name) {
            None | Some(Value::Null) => true,
            Some(member) => match kind {
                Kind::Text => member.as_str().is_some(),
                Kind::Map => member.as_mapping().is_some(),
                Kind::List => member.as_sequence().is_some(),
            },
        };
        if !fits {
            return Err(wrong(&format!("{place}.{name}")));
        }
    }
    Ok(())
}

fn check_schema(value: &Value, place: &str, depth: usize) -> std::result::Result<(), String> {
    const MEMBERS: &[(&str, Kind)] = &[
        ("description", Kind::Text),
        ("format", Kind::Text),
        ("title", Kind::Text),
        ("enum", Kind::List),
        ("properties", Kind::Map),
        ("required", Kind::List),
    ];
    // An empty place stands for the document itself.
    let place = if place.is_empty() { "definitions" } else { place };
    check(value, place, MEMBERS)?;
    if let Some(kind) = value.get("type")
        && !matches!(kind, Value::Null | Value::String(_) | Value::Sequence(_))
    {
        return Err(format!("json: cannot unmarshal the value of '{place}.type'"));
    }
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for (name, property) in value.get("properties").and_then(Value::as_mapping).into_iter().flatten() {
        check_schema(property, name, depth + 1)?;
    }
    match value.get("items") {
        Some(Value::Sequence(items)) => {
            items.iter().try_for_each(|item| check_schema(item, "items", depth + 1))?;
        }
        Some(items @ Value::Mapping(_)) => check_schema(items, "items", depth + 1)?,
        _ => {}
    }
    match value.get("additionalProperties") {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(others) => check_schema(others, "additionalProperties", depth + 1),
    }
}

struct Reader {
    schema: Schema,
}

impl Reader {
    fn object(&mut self, definition: &Value, depth: usize) -> Type {
        let mut known = Type { open: true, ..Type::default() };
        if depth > MAX_DEPTH {
            return known;
        }
        let properties = definition.get("properties").and_then(Value::as_mapping);
        for (name, property) in properties.into_iter().flatten() {
            let field = self.field(property, depth);
            known.fields.insert(name.clone(), field);
        }
        if let Some(others) =
            definition.get("additionalProperties").filter(|others| others.as_mapping().is_some())
        {
            known.others = Some(Box::new(self.field(others, depth)));
        }
        known
    }

    fn field(&mut self, property: &Value, depth: usize) -> Field {
        if let Some(reference) = property.get("$ref").and_then(Value::as_str) {
            let name = reference.trim_start_matches("#/definitions/");
            let of = self.schema.names.get(name).map_or(TypeRef::Unknown, |number| TypeRef::Type(*number));
            return Field { shape: Shape::Object, of };
        }
        let is_list = property.get("type").and_then(Value::as_str) == Some("array");
        if is_list || property.get("items").is_some() {
            let of = match property.get("items") {
                Some(items) => self.field(items, depth + 1).of,
                None => TypeRef::Opaque,
            };
            return Field { shape: merge_shape(property), of };
        }
        let inline = self.object(property, depth + 1);
        self.schema.types.push(inline);
        Field { shape: Shape::Object, of: TypeRef::Type(self.schema.types.len() - 1) }
    }
}

fn merge_shape(property: &Value) -> Shape {
    let strategy = property.get("x-kubernetes-patch-strategy").and_then(Value::as_str).unwrap_or("");
    if !strategy.split(',').any(|part| part == "merge") {
        return Shape::List;
    }
    if let Some(keys) = property.get("x-kubernetes-list-map-keys").and_then(Value::as_sequence) {
        return Shape::MergeList(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    let key = property.get("x-kubernetes-patch-merge-key").and_then(Value::as_str);
    Shape::MergeList(key.into_iter().map(str::to_owned).collect())
}

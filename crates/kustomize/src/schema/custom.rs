//! `openapi.path`: a swagger document of the user's.

use sluice_yaml::Value;

use super::{Field, Schema, Shape, Type, TypeRef};
use crate::error::{Error, Result};

/// Inline types may nest this deep.
const MAX_DEPTH: usize = 64;

/// Reads the definitions of a swagger document, JSON or YAML, into a schema that may have some already; `base_wins`
/// says which of two equal ones stays.
pub(crate) fn parse(text: &[u8], base: Option<&Schema>, base_wins: bool) -> Result<Schema> {
    let document =
        sluice_yaml::read(text).map_err(|error| Error::new(format!("invalid schema file: {error}")))?;
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
            let text = |key: &str| resource.get(key).and_then(Value::as_str).unwrap_or("");
            let api_version = match text("group") {
                "" => text("version").to_owned(),
                group => format!("{group}/{}", text("version")),
            };
            let key = (api_version, text("kind").to_owned());
            if !(base_wins && reader.schema.roots.contains_key(&key)) {
                reader.schema.roots.insert(key, TypeRef::Type(number));
            }
        }
    }
    Ok(reader.schema)
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

//! From what the derives make of Rust types to what Flux's definitions say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

/// Tidies the schema of a whole object.
pub(super) fn tidy_root(root: &mut JSONSchemaProps) {
    tidy(root);
    let text = |description: &str| JSONSchemaProps {
        type_: Some("string".to_owned()),
        description: Some(description.to_owned()),
        ..JSONSchemaProps::default()
    };
    let properties = root.properties.get_or_insert_default();
    properties
        .insert("apiVersion".to_owned(), text("The group and version of the API, as <group>/<version>."));
    properties.insert("kind".to_owned(), text("The kind of the object."));
    properties.insert(
        "metadata".to_owned(),
        JSONSchemaProps { type_: Some("object".to_owned()), ..JSONSchemaProps::default() },
    );
}

/// A field that may be left out is no field that may be null: Flux's schemas take no null, and a null would survive
/// where a default belongs.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|value| value.0 != Value::Null);
    }
    // Doc comments are wrapped to the width of the source; a blank line stays a paragraph.
    if let Some(description) = &mut schema.description {
        let paragraphs: Vec<String> =
            description.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
        *description = paragraphs.join("\n\n");
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(list)) => list.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

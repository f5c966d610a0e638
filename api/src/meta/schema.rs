//! Schemas of values that have no Rust type of their own.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Any JSON value, kept as it is.
pub(crate) fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// A list of any JSON values.
pub(crate) fn any_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "x-kubernetes-preserve-unknown-fields": true } })
}

/// A duration with the units that Flux allows for a timeout: no hours.
pub(crate) fn timeout(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$" })
}

/// A duration of any form, as in places where Flux checks none.
pub(crate) fn free_duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// An integer of no stated size.
pub(crate) fn integer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer" })
}

/// A selector of labels, as the core API describes it.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchExpressions": {
                "type": "array",
                "x-kubernetes-list-type": "atomic",
                "description": "Requirements that all must hold.",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": { "type": "string", "description": "The label." },
                        "operator": {
                            "type": "string",
                            "description": "How it relates to the values: In, NotIn, Exists or DoesNotExist.",
                        },
                        "values": {
                            "type": "array",
                            "x-kubernetes-list-type": "atomic",
                            "description": "The values; none for Exists and DoesNotExist.",
                            "items": { "type": "string" },
                        },
                    },
                },
            },
            "matchLabels": {
                "type": "object",
                "description": "Labels and their values that all must be there.",
                "additionalProperties": { "type": "string" },
            },
        },
    })
}

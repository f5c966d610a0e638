//! The few fields of a document that decide its place.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::chart::DecodeError;
use crate::chart::Fields;

/// Kind, name and annotations of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.annotations`, as texts.
    pub annotations: BTreeMap<String, String>,
}

impl Head {
    /// Whether a member of the document is read here, in whatever case.
    pub(super) fn has_field(name: &str) -> bool {
        ["apiVersion", "kind", "metadata"].iter().any(|field| field.eq_ignore_ascii_case(name))
    }

    /// Reads the fields; `null` has none.
    pub(crate) fn read(document: &Value) -> Result<Self, DecodeError> {
        let mut head = Head::default();
        let Some(mut fields) = Fields::of(document, "SimpleHead", "util.SimpleHead")? else {
            return Ok(head);
        };
        fields.string("apiVersion", &mut head.api_version)?;
        fields.string("kind", &mut head.kind)?;
        if let Some(metadata) = fields.value("metadata")
            && let Some(mut metadata) =
                Fields::of(metadata, "SimpleHead.metadata", "struct { Name string; … }")?
        {
            metadata.string("name", &mut head.name)?;
            let mut annotations = None;
            metadata.string_map("annotations", &mut annotations)?;
            head.annotations = annotations.unwrap_or_default();
        }
        Ok(head)
    }
}

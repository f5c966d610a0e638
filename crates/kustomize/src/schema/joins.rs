//! The built-in schema for others: whoever merges objects of built-in kinds needs to know how lists join.

use std::sync::Arc;

use super::{Field, Schema, Shape};

/// A place in objects of a built-in kind, and how a strategic merge joins the list that may be there.
#[derive(Clone, Debug)]
pub struct MergeType {
    schema: Arc<Schema>,
    field: Field,
}

impl MergeType {
    /// The whole object; nothing for kinds that are not built in, whose lists never join.
    pub fn of_kind(api_version: &str, kind: &str) -> Option<Self> {
        let schema = Schema::builtin();
        let field = schema.resource(api_version, kind)?;
        Some(Self { schema, field })
    }

    /// A member of the object or map that is here.
    pub fn member(&self, name: &str) -> Option<Self> {
        let field = self.schema.member(&self.field, name)?;
        Some(Self { schema: self.schema.clone(), field })
    }

    /// An element of the list that is here.
    pub fn element(&self) -> Option<Self> {
        let field = Schema::element(&self.field)?;
        Some(Self { schema: self.schema.clone(), field })
    }

    /// The fields by which elements of the list that is here are the same; none at all for a set of plain values.
    /// Nothing where a list replaces another as a whole.
    pub fn merge_keys(&self) -> Option<&[String]> {
        match &self.field.shape {
            Shape::MergeList(keys) => Some(keys),
            Shape::Object | Shape::List | Shape::Map => None,
        }
    }
}

//! Where strategic merges join lists.

mod custom;
mod joins;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

pub(crate) use custom::{parse as parse_custom, parse_scopes};
pub use joins::MergeType;

/// The type of a field: a number into [`Schema::types`], or one without lists to merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeRef {
    Type(usize),
    /// Known, but nothing below merges.
    Opaque,
    /// A definition that is not there.
    Unknown,
}

/// What a field holds.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) shape: Shape,
    pub(crate) of: TypeRef,
}

/// How the values of a field are arranged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    List,
    Map,
    /// A list that merges by keys; without keys a set.
    MergeList(Vec<String>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Type {
    pub(crate) fields: HashMap<String, Field>,
    /// The type of members that are not listed.
    pub(crate) others: Option<Box<Field>>,
    /// Whether members that are not listed are unknown rather than opaque.
    pub(crate) open: bool,
}

/// Types, and which resources have them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    pub(crate) types: Vec<Type>,
    pub(crate) roots: HashMap<(String, String), TypeRef>,
    /// Definitions by name.
    pub(crate) names: HashMap<String, usize>,
}

static BUILTIN: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(parse_table(include_str!("builtin.txt"))));

fn parse_table(table: &str) -> Schema {
    let mut schema = Schema::default();
    for line in table.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let last = schema.types.len().wrapping_sub(1);
        match words.as_slice() {
            ["//", ..] => {}
            [number, names @ ..] if number.starts_with('@') => {
                let next = schema.types.len();
                for name in names {
                    let name =
                        name.replace('~', "io.k8s.api.").replace('^', "io.k8s.apimachinery.pkg.apis.meta.");
                    schema.names.insert(name, next);
                }
                schema.types.push(Type::default());
            }
            ["=", api_version, kind] => {
                schema.roots.insert(((*api_version).to_owned(), (*kind).to_owned()), TypeRef::Type(last));
            }
            [name, rest @ .., of] => {
                let shape = match rest {
                    [] => Shape::Object,
                    ["[]"] => Shape::List,
                    ["{}"] => Shape::Map,
                    [keys] => Shape::MergeList(
                        keys.trim_start_matches('*')
                            .split(',')
                            .filter(|key| !key.is_empty())
                            .map(str::to_owned)
                            .collect(),
                    ),
                    _ => continue,
                };
                let of = of.parse().map_or(TypeRef::Opaque, TypeRef::Type);
                if let Some(open) = schema.types.last_mut() {
                    open.fields.insert((*name).to_owned(), Field { shape, of });
                }
            }
            _ => {}
        }
    }
    schema
}

impl Schema {
    /// The built-in schema.
    pub(crate) fn builtin() -> Arc<Self> {
        BUILTIN.clone()
    }

    /// The type of a resource.
    pub(crate) fn resource(&self, api_version: &str, kind: &str) -> Option<Field> {
        let key = (api_version.to_owned(), kind.to_owned());
        self.roots.get(&key).map(|of| Field { shape: Shape::Object, of: *of })
    }

    /// The member of an object or map.
    pub(crate) fn member(&self, field: &Field, name: &str) -> Option<Field> {
        self.any_member(field, name).filter(|member| member.of != TypeRef::Unknown)
    }

    fn any_member(&self, field: &Field, name: &str) -> Option<Field> {
        let opaque = Field { shape: Shape::Object, of: TypeRef::Opaque };
        match field.shape {
            Shape::Object => match field.of {
                TypeRef::Opaque => Some(opaque),
                TypeRef::Unknown => None,
                TypeRef::Type(number) => {
                    let known = self.types.get(number)?;
                    match known.fields.get(name) {
                        Some(member) => Some(member.clone()),
                        None => match &known.others {
                            Some(others) => Some((**others).clone()),
                            None if known.open => None,
                            None => Some(opaque),
                        },
                    }
                }
            },
            Shape::Map => Some(Field { shape: Shape::Object, of: field.of }),
            Shape::List | Shape::MergeList(_) => None,
        }
    }

    /// The elements of a list.
    pub(crate) fn element(field: &Field) -> Option<Field> {
        match field.shape {
            Shape::List | Shape::MergeList(_) => Some(Field { shape: Shape::Object, of: field.of }),
            Shape::Object | Shape::Map => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_merge_by_name_and_ports_by_number_and_protocol() {
        let schema = Schema::builtin();
        let mut field = schema.resource("apps/v1", "Deployment").expect("a built-in kind");
        for step in ["spec", "template", "spec", "containers"] {
            field = schema.member(&field, step).expect("a field");
        }
        assert_eq!(field.shape, Shape::MergeList(vec!["name".to_owned()]));
        let container = Schema::element(&field).expect("elements");
        let ports = schema.member(&container, "ports").expect("a field");
        assert_eq!(ports.shape, Shape::MergeList(vec!["containerPort".to_owned(), "protocol".to_owned()]));
    }
}

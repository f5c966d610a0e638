//! The values a template works on.

mod int;
mod json;
pub(crate) mod list;
pub(crate) mod map;
mod object;
mod release;
mod text;
mod types;
mod untie;

use std::rc::Rc;

pub use int::{Int, IntKind};
pub use list::{List, ListKind};
pub use map::{Map, MapKind};
pub use object::{Method, Object, ObjectKind};
pub use text::Str;
pub(crate) use text::decode;
pub use types::{Class, Type};
pub(crate) use untie::untie;

/// A value as a Go template sees it.
///
/// Cloning is cheap: texts, lists, maps and objects are shared. Maps are shared *by reference*, as
/// in Go: who changes one changes it for all who hold it.
#[derive(Clone, Default)]
pub enum Value {
    /// No value at all: what a missing pipeline or an unboxed nil is. Prints as `<no value>`.
    #[default]
    Missing,
    /// A nil inside a list or a map. Prints as `<nil>` when nested.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer of some Go kind.
    Int(Int),
    /// A float64.
    Float(f64),
    /// A complex128.
    Complex(f64, f64),
    /// A string: any bytes, mostly UTF-8.
    String(Str),
    /// A `[]byte`.
    Bytes(Str),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// Anything with methods or fields of its own.
    Object(Rc<dyn Object>),
}

impl Value {
    /// A Go `int`.
    pub const fn int(value: i64) -> Self {
        Self::Int(Int::new(IntKind::Int, value))
    }

    /// A Go `int64`.
    pub const fn int64(value: i64) -> Self {
        Self::Int(Int::new(IntKind::Int64, value))
    }

    /// A string.
    pub fn string(value: impl Into<Str>) -> Self {
        Self::String(value.into())
    }

    /// A `[]interface {}`.
    pub fn list(values: Vec<Value>) -> Self {
        Self::List(List::new(values))
    }

    /// A `[]string`.
    pub fn strings<S: Into<Str>>(values: impl IntoIterator<Item = S>) -> Self {
        Self::List(List::of(
            &list::STRINGS,
            values.into_iter().map(|text| Self::String(text.into())).collect(),
        ))
    }

    /// A `map[string]interface {}`.
    pub fn map<K: Into<Str>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(Map::from_entries(entries))
    }

    /// An object.
    pub fn object(object: impl Object + 'static) -> Self {
        Self::Object(Rc::new(object))
    }

    /// Whether this is nil in either form.
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Missing | Self::Nil)
    }

    /// The text of a string value.
    pub const fn as_str(&self) -> Option<&Str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub const fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub const fn as_list(&self) -> Option<&List> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The name of the Go type of a value, `<nil>` for none (as `%T` prints it).
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(int) => int.kind().name(),
            Self::Float(_) => "float64",
            Self::Complex(..) => "complex128",
            Self::String(_) => "string",
            Self::Bytes(_) => "[]uint8",
            Self::List(list) => list.kind().name,
            Self::Map(map) => map.kind().name,
            Self::Object(object) => object.type_name(),
        }
    }

    /// The name of the Go kind of a value (as sprig's `kindOf` prints it).
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(int) => int.kind().underlying(),
            Self::Float(_) => "float64",
            Self::Complex(..) => "complex128",
            Self::String(_) => "string",
            Self::Bytes(_) | Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Object(object) => object.kind().name(),
        }
    }

    /// Go's truth: whether `if` takes the branch.
    pub fn truth(&self) -> bool {
        match self {
            Self::Missing | Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(int) => !int.is_zero(),
            Self::Float(value) => *value != 0.0,
            Self::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Self::String(text) | Self::Bytes(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(object) => object.truth(),
        }
    }

    /// The number of elements, or of bytes in a string; nothing for the rest.
    pub fn length(&self) -> Option<usize> {
        Some(match self {
            Self::String(text) | Self::Bytes(text) => text.len(),
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
            Self::Object(object) => object.entries()?.len(),
            _ => return None,
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Self::List(list)
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("<no value>"),
            Self::Nil => f.write_str("<nil>"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(int) => write!(f, "{int}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Complex(real, imaginary) => write!(f, "({real}{imaginary:+}i)"),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Bytes(text) => write!(f, "bytes({} of them)", text.len()),
            // Maps may hold themselves: sizes only.
            Self::List(list) => write!(f, "{}({} of them)", list.kind().name, list.len()),
            Self::Map(map) => write!(f, "{}({} of them)", map.kind().name, map.len()),
            Self::Object(object) => f.write_str(object.type_name()),
        }
    }
}

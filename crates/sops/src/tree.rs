//! A document as SOPS sees it: maps in order, and comments among their entries.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Text, which may be any bytes.
    Text(Vec<u8>),
    /// A point in time, as RFC 3339 has it.
    Time(String),
    List(Vec<Element>),
    Map(Branch),
    /// Something SOPS does not handle, by the name Go has for its type.
    Foreign(&'static str),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_bytes())
    }

    /// The name that Go has for the type.
    pub(crate) fn go_type(&self) -> &'static str {
        match self {
            Self::Null => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Time(_) => "time.Time",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "sops.TreeBranch",
            Self::Foreign(name) => name,
        }
    }
}

/// A remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comment {
    pub(crate) text: String,
    /// Whether it stands behind a value.
    pub(crate) inline: bool,
}

/// An element of a list, or a comment before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Element {
    Comment(Comment),
    Value(Value),
}

/// An entry of a map, or a comment before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Comment(Comment),
    Entry(String, Value),
}

/// The entries of a map, in order. Keys may repeat.
pub(crate) type Branch = Vec<Item>;

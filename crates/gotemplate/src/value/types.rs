//! Go types as far as parameters and elements name them.

use super::{IntKind, Value};

/// How a type behaves where a literal or nil meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `interface {}`: takes anything.
    Any,
    /// `reflect.Value`: takes anything and keeps nil and missing apart.
    Reflect,
    /// `bool`
    Bool,
    /// `string`
    String,
    /// An integer type.
    Int(IntKind),
    /// `float64`
    Float,
    /// `map[string]interface {}`
    Map,
    /// Another type that nil fits: a slice, a pointer.
    Nillable,
    /// A struct.
    Struct,
}

/// A Go type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    /// Its name as Go prints it.
    pub name: &'static str,
    /// Its nature.
    pub class: Class,
}

impl Type {
    /// `interface {}`
    pub const ANY: Self = Self::new("interface {}", Class::Any);
    /// `reflect.Value`
    pub const REFLECT: Self = Self::new("reflect.Value", Class::Reflect);
    /// `bool`
    pub const BOOL: Self = Self::new("bool", Class::Bool);
    /// `string`
    pub const STRING: Self = Self::new("string", Class::String);
    /// `int`
    pub const INT: Self = Self::new("int", Class::Int(IntKind::Int));
    /// `int64`
    pub const INT64: Self = Self::new("int64", Class::Int(IntKind::Int64));
    /// `uint8`
    pub const UINT8: Self = Self::new("uint8", Class::Int(IntKind::Uint8));
    /// `uint32`
    pub const UINT32: Self = Self::new("uint32", Class::Int(IntKind::Uint32));
    /// `float64`
    pub const FLOAT: Self = Self::new("float64", Class::Float);
    /// `map[string]interface {}`
    pub const MAP: Self = Self::new("map[string]interface {}", Class::Map);
    /// `map[string]string`
    pub const STRING_MAP: Self = Self::new("map[string]string", Class::Nillable);
    /// `[]interface {}`
    pub const LIST: Self = Self::new("[]interface {}", Class::Nillable);
    /// `[]string`
    pub const STRINGS: Self = Self::new("[]string", Class::Nillable);
    /// `[]uint8`
    pub const BYTES: Self = Self::new("[]uint8", Class::Nillable);

    /// A type by name.
    pub const fn new(name: &'static str, class: Class) -> Self {
        Self { name, class }
    }

    /// Whether an untyped nil may stand for it.
    pub const fn takes_nil(self) -> bool {
        matches!(self.class, Class::Any | Class::Reflect | Class::Map | Class::Nillable)
    }

    /// Whether a value of this type hides its real one (so that messages say `interface {}`).
    pub const fn is_boxed(self) -> bool {
        matches!(self.class, Class::Any)
    }

    /// Whether a value that is neither nil nor missing may be passed as this type.
    pub fn accepts(self, value: &Value) -> bool {
        match (self.class, value) {
            (Class::Any | Class::Reflect, _)
            | (Class::String, Value::String(_))
            | (Class::Bool, Value::Bool(_))
            | (Class::Float, Value::Float(_)) => true,
            (Class::Int(kind), Value::Int(int)) => int.kind() == kind,
            (Class::Map, Value::Map(map)) => map.kind().elem.class == Class::Any,
            (Class::Nillable | Class::Struct, _) => value.type_name() == self.name,
            _ => false,
        }
    }

    /// The value a variable of this type starts with; what reading a missing map key gives.
    pub fn zero(self) -> Value {
        match self.class {
            Class::Any => Value::Nil,
            Class::Reflect => Value::Missing,
            Class::Bool => Value::Bool(false),
            Class::String => Value::string(""),
            Class::Int(kind) => Value::Int(super::Int::new(kind, 0)),
            Class::Float => Value::Float(0.0),
            Class::Nillable if self.name == Self::BYTES.name => Value::Bytes((&b""[..]).into()),
            Class::Map | Class::Nillable | Class::Struct => Value::Nil,
        }
    }
}

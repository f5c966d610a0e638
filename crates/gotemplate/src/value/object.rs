//! Values with methods or fields of their own.

use std::any::Any;

use super::{Str, Type, Value};
use crate::error::Failure;
use crate::exec::Ctx;

/// The Go kind of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A struct: always true.
    Struct,
    /// A pointer to a struct.
    Pointer,
    /// A map: ranged, indexed and read like one.
    Map,
    /// A slice: ranged and indexed like one.
    List,
}

impl ObjectKind {
    /// As sprig's `kindOf` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Struct => "struct",
            Self::Pointer => "ptr",
            Self::Map => "map",
            Self::List => "slice",
        }
    }
}

/// A method that templates can call.
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// The types of its parameters.
    pub params: &'static [Type],
    /// Whether the last parameter may come any number of times.
    pub variadic: bool,
    /// What it returns.
    pub result: Type,
    /// The code: context, receiver, arguments (as many and as typed as `params` say).
    pub call: fn(&mut Ctx<'_>, &Value, &mut [Value]) -> Result<Value, Failure>,
}

/// A value with methods, fields or both.
pub trait Object: Any {
    /// The Go type's name, such as `*semver.Version`.
    fn type_name(&self) -> &'static str;

    /// The Go kind.
    fn kind(&self) -> ObjectKind {
        ObjectKind::Struct
    }

    /// The methods. They win over fields.
    fn methods(&self) -> &'static [Method] {
        &[]
    }

    /// A struct's field or a map's entry.
    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    /// The entries of a map or a list, in order (keys of a list are ints). `None` for the others.
    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        None
    }

    /// The type of the elements of a map or a list.
    fn elem(&self) -> Type {
        Type::ANY
    }

    /// What Go's `%v` prints: the `String` method or the fields in braces.
    fn print(&self) -> Str;

    /// The fields of a struct, or of the struct behind a pointer, as Go prints them under verbs that
    /// the `String` method does not serve. Without them `print` is taken for every verb.
    fn fields(&self) -> Option<Vec<(&'static str, Value)>> {
        None
    }

    /// What `deepCopy` makes of it, where that is not the object itself.
    fn copied(&self) -> Option<Value> {
        None
    }

    /// The fields that `toJson` sees, in order; without them those of `to_plain` by name.
    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        None
    }

    /// What an action prints that has the object itself at hand: Go sees methods of pointers there
    /// that it does not see on an argument.
    fn print_in_place(&self) -> Option<Str> {
        None
    }

    /// Whether `print` is the result of a `String` method (so that `%s` and `%q` use it too).
    fn has_string_method(&self) -> bool {
        false
    }

    /// What `toJson` and `toYaml` see in its place.
    fn to_plain(&self) -> Value {
        Value::map(std::iter::empty::<(&str, Value)>())
    }

    /// Go's truth.
    fn truth(&self) -> bool {
        self.entries().is_none_or(|entries| !entries.is_empty())
    }

    /// Whether it equals another object (same type, same content).
    fn equals(&self, other: &dyn Object) -> bool;

    /// For downcasts.
    fn as_any(&self) -> &dyn Any;
}

//! Slices. No template function changes a list in place, so they are immutable.

use std::rc::Rc;

use super::{Type, Value, release};

/// The Go type of a list.
#[derive(Debug)]
pub struct ListKind {
    /// Its name as Go prints it.
    pub name: &'static str,
    /// The type of the elements.
    pub elem: Type,
    /// Whether it is the nil slice of that type: JSON has `null` for it.
    pub is_nil: bool,
}

impl ListKind {
    const fn new(name: &'static str, elem: Type) -> Self {
        Self { name, elem, is_nil: false }
    }
}

/// `[]interface {}`
pub(crate) static ANY: ListKind = ListKind::new("[]interface {}", Type::ANY);
/// `[]string`
pub(crate) static STRINGS: ListKind = ListKind::new("[]string", Type::STRING);
/// `[]int`
pub(crate) static INTS: ListKind = ListKind::new("[]int", Type::INT);
/// `[][]interface {}`
pub(crate) static LISTS: ListKind = ListKind::new("[][]interface {}", Type::LIST);
/// `[]map[string]interface {}`
pub(crate) static MAPS: ListKind = ListKind::new("[]map[string]interface {}", Type::MAP);
/// The nil `[]string`
pub(crate) static NIL_STRINGS: ListKind = ListKind { name: "[]string", elem: Type::STRING, is_nil: true };
/// The nil `[]interface {}`
pub(crate) static NIL: ListKind = ListKind { name: "[]interface {}", elem: Type::ANY, is_nil: true };

/// A shared list.
#[derive(Clone)]
pub struct List(Rc<Cell>);

struct Cell {
    kind: &'static ListKind,
    values: Vec<Value>,
}

impl List {
    /// A `[]interface {}`.
    pub fn new(values: Vec<Value>) -> Self {
        Self::of(&ANY, values)
    }

    /// The nil `[]interface {}`: it reads as empty and is `null` in JSON.
    pub fn nil() -> Self {
        Self::of(&NIL, Vec::new())
    }

    /// A list of some other type; the caller sees to it that the values are of that type.
    pub fn of(kind: &'static ListKind, values: Vec<Value>) -> Self {
        Self(Rc::new(Cell { kind, values }))
    }

    /// The Go type.
    pub fn kind(&self) -> &'static ListKind {
        self.0.kind
    }

    /// The elements.
    pub fn values(&self) -> &[Value] {
        &self.0.values
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.0.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.values.is_empty()
    }

    /// Whether both are one and the same list.
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        release::values(&mut self.values);
    }
}

//! Maps with string keys, shared by reference.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Method, Str, Type, Value, release};

/// The Go type of a map.
pub struct MapKind {
    /// Its name as Go prints it.
    pub name: &'static str,
    /// The type of the elements.
    pub elem: Type,
    /// What can be called on it; a method wins over a key of the same name.
    pub methods: &'static [Method],
}

/// `map[string]interface {}`
pub(crate) static ANY: MapKind = MapKind { name: "map[string]interface {}", elem: Type::ANY, methods: &[] };
/// `map[string]string`
pub(crate) static STRINGS: MapKind = MapKind { name: "map[string]string", elem: Type::STRING, methods: &[] };

/// The nil `map[string]interface {}`
static NIL: MapKind = MapKind { name: "map[string]interface {}", elem: Type::ANY, methods: &[] };

/// The nil `map[string]string`
static NIL_STRINGS: MapKind = MapKind { name: "map[string]string", elem: Type::STRING, methods: &[] };

/// A shared, mutable map. Iteration is in key order.
#[derive(Clone)]
pub struct Map(Rc<Cell>, &'static MapKind);

struct Cell {
    entries: RefCell<BTreeMap<Str, Value>>,
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl Map {
    /// An empty `map[string]interface {}`.
    pub fn new() -> Self {
        Self::of(&ANY)
    }

    /// The nil `map[string]interface {}`: it reads as empty, is `null` in JSON, and takes no entries.
    pub fn nil() -> Self {
        Self::of(&NIL)
    }

    /// The nil `map[string]string`.
    pub fn nil_strings() -> Self {
        Self::of(&NIL_STRINGS)
    }

    /// Whether this is a nil map.
    pub fn is_nil(&self) -> bool {
        std::ptr::eq(self.1, &raw const NIL) || std::ptr::eq(self.1, &raw const NIL_STRINGS)
    }

    /// An empty map of some other type.
    pub fn of(kind: &'static MapKind) -> Self {
        Self(Rc::new(Cell { entries: RefCell::default() }), kind)
    }

    /// A `map[string]interface {}` of these entries; a later one of the same key wins.
    pub fn from_entries<K: Into<Str>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::of_entries(&ANY, entries)
    }

    /// A map of some other type; the caller sees to it that the values are of that type.
    pub fn of_entries<K: Into<Str>>(
        kind: &'static MapKind,
        entries: impl IntoIterator<Item = (K, Value)>,
    ) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self(Rc::new(Cell { entries: RefCell::new(entries) }), kind)
    }

    /// The Go type.
    pub fn kind(&self) -> &'static MapKind {
        self.1
    }

    /// The value at a key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        self.0.entries.borrow().get(key.as_ref()).cloned()
    }

    /// Whether the key is there.
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> bool {
        self.0.entries.borrow().contains_key(key.as_ref())
    }

    /// Sets a key, for all who hold this map.
    pub fn insert(&self, key: impl Into<Str>, value: Value) {
        // The old value is dropped only after the borrow ends: it may hold this very map.
        let old = self.0.entries.borrow_mut().insert(key.into(), value);
        drop(old);
    }

    /// Removes a key, for all who hold this map.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        self.0.entries.borrow_mut().remove(key.as_ref())
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.entries.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.entries.borrow().is_empty()
    }

    /// The keys in order.
    pub fn keys(&self) -> Vec<Str> {
        self.0.entries.borrow().keys().cloned().collect()
    }

    /// The entries in key order, as they are now.
    pub fn entries(&self) -> Vec<(Str, Value)> {
        let entries = self.0.entries.borrow();
        entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Calls `visit` for each entry in key order. `visit` must not change this map.
    pub fn try_each<E>(&self, mut visit: impl FnMut(&Str, &Value) -> Result<(), E>) -> Result<(), E> {
        for (key, value) in &*self.0.entries.borrow() {
            visit(key, value)?;
        }
        Ok(())
    }

    /// Whether both are one and the same map.
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// A number that tells this map from all others alive.
    pub fn identity(&self) -> usize {
        Rc::as_ptr(&self.0) as usize
    }

    /// The same entries under another Go type (not shared afterwards).
    pub fn retyped(&self, kind: &'static MapKind) -> Self {
        Self(Rc::new(Cell { entries: RefCell::new(self.0.entries.borrow().clone()) }), kind)
    }

    /// The same map seen as another Go type: who changes one changes the other.
    pub fn viewed_as(&self, kind: &'static MapKind) -> Self {
        Self(Rc::clone(&self.0), kind)
    }

    /// Empties the map, for all who hold it.
    pub fn clear(&self) {
        let old = std::mem::take(&mut *self.0.entries.borrow_mut());
        drop(old);
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        let mut values: Vec<Value> = std::mem::take(self.entries.get_mut()).into_values().collect();
        release::values(&mut values);
    }
}

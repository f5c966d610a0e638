//! Tables of values that may be shared, as Go's maps are: who changes a table changes it for all who hold it.
//!
//! Values from files are only borrowed. A table is taken apart, one level at a time, when something is put into it or
//! when it gets a second holder.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Values;

/// The place of a table in its [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableId(usize);

impl TableId {
    /// From 0, without gaps.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// One value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'a> {
    /// As it was read: a scalar, a list, or a table that nobody else holds.
    Plain(&'a Value),
    /// A table that was taken apart.
    Table(TableId),
}

impl Node<'_> {
    /// Whether it is `null`.
    pub(crate) fn is_null(self) -> bool {
        matches!(self, Node::Plain(Value::Null))
    }

    /// Whether it is a table.
    pub(crate) fn is_table(self) -> bool {
        matches!(self, Node::Plain(Value::Object(_)) | Node::Table(_))
    }
}

/// Tables within tables.
const MAX_DEPTH: usize = 1000;

type Table<'a> = BTreeMap<&'a str, Node<'a>>;

/// All tables that were taken apart or made.
#[derive(Debug, Default)]
pub(crate) struct Graph<'a> {
    tables: Vec<Table<'a>>,
}

impl<'a> Graph<'a> {
    fn add(&mut self, table: Table<'a>) -> TableId {
        self.tables.push(table);
        TableId(self.tables.len() - 1)
    }

    /// An empty table.
    pub(crate) fn empty(&mut self) -> TableId {
        self.add(Table::new())
    }

    /// A table of its own with these values.
    pub(crate) fn of(&mut self, values: &'a Values) -> TableId {
        self.add(values.iter().map(|(key, value)| (key.as_str(), Node::Plain(value))).collect())
    }

    /// How many tables there are.
    pub(crate) fn len(&self) -> usize {
        self.tables.len()
    }

    /// The entries in the order of their keys.
    pub(crate) fn entries(&self, table: TableId) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        self.tables[table.0].iter().map(|(key, node)| (*key, *node))
    }

    /// The value at a key.
    pub(crate) fn get(&self, table: TableId, key: &str) -> Option<Node<'a>> {
        self.tables[table.0].get(key).copied()
    }

    /// The value at a key, unless it is a table that was taken apart.
    pub(crate) fn value(&self, table: TableId, key: &str) -> Option<&'a Value> {
        match self.get(table, key)? {
            Node::Plain(value) => Some(value),
            Node::Table(_) => None,
        }
    }

    /// Sets a key.
    pub(crate) fn insert(&mut self, table: TableId, key: &'a str, node: Node<'a>) {
        self.tables[table.0].insert(key, node);
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, table: TableId, key: &str) {
        self.tables[table.0].remove(key);
    }

    /// The table at a key, which is taken apart if it was not yet: others can hold it from now on.
    pub(crate) fn table(&mut self, table: TableId, key: &'a str) -> Option<TableId> {
        match self.get(table, key)? {
            Node::Table(inner) => Some(inner),
            Node::Plain(Value::Object(values)) => {
                let inner = self.of(values);
                self.insert(table, key, Node::Table(inner));
                Some(inner)
            }
            Node::Plain(_) => None,
        }
    }

    /// The table at a path of keys with dots between.
    pub(crate) fn table_at(&mut self, table: TableId, path: &'a str) -> Option<TableId> {
        path.split('.').try_fold(table, |table, key| self.table(table, key))
    }

    /// The value at a path, unless it is a table.
    pub(crate) fn value_at(&self, table: TableId, path: &str) -> Option<&'a Value> {
        let mut node = Node::Table(table);
        for key in path.split('.') {
            node = match node {
                Node::Table(table) => self.get(table, key)?,
                Node::Plain(value) => Node::Plain(value.as_object()?.get(key)?),
            };
        }
        match node {
            Node::Plain(value) if !value.is_object() => Some(value),
            _ => None,
        }
    }

    /// A table that shares nothing with the first.
    pub(crate) fn deep_copy(&mut self, table: TableId) -> TableId {
        let mut copy = self.tables[table.0].clone();
        for node in copy.values_mut() {
            if let Node::Table(inner) = *node {
                *node = Node::Table(self.deep_copy(inner));
            }
        }
        self.add(copy)
    }

    /// Whether the tables below one, each counted as often as it is held, are at most `limit` and not nested deeper
    /// than values can be: what is held by itself has no end.
    pub(crate) fn is_within(&self, table: TableId, limit: usize) -> bool {
        let mut left = limit;
        self.count(table, MAX_DEPTH, &mut left)
    }

    fn count(&self, table: TableId, depth: usize, left: &mut usize) -> bool {
        if depth == 0 || *left == 0 {
            return false;
        }
        *left -= 1;
        self.tables[table.0].values().all(|node| match node {
            Node::Table(inner) => self.count(*inner, depth - 1, left),
            Node::Plain(_) => true,
        })
    }

    /// A new table that shares the inner tables.
    fn shallow_copy(&mut self, table: TableId) -> TableId {
        let keys: Vec<&'a str> = self.entries(table).map(|(key, _)| key).collect();
        for key in keys {
            self.table(table, key);
        }
        self.add(self.tables[table.0].clone())
    }

    /// The value without nulls in its tables; those in lists stay. Nothing for a null.
    pub(crate) fn without_nulls(&mut self, node: Node<'a>) -> Option<Node<'a>> {
        match node {
            Node::Plain(value) if !has_null(value) => Some(node),
            Node::Plain(Value::Object(values)) => {
                let table = self.of(values);
                self.clean(table);
                Some(Node::Table(table))
            }
            Node::Plain(_) => None,
            Node::Table(table) => {
                self.clean(table);
                Some(node)
            }
        }
    }

    fn clean(&mut self, table: TableId) {
        let entries: Vec<_> = self.entries(table).collect();
        for (key, node) in entries {
            match self.without_nulls(node) {
                Some(clean) => self.insert(table, key, clean),
                None => self.remove(table, key),
            }
        }
    }

    /// Fills `target` from values that nobody else holds. Without `keep_null`, a null removes what it stands over.
    pub(crate) fn fill(&mut self, target: TableId, source: &'a Values, keep_null: bool) {
        for (key, value) in source {
            self.fill_key(target, key, Node::Plain(value), keep_null);
        }
    }

    /// Like [`Graph::fill`] with one entry.
    pub(crate) fn fill_key(&mut self, target: TableId, key: &'a str, value: Node<'a>, keep_null: bool) {
        if !keep_null && value.is_null() {
            return;
        }
        match self.get(target, key) {
            None => {
                if let Some(value) = if keep_null { Some(value) } else { self.without_nulls(value) } {
                    self.insert(target, key, value);
                }
            }
            Some(held) if held.is_null() => {
                if !keep_null {
                    self.remove(target, key);
                }
            }
            Some(held) if held.is_table() => {
                let Some(inner) = self.table(target, key) else { return };
                match value {
                    Node::Plain(Value::Object(values)) => self.fill(inner, values, keep_null),
                    Node::Plain(_) => {}
                    Node::Table(source) => {
                        let entries: Vec<_> = self.entries(source).collect();
                        for (key, value) in entries {
                            self.fill_key(inner, key, value, keep_null);
                        }
                    }
                }
            }
            Some(_) => {}
        }
    }

    /// Fills `target` from a table that others hold too: afterwards both share what was missing, and the nulls of
    /// `target` stand in both. Nulls stay.
    pub(crate) fn merge(&mut self, target: TableId, source: TableId) {
        if target == source {
            return;
        }
        let nulls: Vec<_> = self.entries(target).filter(|(_, node)| node.is_null()).collect();
        for (key, null) in nulls {
            self.insert(source, key, null);
        }
        let keys: Vec<&'a str> = self.entries(source).map(|(key, _)| key).collect();
        for key in keys {
            // Both tables may be reached through each other: they are looked at anew for each key.
            let inner = self.table(source, key);
            match (self.get(target, key), inner) {
                (None, Some(inner)) => self.insert(target, key, Node::Table(inner)),
                (None, None) => {
                    if let Some(node) = self.get(source, key) {
                        self.insert(target, key, node);
                    }
                }
                (Some(held), Some(inner)) if held.is_table() => {
                    if let Some(held) = self.table(target, key) {
                        self.merge(held, inner);
                    }
                }
                _ => {}
            }
        }
    }

    /// The globals of `parent` over those of `section`. Tables within the tables below `global` are shared afterwards.
    pub(crate) fn inherit(&mut self, section: TableId, parent: TableId, global: &'static str) {
        let own = match self.get(section, global) {
            None => self.empty(),
            Some(_) => match self.table(section, global) {
                Some(table) => table,
                None => return,
            },
        };
        let inherited = match self.get(parent, global) {
            None => Vec::new(),
            Some(_) => match self.table(parent, global) {
                Some(table) => self.entries(table).map(|(key, _)| (key, table)).collect(),
                None => return,
            },
        };
        for (key, globals) in inherited {
            let held = self.get(own, key);
            match self.table(globals, key) {
                Some(table) => {
                    if held.is_none_or(Node::is_table) {
                        let copy = self.shallow_copy(table);
                        if let Some(below) = self.table(own, key) {
                            self.merge(copy, below);
                        }
                        self.insert(own, key, Node::Table(copy));
                    }
                }
                None => {
                    if let (Some(value), false) = (self.get(globals, key), held.is_some_and(Node::is_table)) {
                        self.insert(own, key, value);
                    }
                }
            }
        }
        self.insert(section, global, Node::Table(own));
    }

    /// Everything below a table.
    pub(crate) fn to_values(&self, table: TableId) -> Values {
        self.entries(table)
            .map(|(key, node)| {
                let value = match node {
                    Node::Plain(value) => value.clone(),
                    Node::Table(inner) => Value::Object(self.to_values(inner)),
                };
                (key.to_owned(), value)
            })
            .collect()
    }
}

/// Whether there is a null in a table, or it is one.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(table) => table.values().any(has_null),
        _ => false,
    }
}

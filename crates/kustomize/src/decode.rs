//! Values into typed fields as encoding/json decodes structs: keys in any case, unknown keys refused.

use std::collections::BTreeMap;

use sluice_yaml::Value;
use sluice_yaml::number::format_float;

use crate::error::{Error, Result};

/// How to read a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// Unknown keys are errors.
    pub(crate) strict: bool,
    /// Numbers and booleans turn into text where text is wanted.
    pub(crate) coerce: bool,
}

/// The kustomization file: nothing is forgiven.
pub(crate) const STRICT: Mode = Mode { strict: true, coerce: false };
/// Plugin configurations.
pub(crate) const LENIENT: Mode = Mode { strict: false, coerce: true };
/// Transformer configurations.
pub(crate) const STRICT_COERCING: Mode = Mode { strict: true, coerce: true };

/// An object being taken apart.
pub(crate) struct Object<'v> {
    entries: Vec<(&'v str, &'v Value, bool)>,
    type_name: &'static str,
    path: String,
    mode: Mode,
}

/// What encoding/json calls a value.
pub(crate) fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => "number",
        Value::String(_) => "string",
        Value::Sequence(_) => "array",
        Value::Mapping(_) => "object",
    }
}

impl<'v> Object<'v> {
    /// The document itself.
    pub(crate) fn root(value: &'v Value, type_name: &'static str, mode: Mode) -> Result<Option<Self>> {
        Self::at(value, type_name, String::new(), mode)
    }

    fn at(value: &'v Value, type_name: &'static str, path: String, mode: Mode) -> Result<Option<Self>> {
        match value {
            Value::Null => Ok(None),
            Value::Mapping(entries) => Ok(Some(Self {
                entries: entries.iter().map(|(key, value)| (key.as_str(), value, false)).collect(),
                type_name,
                path,
                mode,
            })),
            other if path.is_empty() => Err(Error::new(format!(
                "json: cannot unmarshal {} into Go value of type types.{type_name}",
                go_kind(other)
            ))),
            other => Err(Error::new(format!(
                "json: cannot unmarshal {} into Go struct field {type_name}.{path} of type types.{type_name}",
                go_kind(other)
            ))),
        }
    }

    fn wrong(&self, value: &Value, field: &str, wanted: &str) -> Error {
        let dot = if self.path.is_empty() { "" } else { "." };
        Error::new(format!(
            "json: cannot unmarshal {} into Go struct field {}.{}{dot}{field} of type {wanted}",
            go_kind(value),
            self.type_name,
            self.path
        ))
    }

    /// Reads members that Go has in a struct within the struct, which errors name.
    pub(crate) fn embedded<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = self.child_path(name);
        let outer = std::mem::replace(&mut self.path, outer);
        let result = read(self);
        self.path = outer;
        result
    }

    fn child_path(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// The member, whatever the case of its key. Go decodes keys in the order of their bytes: the last that says
    /// something wins.
    pub(crate) fn take(&mut self, field: &str) -> Option<&'v Value> {
        let mut found: Option<(&str, &'v Value)> = None;
        for (key, value, used) in &mut self.entries {
            if *key == field || (key.len() == field.len() && key.eq_ignore_ascii_case(field)) {
                *used = true;
                let wins = found.is_none_or(|(known, old)| {
                    let says = |value: &Value| !matches!(value, Value::Null);
                    (says(value), *key) >= (says(old), known)
                });
                if wins {
                    found = Some((key, value));
                }
            }
        }
        found.map(|(_, value)| value)
    }

    /// Whether the member is there and says something.
    pub(crate) fn is_set(&self, field: &str) -> bool {
        self.entries.iter().any(|(key, value, _)| {
            key.eq_ignore_ascii_case(field) && !matches!(value, Value::Null) && value.as_str() != Some("")
        })
    }

    fn text(&self, value: &Value, field: &str) -> Result<String> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Ok(String::new()),
            Value::Bool(value) if self.mode.coerce => Ok(value.to_string()),
            Value::Int(value) if self.mode.coerce => Ok(value.to_string()),
            Value::Uint(value) if self.mode.coerce => Ok(value.to_string()),
            Value::Float(value) if self.mode.coerce => Ok(coerced_float(*value)),
            other => Err(self.wrong(other, field, "string")),
        }
    }

    pub(crate) fn string(&mut self, field: &str) -> Result<String> {
        match self.take(field) {
            Some(value) => self.text(value, field),
            None => Ok(String::new()),
        }
    }

    pub(crate) fn optional_string(&mut self, field: &str) -> Result<Option<String>> {
        match self.take(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => self.text(value, field).map(Some),
        }
    }

    pub(crate) fn boolean(&mut self, field: &str) -> Result<bool> {
        match self.take(field) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(self.wrong(other, field, "bool")),
        }
    }

    pub(crate) fn integer(&mut self, field: &str) -> Result<i64> {
        match self.take(field) {
            None | Some(Value::Null) => Ok(0),
            Some(Value::Int(value)) => Ok(*value),
            Some(Value::Float(value)) if value.fract() == 0.0 && value.abs() < 9e15 => Ok(*value as i64),
            Some(Value::Float(value)) => Err(self.no_integer(*value, field)),
            Some(other) => Err(self.wrong(other, field, "int64")),
        }
    }

    fn no_integer(&self, value: f64, field: &str) -> Error {
        let error = self.wrong(&Value::Float(value), field, "int64");
        Error::new(error.message().replacen("number", &format!("number {}", format_float(value)), 1))
    }

    /// A list of texts; `None` where there is no list.
    pub(crate) fn optional_strings(&mut self, field: &str) -> Result<Option<Vec<String>>> {
        match self.take(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Sequence(items)) => {
                items.iter().map(|item| self.text(item, field)).collect::<Result<_>>().map(Some)
            }
            Some(other) => Err(self.wrong(other, field, "[]string")),
        }
    }

    pub(crate) fn strings(&mut self, field: &str) -> Result<Vec<String>> {
        Ok(self.optional_strings(field)?.unwrap_or_default())
    }

    /// A map of texts; `None` where there is no map.
    pub(crate) fn optional_string_map(&mut self, field: &str) -> Result<Option<BTreeMap<String, String>>> {
        match self.take(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Mapping(entries)) => entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), self.text(value, field)?)))
                .collect::<Result<_>>()
                .map(Some),
            Some(other) => Err(self.wrong(other, field, "map[string]string")),
        }
    }

    pub(crate) fn string_map(&mut self, field: &str) -> Result<BTreeMap<String, String>> {
        Ok(self.optional_string_map(field)?.unwrap_or_default())
    }

    /// A member that is an object.
    pub(crate) fn nested<T>(
        &mut self,
        field: &'static str,
        type_name: &'static str,
        read: impl FnOnce(&mut Object<'v>) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        if !matches!(value, Value::Null | Value::Mapping(_)) {
            return Err(self.wrong(value, field, &format!("types.{type_name}")));
        }
        let Some(mut object) = Self::at(value, type_name, self.child_path(field), self.mode)? else {
            return Ok(None);
        };
        let result = read(&mut object)?;
        object.finish()?;
        Ok(Some(result))
    }

    /// A member that is a list of objects; `None` where there is no list.
    pub(crate) fn optional_list<T: Default>(
        &mut self,
        field: &'static str,
        type_name: &'static str,
        read: impl Fn(&mut Object<'v>) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        match self.take(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Sequence(items)) => {
                let mut result = Vec::with_capacity(items.len());
                for item in items {
                    match Self::at(item, type_name, self.child_path(field), self.mode)? {
                        Some(mut object) => {
                            result.push(read(&mut object)?);
                            object.finish()?;
                        }
                        None => result.push(T::default()),
                    }
                }
                Ok(Some(result))
            }
            Some(other) => Err(self.wrong(other, field, &format!("[]types.{type_name}"))),
        }
    }

    pub(crate) fn list<T: Default>(
        &mut self,
        field: &'static str,
        type_name: &'static str,
        read: impl Fn(&mut Object<'v>) -> Result<T>,
    ) -> Result<Vec<T>> {
        Ok(self.optional_list(field, type_name, read)?.unwrap_or_default())
    }

    /// Any value.
    pub(crate) fn any(&mut self, field: &str) -> Option<&'v Value> {
        self.take(field)
    }

    /// Refuses what was not asked for.
    pub(crate) fn finish(&self) -> Result<()> {
        if !self.mode.strict {
            return Ok(());
        }
        let mut unknown: Vec<&str> =
            self.entries.iter().filter(|(_, _, used)| !used).map(|(key, _, _)| *key).collect();
        unknown.sort_unstable();
        match unknown.first() {
            Some(key) => Err(Error::new(format!("json: unknown field \"{key}\""))),
            None => Ok(()),
        }
    }
}

fn coerced_float(value: f64) -> String {
    // The reference prints with the precision of 32 bits here.
    let narrow = value as f32;
    let wide: f64 = narrow.to_string().parse().unwrap_or(value);
    format_float(wide)
}

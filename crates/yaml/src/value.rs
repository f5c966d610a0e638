//! Values: what a document means once its types are resolved.

use indexmap::IndexMap;

/// A mapping with keys in the order of the text.
pub type Mapping = IndexMap<String, Value>;

/// A typed value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number that fits 64 bits with a sign.
    Int(i64),
    /// A whole number above that, up to 2^64-1.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Sequence(Vec<Value>),
    /// A map.
    Mapping(Mapping),
}

impl Value {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, if it fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// Any number as a float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Uint(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_sequence(&self) -> Option<&Vec<Value>> {
        match self {
            Self::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a list, to change.
    pub fn as_sequence_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self {
            Self::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a map.
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match self {
            Self::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entries of a map, to change.
    pub fn as_mapping_mut(&mut self) -> Option<&mut Mapping> {
        match self {
            Self::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The member of a map.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_mapping()?.get(key)
    }

    /// The member of a map, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.as_mapping_mut()?.get_mut(key)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Mapping> for Value {
    fn from(entries: Mapping) -> Self {
        Self::Mapping(entries)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Sequence(items)
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => {
                if let Some(value) = number.as_i64() {
                    Self::Int(value)
                } else if let Some(value) = number.as_u64() {
                    Self::Uint(value)
                } else {
                    Self::Float(number.as_f64().unwrap_or(0.0))
                }
            }
            serde_json::Value::String(text) => Self::String(text),
            serde_json::Value::Array(items) => Self::Sequence(items.into_iter().map(Self::from).collect()),
            serde_json::Value::Object(entries) => {
                Self::Mapping(entries.into_iter().map(|(key, value)| (key, Self::from(value))).collect())
            }
        }
    }
}

/// Floats that are whole become integers, as they do on their way through JSON in Go; infinite ones null.
impl From<Value> for serde_json::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::from(value),
            Value::Uint(value) => Self::from(value),
            Value::Float(value) => match whole(value) {
                Some(Value::Int(value)) => Self::from(value),
                Some(Value::Uint(value)) => Self::from(value),
                _ => serde_json::Number::from_f64(value).map_or(Self::Null, Self::Number),
            },
            Value::String(text) => Self::String(text),
            Value::Sequence(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Value::Mapping(entries) => {
                Self::Object(entries.into_iter().map(|(key, value)| (key, Self::from(value))).collect())
            }
        }
    }
}

/// The integer that Go's JSON text of this float reads back as.
pub(crate) fn whole(value: f64) -> Option<Value> {
    if value.fract() != 0.0 || !value.is_finite() || value.abs() >= 1e21 {
        return None;
    }
    // JSON prints the shortest digits padded with zeros, which may be another integer than the exact one.
    let text = crate::number::format_json_float(value)?;
    if let Ok(value) = text.parse::<i64>() {
        return Some(Value::Int(value));
    }
    text.parse::<u64>().ok().map(Value::Uint)
}

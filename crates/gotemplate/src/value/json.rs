//! Between values and JSON documents.

use serde_json::{Map as JsonMap, Number, Value as Json};

use super::{Map, Value};

impl Value {
    /// Reads a document as Go's `encoding/json` does into an `any`: every number is a float64.
    pub fn from_json(json: &Json) -> Self {
        Self::read(json, false)
    }

    /// Reads a document but keeps integers as `int64`.
    pub fn from_json_with_integers(json: &Json) -> Self {
        Self::read(json, true)
    }

    // Parsed documents are bounded in depth by their parser.
    fn read(json: &Json, integers: bool) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(value) if integers => Self::int64(value),
                _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::string(text),
            Json::Array(items) => Self::list(items.iter().map(|item| Self::read(item, integers)).collect()),
            Json::Object(entries) => Self::Map(Map::from_entries(
                entries.iter().map(|(key, value)| (key, Self::read(value, integers))),
            )),
        }
    }

    /// The value as a document: objects as they marshal, an integral float64 as an integer.
    /// `None` for what JSON cannot hold (NaN, infinities) and for values nested beyond reason.
    pub fn to_json(&self) -> Option<Json> {
        self.write(0)
    }

    fn write(&self, depth: u32) -> Option<Json> {
        const DEEPEST: u32 = 200;
        if depth > DEEPEST {
            return None;
        }
        Some(match self {
            Self::Missing | Self::Nil => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(int) if int.kind().is_unsigned() => Json::from(int.unsigned()),
            Self::Int(int) => Json::from(int.signed()),
            Self::Float(value) => float(*value)?,
            Self::Complex(..) => return None,
            Self::String(text) => Json::String(text.to_text().into_owned()),
            Self::Bytes(bytes) => {
                use base64::Engine as _;
                Json::String(base64::engine::general_purpose::STANDARD.encode(bytes))
            }
            Self::List(list) => {
                let items = list.values().iter().map(|value| value.write(depth + 1));
                Json::Array(items.collect::<Option<_>>()?)
            }
            Self::Map(map) => {
                let mut object = JsonMap::new();
                map.try_each(|key, value| {
                    let value = value.write(depth + 1).ok_or(())?;
                    object.insert(key.to_text().into_owned(), value);
                    Ok::<(), ()>(())
                })
                .ok()?;
                Json::Object(object)
            }
            Self::Object(object) => object.to_plain().write(depth + 1)?,
        })
    }
}

/// Go prints integral floats without a fraction; serde_json would add one.
fn float(value: f64) -> Option<Json> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Some(Json::from(value as i64));
    }
    Number::from_f64(value).map(Json::Number)
}

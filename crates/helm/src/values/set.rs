//! The syntax of `--set` and its kin: `a.b=c,d[0]=e,f={g,h}`, with `\` before what should lose its meaning.

use serde_json::Value;

use super::{Values, floats};
use crate::go::quote;

const MAX_INDEX: i64 = 65_536;
const MAX_LEVELS: usize = 30;

/// Why an argument cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// A key at the end.
    #[error("key {} has no value", quote(.0))]
    NoValue(String),
    /// A comma where a value should be.
    #[error("key {} has no value (cannot end with ,)", quote(.0))]
    EndsWithComma(String),
    /// A path that leads to no value.
    #[error("key map {} has no value", quote(.0))]
    EmptyTable(String),
    /// `[` without a number and `]`.
    #[error("error parsing index: {0}")]
    Index(String),
    /// Below zero.
    #[error("negative {0} index not allowed")]
    NegativeIndex(i64),
    /// So large that it must be a mistake.
    #[error("index of {0} is greater than maximum supported index of {MAX_INDEX}")]
    IndexTooLarge(i64),
    /// Text between `]` and `=`.
    #[error("unexpected data at end of array index: {}", quote(.0))]
    AfterIndex(String),
    /// More dots than anyone needs.
    #[error("value name nested level is greater than maximum supported nested level of {MAX_LEVELS}")]
    TooDeep,
    /// `{` without `}`.
    #[error("list must terminate with '}}'")]
    UnterminatedList,
    /// A path through a value of another type.
    #[error("unable to parse key: interface conversion: interface {{}} is {found}, not {wanted}")]
    WrongType {
        /// The Go type that is there.
        found: &'static str,
        /// The Go type that the path needs.
        wanted: &'static str,
    },
    /// A value that is no JSON.
    #[error("{0}")]
    Json(String),
    /// A value that could not be fetched.
    #[error("{0}")]
    Value(String),
    /// The text ended; callers see it as success at the top.
    #[error("EOF")]
    End,
}

/// What stands behind `=`.
pub(super) enum Reader<'a> {
    /// Text, numbers, bools, null and lists.
    Typed,
    /// Text and lists of it.
    Text,
    /// JSON.
    Json,
    /// Everything up to the end, as it stands.
    Literal,
    /// A name that a function turns into the value.
    Fetch(&'a mut dyn FnMut(&str) -> Result<String, String>),
}

pub(super) struct Parser<'a> {
    text: Vec<char>,
    position: usize,
    pub(super) reader: Reader<'a>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &str, reader: Reader<'a>) -> Self {
        Parser { text: text.chars().collect(), position: 0, reader }
    }

    pub(super) fn run(mut self, target: &mut Values) -> Result<(), SetError> {
        loop {
            match self.key(target, 0) {
                Ok(()) => {}
                Err(SetError::End) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn is_literal(&self) -> bool {
        matches!(self.reader, Reader::Literal)
    }

    /// Text up to one of `stops`; `None` in place of the stop at the end.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut found = String::new();
        while let Some(&c) = self.text.get(self.position) {
            self.position += 1;
            if stops.contains(&c) {
                return (found, Some(c));
            }
            if c == '\\' && !self.is_literal() {
                let Some(&next) = self.text.get(self.position) else { return (found, None) };
                self.position += 1;
                found.push(next);
            } else {
                found.push(c);
            }
        }
        (found, None)
    }

    fn key(&mut self, data: &mut Values, level: usize) -> Result<(), SetError> {
        let stops: &[char] = if self.is_literal() { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let (key, stop) = self.until(stops);
        match stop {
            None if key.is_empty() => Err(SetError::End),
            None => Err(SetError::NoValue(key)),
            Some('[') => {
                let index = self.index()?;
                let existing = data.get_mut(&key).map(Value::take);
                let mut list = match existing {
                    None => Vec::new(),
                    Some(Value::Array(list)) => list,
                    Some(other) => {
                        return Err(SetError::WrongType { found: go_type(&other), wanted: "[]interface {}" });
                    }
                };
                let result = self.list_item(&mut list, index, level);
                set(data, key, Value::Array(list));
                result
            }
            Some('=') => {
                let (value, end) = self.value()?;
                set(data, key, value);
                if end { Err(SetError::End) } else { Ok(()) }
            }
            Some('.') => {
                let level = level + 1;
                if level > MAX_LEVELS {
                    return Err(SetError::TooDeep);
                }
                let existing = data.get_mut(&key).map(Value::take);
                let existed = existing.is_some();
                let mut inner = match existing {
                    None => Values::new(),
                    Some(Value::Object(inner)) => inner,
                    Some(other) => {
                        return Err(SetError::WrongType {
                            found: go_type(&other),
                            wanted: "map[string]interface {}",
                        });
                    }
                };
                let result = self.key(&mut inner, level);
                if result.is_ok() && inner.is_empty() {
                    return Err(SetError::EmptyTable(key));
                }
                if existed || !inner.is_empty() {
                    set(data, key, Value::Object(inner));
                }
                result
            }
            Some(_) => {
                set(data, key.clone(), Value::String(String::new()));
                Err(SetError::EndsWithComma(key))
            }
        }
    }

    /// The value behind `=`, and whether the text ended so that nothing can follow.
    fn value(&mut self) -> Result<(Value, bool), SetError> {
        match self.reader {
            Reader::Json => return self.json().map(|value| (value, false)),
            Reader::Literal => return Ok((Value::String(self.until(&[]).0), false)),
            _ => {}
        }
        match self.text.get(self.position) {
            None => Ok((Value::String(String::new()), true)),
            Some('{') => {
                self.position += 1;
                self.list().map(|list| (list, false))
            }
            Some(_) => {
                let (text, _) = self.until(&[',']);
                self.typed(text).map(|value| (value, false))
            }
        }
    }

    fn list(&mut self) -> Result<Value, SetError> {
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            match stop {
                None => return Err(SetError::UnterminatedList),
                Some('}') => {
                    if self.text.get(self.position) == Some(&',') {
                        self.position += 1;
                    }
                    items.push(self.typed(text)?);
                    return Ok(Value::Array(items));
                }
                Some(_) => items.push(self.typed(text)?),
            }
        }
    }

    fn typed(&mut self, text: String) -> Result<Value, SetError> {
        match &mut self.reader {
            Reader::Typed => Ok(typed(text)),
            Reader::Fetch(fetch) => fetch(&text).map(Value::String).map_err(SetError::Value),
            Reader::Text | Reader::Json | Reader::Literal => Ok(Value::String(text)),
        }
    }

    /// JSON, the blanks behind it and a comma.
    fn json(&mut self) -> Result<Value, SetError> {
        if self.skip_blank() {
            return Ok(Value::Null);
        }
        let rest: String = self.text[self.position..].iter().collect();
        let mut stream = serde_json::Deserializer::from_str(&rest).into_iter::<Value>();
        let mut value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(SetError::Json(error.to_string())),
            None => return Ok(Value::Null),
        };
        self.position += rest[..stream.byte_offset()].chars().count();
        self.skip_blank();
        floats(&mut value);
        Ok(value)
    }

    /// Skips blanks and one comma; tells whether that left no value.
    fn skip_blank(&mut self) -> bool {
        while let Some(&c) = self.text.get(self.position) {
            if c == ',' {
                self.position += 1;
                return true;
            }
            if !c.is_whitespace() {
                return false;
            }
            self.position += 1;
        }
        true
    }

    fn index(&mut self) -> Result<i64, SetError> {
        let (text, stop) = self.until(&[']']);
        if stop.is_none() {
            // Helm takes any end of the text for the end of what is to be set.
            return Err(SetError::End);
        }
        text.parse()
            .map_err(|_| SetError::Index(format!("strconv.Atoi: parsing {}: invalid syntax", quote(&text))))
    }

    fn list_item(&mut self, list: &mut Vec<Value>, index: i64, level: usize) -> Result<(), SetError> {
        if index < 0 {
            return Err(SetError::NegativeIndex(index));
        }
        let (text, stop) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            return Err(SetError::AfterIndex(text));
        }
        let existing = |list: &mut Vec<Value>| list.get_mut(index as usize).map(Value::take);
        let value = match stop {
            None => return Err(SetError::End),
            Some('=') => self.value()?.0,
            Some('[') => {
                let next = self.index()?;
                let mut inner = match existing(list) {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(inner)) => inner,
                    Some(other) => {
                        return Err(SetError::WrongType { found: go_type(&other), wanted: "[]interface {}" });
                    }
                };
                self.list_item(&mut inner, next, level)?;
                Value::Array(inner)
            }
            Some(_) => {
                let mut inner = match existing(list) {
                    Some(Value::Object(inner)) => inner,
                    _ => Values::new(),
                };
                let result = self.key(&mut inner, level);
                result?;
                Value::Object(inner)
            }
        };
        if index > MAX_INDEX {
            return Err(SetError::IndexTooLarge(index));
        }
        let index = index as usize;
        if list.len() <= index {
            list.resize(index + 1, Value::Null);
        }
        list[index] = value;
        Ok(())
    }
}

fn set(data: &mut Values, key: String, value: Value) {
    if !key.is_empty() {
        data.insert(key, value);
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// The type that a text seems to have.
fn typed(text: String) -> Value {
    if text.eq_ignore_ascii_case("true") {
        return Value::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Value::Bool(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Value::Null;
    }
    if text == "0" {
        return Value::from(0);
    }
    if !text.starts_with('0')
        && let Ok(number) = text.parse::<i64>()
    {
        return Value::from(number);
    }
    Value::String(text)
}

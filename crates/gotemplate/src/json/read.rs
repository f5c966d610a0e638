//! JSON to values, with Go's errors.

use crate::num;
use crate::value::{List, Map, Str, Value};

/// What the document has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Anything.
    Any,
    /// A map.
    Map,
    /// A list.
    List,
}

const DEEPEST: usize = 500;

/// Reads a document; numbers become float64.
pub(crate) fn read(text: &[u8], wanted: Wanted) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0, too_large: None, streamed: false };
    reader.space();
    let value = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.invalid("after top-level value"));
    }
    let found = match &value {
        Value::Map(_) => "object",
        Value::List(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Nil => "null",
        _ => "number",
    };
    let expected = match (wanted, found) {
        (Wanted::Any, _) | (Wanted::Map, "object") | (Wanted::List, "array") | (_, "null") => None,
        (Wanted::Map, _) => Some("map[string]interface {}"),
        (Wanted::List, _) => Some("[]interface {}"),
    };
    if let Some(expected) = expected {
        return Err(format!("json: cannot unmarshal {found} into Go value of type {expected}"));
    }
    if let Some(number) = reader.too_large {
        return Err(format!("json: cannot unmarshal number {number} into Go value of type float64"));
    }
    Ok(value)
}

/// What Go's reader of streams has against a document that should stand alone.
pub fn problem(text: &[u8]) -> Option<String> {
    let mut reader = Reader { text, at: 0, too_large: None, streamed: true };
    reader.space();
    if reader.peek().is_none() {
        return Some("EOF".to_owned());
    }
    if let Err(error) = reader.value(0) {
        return Some(error);
    }
    reader.space();
    (reader.at < text.len()).then(|| "invalid character after top-level value".to_owned())
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    /// The first number that no float64 can hold.
    too_large: Option<String>,
    /// More could have come behind the end.
    streamed: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn invalid(&self, context: &str) -> String {
        match self.peek() {
            None if self.streamed => "unexpected EOF".to_owned(),
            // Go ends the input with a space, which some places cannot have.
            None if context.starts_with("in ") && context != "in string literal"
                || context.starts_with("after decimal") =>
            {
                format!("invalid character ' ' {context}")
            }
            None => "unexpected end of JSON input".to_owned(),
            Some(byte) => {
                let shown = match byte {
                    b'\'' => r"'\''".to_owned(),
                    b'"' => "'\"'".to_owned(),
                    _ => {
                        let quoted = crate::fmt::quoted(char::from(byte).encode_utf8(&mut [0; 4]).as_bytes());
                        format!("'{}'", &quoted[1..quoted.len() - 1])
                    }
                };
                format!("invalid character {shown} {context}")
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err("exceeded max depth".to_owned());
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Nil),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.invalid("looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                let expected = char::from(expected);
                return Err(self.invalid(&format!("in literal {word} (expecting '{expected}')")));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        let map = Map::new();
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(map));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.invalid("looking for beginning of object key string"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.invalid("after object key"));
            }
            self.at += 1;
            self.space();
            let value = self.value(depth + 1)?;
            map.insert(key, value);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Map(map));
                }
                _ => return Err(self.invalid("after object key:value pair")),
            }
            self.space();
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        let mut values = Vec::new();
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(List::new(values)));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::List(List::new(values)));
                }
                _ => return Err(self.invalid("after array element")),
            }
            self.space();
        }
    }

    fn digits(&mut self, context: &str) -> Result<(), String> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.invalid(context));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        match num::parse_float(text) {
            Some(value) => Ok(Value::Float(value)),
            None => {
                self.too_large.get_or_insert_with(|| text.to_owned());
                Ok(Value::Float(f64::INFINITY))
            }
        }
    }

    fn string(&mut self) -> Result<Str, String> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(crate::value::decode(&out).into());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut out)?;
                }
                Some(byte) if byte >= b' ' => {
                    out.push(byte);
                    self.at += 1;
                }
                _ => return Err(self.invalid("in string literal")),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                self.at += 1;
                let first = self.hex()?;
                let c = match first {
                    0xd800..0xdc00 => self.low_surrogate(first)?,
                    _ => char::from_u32(first).unwrap_or('\u{fffd}'),
                };
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.invalid("in string escape code")),
        };
        out.push(plain);
        self.at += 1;
        Ok(())
    }

    fn low_surrogate(&mut self, high: u32) -> Result<char, String> {
        let before = self.at;
        if self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            // Not a pair: the second stands for itself.
            self.at = before;
        }
        Ok('\u{fffd}')
    }

    fn hex(&mut self) -> Result<u32, String> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.invalid("in \\u hexadecimal character escape"));
            };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }
}

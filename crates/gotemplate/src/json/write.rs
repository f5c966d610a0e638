//! Values to JSON.

use base64::Engine as _;

use crate::error::Failure;
use crate::value::Value;

/// How JSON is laid out.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// Two spaces a level.
    pub(crate) pretty: bool,
    /// `<`, `>` and `&` as escapes.
    pub(crate) escape_html: bool,
}

const DEEPEST: usize = 200;

/// Writes a value.
pub(crate) fn write(value: &Value, style: Style, limit: usize) -> Result<String, Failure> {
    let mut writer = Writer { out: String::new(), style, limit };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    style: Style,
    limit: usize,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Failure> {
        if depth > DEEPEST {
            let name = value.type_name();
            return Err(Failure::new(format!("json: unsupported value: encountered a cycle via {name}")));
        }
        if self.out.len() > self.limit {
            return Err(Failure::new(format!("text exceeds the limit of {} bytes", self.limit)));
        }
        match value {
            Value::Missing | Value::Nil => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Int(int) => self.out.push_str(&int.to_string()),
            Value::Float(value) => {
                if !value.is_finite() {
                    let shown = crate::fmt::format_float(*value, 'g', None);
                    return Err(Failure::new(format!("json: unsupported value: {shown}")));
                }
                let text = float(*value);
                self.out.push_str(&text);
            }
            Value::Complex(..) => return Err("json: unsupported type: complex128".into()),
            Value::String(text) => self.string(text),
            Value::Bytes(bytes) => {
                let text = base64::engine::general_purpose::STANDARD.encode(bytes);
                self.string(text.as_bytes());
            }
            Value::List(list) if list.kind().is_nil => self.out.push_str("null"),
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.values().iter().enumerate() {
                    self.next(index, depth + 1);
                    self.value(item, depth + 1)?;
                }
                self.end(list.len(), depth);
                self.out.push(']');
            }
            Value::Map(map) if map.is_nil() => self.out.push_str("null"),
            Value::Map(map) => {
                self.out.push('{');
                let mut index = 0;
                map.try_each(|key, item| {
                    self.next(index, depth + 1);
                    index += 1;
                    self.string(key);
                    self.out.push_str(if self.style.pretty { ": " } else { ":" });
                    self.value(item, depth + 1)
                })?;
                self.end(index, depth);
                self.out.push('}');
            }
            Value::Object(object) => match object.json_fields() {
                Some(fields) => {
                    self.out.push('{');
                    for (index, (name, field)) in fields.iter().enumerate() {
                        self.next(index, depth + 1);
                        self.string(name.as_bytes());
                        self.out.push_str(if self.style.pretty { ": " } else { ":" });
                        self.value(field, depth + 1)?;
                    }
                    self.end(fields.len(), depth);
                    self.out.push('}');
                }
                None => self.value(&object.to_plain(), depth + 1)?,
            },
        }
        Ok(())
    }

    fn next(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push(',');
        }
        self.line(depth);
    }

    fn end(&mut self, count: usize, depth: usize) {
        if count > 0 {
            self.line(depth);
        }
    }

    fn line(&mut self, depth: usize) {
        if self.style.pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("  ", depth));
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        self.out.push('"');
        for chunk in bytes.utf8_chunks() {
            self.characters(chunk.valid());
            self.out.extend(std::iter::repeat_n("\\ufffd", chunk.invalid().len()));
        }
        self.out.push('"');
    }

    fn characters(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '<' | '>' | '&' if !self.style.escape_html => self.out.push(c),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                    self.out.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                _ => self.out.push(c),
            }
        }
    }
}

/// Fixed notation but for very small and very large numbers, whose exponents have no leading zero.
fn float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        return crate::fmt::format_float(value, 'e', None).replace("e-0", "e-");
    }
    crate::fmt::format_float(value, 'f', None)
}

//! JSON as Go's encoder writes structs: fields in the order of the struct, some left out when empty.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sluice_yaml::json::write_string;
use sluice_yaml::number::format_json_float;

/// An object under construction.
pub(super) struct Object<'a> {
    out: &'a mut String,
    is_first: bool,
}

/// Writes an object.
pub(super) fn object(out: &mut String, fields: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    fields(&mut Object { out, is_first: true });
    out.push('}');
}

impl Object<'_> {
    /// A field whose value is written by `write`.
    pub(super) fn field(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
        write_string(name, self.out);
        self.out.push(':');
        write(self.out);
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.field(name, |out| write_string(text, out));
    }

    pub(super) fn text_unless_empty(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.text(name, text);
        }
    }

    pub(super) fn texts_unless_empty(&mut self, name: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.field(name, |out| list(out, texts, |out, text| write_string(text, out)));
        }
    }

    pub(super) fn integer(&mut self, name: &str, number: i64) {
        self.field(name, |out| out.push_str(&number.to_string()));
    }

    pub(super) fn integer_unless_zero(&mut self, name: &str, number: i64) {
        if number != 0 {
            self.integer(name, number);
        }
    }

    pub(super) fn true_only(&mut self, name: &str, flag: bool) {
        if flag {
            self.field(name, |out| out.push_str("true"));
        }
    }

    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.field(name, |out| {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        });
    }

    pub(super) fn value(&mut self, name: &str, json: &Value) {
        self.field(name, |out| value(out, json));
    }
}

/// Writes a list.
pub(super) fn list<T>(out: &mut String, items: &[T], write: impl Fn(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// Writes a document: keys in order of bytes, integral floats without a fraction.
pub(super) fn value(out: &mut String, json: &Value) {
    match json {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            out.push_str(&format_json_float(float).unwrap_or_else(|| "0".to_owned()));
        }
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => list(out, items, value),
        Value::Object(map) => object(out, |object| {
            for (key, inner) in map {
                object.value(key, inner);
            }
        }),
    }
}

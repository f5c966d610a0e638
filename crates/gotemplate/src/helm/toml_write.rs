//! Values to TOML as BurntSushi/toml lays it out.

use crate::fmt::format_float;
use crate::time::{as_time, format};
use crate::value::{Int, IntKind, Map, Str, Value, decode};

const DEEPEST: usize = 200;
/// What Go says of nil.
pub(super) const NOTHING: &str = "reflect: call of reflect.Value.Type on zero Value";
const NIL_ELEMENT: &str = "toml: cannot encode array with nil element";

/// Writes a value; anything but a map is written without a key.
pub(super) fn write(value: &Value) -> Result<String, String> {
    let mut writer = Writer { out: String::new() };
    match &plain(value) {
        Value::Missing | Value::Nil => {
            return Err(NOTHING.to_owned());
        }
        Value::Map(map) => writer.table(&[], map)?,
        Value::List(list) if is_table_array(list.values())? => {
            return Err("toml: top-level values must be Go maps or structs".to_owned());
        }
        other => writer.element(other, 0)?,
    }
    Ok(writer.out)
}

struct Writer {
    out: String,
}

/// What is written in the place of an object: times stay.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) if as_time(value).is_none() => object.to_plain(),
        other => other.clone(),
    }
}

fn is_table_array(values: &[Value]) -> Result<bool, String> {
    let mut tables = !values.is_empty();
    for value in values {
        match plain(value) {
            Value::Missing | Value::Nil => return Err(NIL_ELEMENT.to_owned()),
            Value::Map(_) => {}
            Value::List(list) => {
                is_table_array(list.values())?;
                tables = false;
            }
            _ => tables = false,
        }
    }
    Ok(tables)
}

fn is_table(value: &Value) -> Result<bool, String> {
    match value {
        Value::Map(_) => Ok(true),
        Value::List(list) => is_table_array(list.values()),
        _ => Ok(false),
    }
}

impl Writer {
    fn newline(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n("  ", depth.saturating_sub(1)));
    }

    /// A table with its header.
    fn table(&mut self, key: &[Str], map: &Map) -> Result<(), String> {
        if key.len() == 1 {
            self.newline();
        }
        if !key.is_empty() {
            self.indent(key.len());
            self.out.push_str(&format!("[{}]", dotted(key)));
            self.newline();
        }
        self.entries(key, map)
    }

    /// Values first, tables after them.
    fn entries(&mut self, key: &[Str], map: &Map) -> Result<(), String> {
        if key.len() > DEEPEST {
            return Err("toml: value is nested too deeply".to_owned());
        }
        let entries: Vec<(Str, Value)> =
            map.entries().into_iter().map(|(name, value)| (name, plain(&value))).collect();
        let mut tables = Vec::new();
        for (name, value) in entries {
            if value.is_nil() {
                continue;
            }
            let mut inner = key.to_vec();
            inner.push(name);
            if is_table(&value)? {
                tables.push((inner, value));
                continue;
            }
            self.indent(inner.len());
            self.out.push_str(&format!("{} = ", inner.last().map(quoted_key).unwrap_or_default()));
            self.element(&value, 0)?;
            self.newline();
        }
        for (inner, value) in tables {
            match &value {
                Value::Map(map) => self.table(&inner, map)?,
                Value::List(list) => {
                    for item in list.values() {
                        self.newline();
                        self.indent(inner.len());
                        self.out.push_str(&format!("[[{}]]", dotted(&inner)));
                        self.newline();
                        if let Value::Map(map) = plain(item) {
                            self.entries(&inner, &map)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn element(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err("toml: value is nested too deeply".to_owned());
        }
        if let Some(time) = as_time(value) {
            self.out.push_str(&format(time, "2006-01-02T15:04:05.999999999Z07:00"));
            return Ok(());
        }
        match &plain(value) {
            Value::String(text) => self.out.push_str(&quoted(text)),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Int(int) if int.kind() == IntKind::Duration => {
                self.out.push_str(&quoted(sluice_duration::format(int.signed()).as_bytes()));
            }
            Value::Int(int) => self.out.push_str(&Int::to_string(int)),
            Value::Float(value) => self.out.push_str(&float(*value)),
            Value::Bytes(bytes) => {
                let items: Vec<String> = bytes.iter().map(u8::to_string).collect();
                self.out.push_str(&format!("[{}]", items.join(", ")));
            }
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.values().iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.element(item, depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(map) => self.inline(map, depth)?,
            Value::Missing | Value::Nil => return Err(NIL_ELEMENT.to_owned()),
            other => return Err(format!("unexpected type: {}", other.type_name())),
        }
        Ok(())
    }

    fn inline(&mut self, map: &Map, depth: usize) -> Result<(), String> {
        let entries: Vec<(Str, Value)> =
            map.entries().into_iter().map(|(name, value)| (name, plain(&value))).collect();
        let mut direct = Vec::new();
        let mut tables = Vec::new();
        for entry in entries {
            if is_table(&entry.1)? { tables.push(entry) } else { direct.push(entry) }
        }
        self.out.push('{');
        let has_tables = !tables.is_empty();
        for (list, always_comma) in [(direct, has_tables), (tables, false)] {
            let count = list.len();
            for (index, (name, value)) in list.into_iter().enumerate() {
                if value.is_nil() {
                    continue;
                }
                self.out.push_str(&format!("{} = ", quoted_key(&name)));
                self.element(&value, depth + 1)?;
                if always_comma || index + 1 < count {
                    self.out.push_str(", ");
                }
            }
        }
        self.out.push('}');
        Ok(())
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf".to_owned() } else { "inf".to_owned() };
    }
    let text = format_float(value, 'g', None);
    if text.contains(['e', '.']) { text } else { format!("{text}.0") }
}

fn dotted(key: &[Str]) -> String {
    key.iter().map(quoted_key).collect::<Vec<_>>().join(".")
}

fn quoted_key(name: &Str) -> String {
    let bare = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.iter().all(bare) {
        return name.to_text().into_owned();
    }
    quoted(name)
}

fn quoted(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for c in decode(text).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

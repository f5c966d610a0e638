//! Bytes to values, as sigs.k8s.io/yaml reads them: YAML 1.1 types, then the narrowing to JSON.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;

use crate::error::{Error, Problem};
use crate::gosyntax;
use crate::node::{Collection, Composer, Node, ScalarNode};
use crate::number::{Integer, format_float32};
use crate::resolve::{Scalar, Tag, resolve_tagged};
use crate::value::{Mapping, Value};

/// Which of the Go libraries to follow where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// sigs.k8s.io/yaml, which is go-yaml v2: `yes` and `on` are booleans.
    #[default]
    Sigs,
    /// go-yaml v3, on which kyaml stands: they are text.
    V3,
}

/// The text of a stream: UTF-8 or, with a byte order mark, UTF-16; without forbidden characters.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Problem> {
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => Cow::Owned(decode_utf16(rest, u16::from_le_bytes)?),
        [0xFE, 0xFF, rest @ ..] => Cow::Owned(decode_utf16(rest, u16::from_be_bytes)?),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Cow::Borrowed(decode_utf8(rest)?),
        _ => Cow::Borrowed(decode_utf8(bytes)?),
    };
    check_characters(&text)?;
    Ok(text)
}

/// The text of a file as go-yaml takes it: UTF-8 or, with a byte order mark, UTF-16.
pub fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    decode(bytes).map_err(|problem| problem.worded(Dialect::V3))
}

/// Refuses characters that YAML forbids. The scanner relies on it: to it, a NUL is the end.
pub(crate) fn check_characters(text: &str) -> Result<(), Problem> {
    if has_forbidden(text) {
        return Err(Problem::reader("control characters are not allowed"));
    }
    Ok(())
}

fn decode_utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        let rest = &bytes[error.valid_up_to()..];
        let width = match rest.first() {
            Some(0xC0..=0xDF) => 2,
            Some(0xE0..=0xEF) => 3,
            Some(0xF0..=0xF7) => 4,
            _ => return Problem::reader("invalid leading UTF-8 octet"),
        };
        if rest.len() < width {
            Problem::reader("incomplete UTF-8 octet sequence")
        } else if rest[1..width].iter().any(|byte| byte & 0xC0 != 0x80) {
            Problem::reader("invalid trailing UTF-8 octet")
        } else if matches!(rest, [0xC0 | 0xC1, ..] | [0xE0, 0x80..=0x9F, ..] | [0xF0, 0x80..=0x8F, ..]) {
            Problem::reader("invalid length of a UTF-8 sequence")
        } else {
            Problem::reader("invalid Unicode character")
        }
    })
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Problem> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Problem::reader("incomplete UTF-16 character"));
    }
    char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .collect::<Result<String, _>>()
        .map_err(|_| Problem::reader("unexpected low surrogate area"))
}

fn has_forbidden(text: &str) -> bool {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    if text.as_bytes().iter().all(plain) {
        return false;
    }
    text.chars().any(|character| !is_allowed(character))
}

/// Whether YAML permits the character in a text.
pub fn is_allowed(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Reads the first document. Of several equal keys the last wins; an empty stream is null.
pub fn read(text: impl AsRef<[u8]>) -> Result<Value, Error> {
    read_first(text.as_ref(), false)
}

/// Like [`read`], but a repeated key is an error.
pub fn read_strict(text: impl AsRef<[u8]>) -> Result<Value, Error> {
    read_first(text.as_ref(), true)
}

/// Reads all documents of a stream.
pub fn read_all(text: impl AsRef<[u8]>) -> Result<Vec<Value>, Error> {
    let text = decode(text.as_ref()).map_err(|problem| problem.worded(Dialect::Sigs))?;
    let mut composer = Composer::new(&text, Dialect::Sigs, true);
    let mut values = Vec::new();
    while let Some(node) = composer.next_document()? {
        values.push(Decoder::new(false).document(node)?);
    }
    Ok(values)
}

fn read_first(text: &[u8], strict: bool) -> Result<Value, Error> {
    let text = decode(text).map_err(|problem| problem.worded(Dialect::Sigs))?;
    match Composer::new(&text, Dialect::Sigs, true).next_document()? {
        Some(node) => Decoder::new(strict).document(node),
        None => Ok(Value::Null),
    }
}

/// Makes values of nodes.
pub(crate) struct Decoder {
    strict: bool,
    duplicates: Vec<String>,
    /// The first key that JSON cannot have; told only once all else is sound.
    bad_key: Option<String>,
}

/// A mapping under construction, with the typed keys that strict mode compares.
struct Entries {
    values: Mapping,
    keys: HashSet<(Tag, String)>,
}

impl Decoder {
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, duplicates: Vec::new(), bad_key: None }
    }

    pub(crate) fn document(mut self, node: Node) -> Result<Value, Error> {
        let value = self.value(node)?;
        if !self.duplicates.is_empty() {
            return Err(Error::Duplicates(self.duplicates));
        }
        match self.bad_key {
            Some(key) => Err(Error::Key(key)),
            None => Ok(value),
        }
    }

    fn value(&mut self, node: Node) -> Result<Value, Error> {
        match node {
            Node::Scalar(scalar) => scalar_value(scalar),
            Node::Sequence(items) => {
                items.into_iter().map(|item| self.value(item)).collect::<Result<_, _>>().map(Value::Sequence)
            }
            Node::Mapping(pairs) => {
                let mut entries =
                    Entries { values: IndexMap::with_capacity(pairs.len()), keys: HashSet::new() };
                self.mapping(pairs, &mut entries)?;
                Ok(Value::Mapping(entries.values))
            }
        }
    }

    fn mapping(&mut self, pairs: Collection<(Node, Node)>, entries: &mut Entries) -> Result<(), Error> {
        for (key, value) in pairs {
            if is_merge(&key) {
                self.merge(value, entries)?;
                continue;
            }
            let line = first_line(&value).or_else(|| first_line(&key)).unwrap_or(0);
            let (tag, name, shown) = self.key(key)?;
            let value = self.value(value)?;
            if matches!(tag, Tag::Null | Tag::None) {
                let shown_value = gosyntax::value(&value);
                let text = if tag == Tag::Null {
                    format!("unsupported map key of type: %!s(<nil>), key: <nil>, value: {shown_value}")
                } else {
                    format!("unsupported map key of type: uint64, key: {name}, value: {shown_value}")
                };
                self.bad_key = Some(text);
            }
            if self.strict && !entries.keys.insert((tag, name.clone())) {
                self.duplicates.push(format!("line {line}: key {shown} already set in map"));
                continue;
            }
            entries.values.insert(name, value);
        }
        Ok(())
    }

    /// A key as JSON has it, its type, and how Go prints it. `Tag::None` stands for too large a number.
    fn key(&mut self, key: Node) -> Result<(Tag, String, String), Error> {
        let Node::Scalar(scalar) = key else {
            let shown = gosyntax::value(&self.value(key)?);
            return Err(Error::decode(format!("invalid map key: {shown}")));
        };
        Ok(match resolve_scalar(&scalar)? {
            Scalar::Null => (Tag::Null, String::new(), "<nil>".into()),
            Scalar::Bool(value) => (Tag::Bool, value.to_string(), value.to_string()),
            Scalar::Integer(Integer::Signed(value)) => (Tag::Int, value.to_string(), value.to_string()),
            Scalar::Integer(Integer::Unsigned(value)) => {
                (Tag::None, format!("{value:#x}"), value.to_string())
            }
            Scalar::Float(value) => {
                let text = match format_float32(value).as_str() {
                    "+Inf" => ".inf".to_owned(),
                    "-Inf" => "-.inf".to_owned(),
                    "NaN" => ".nan".to_owned(),
                    text => text.to_owned(),
                };
                (Tag::Float, text.clone(), text)
            }
            Scalar::Timestamp(_) | Scalar::Merge | Scalar::Text(_) => {
                let text = text_of(&scalar)?;
                let shown = gosyntax::quote(&text);
                (Tag::Str, text, shown)
            }
        })
    }

    fn merge(&mut self, value: Node, entries: &mut Entries) -> Result<(), Error> {
        const WANT_MAP: &str = "map merge requires map or sequence of maps as the value";
        match value {
            Node::Mapping(pairs) => self.mapping(pairs, entries),
            Node::Sequence(items) => {
                // Backwards, so that earlier maps win.
                for item in items.into_iter().rev() {
                    match item {
                        Node::Mapping(pairs) => self.mapping(pairs, entries)?,
                        _ => return Err(Error::decode(WANT_MAP)),
                    }
                }
                Ok(())
            }
            Node::Scalar(_) => Err(Error::decode(WANT_MAP)),
        }
    }
}

fn is_merge(key: &Node) -> bool {
    matches!(key, Node::Scalar(scalar) if scalar.text == "<<" && scalar.tag == Tag::Merge)
}

fn first_line(node: &Node) -> Option<u32> {
    match node {
        Node::Scalar(scalar) => Some(scalar.line).filter(|line| *line > 0),
        Node::Sequence(items) => items.first().and_then(first_line),
        Node::Mapping(entries) => entries.first().and_then(|(key, _)| first_line(key)),
    }
}

fn resolve_scalar(scalar: &ScalarNode) -> Result<Scalar<'_>, Error> {
    if scalar.tag == Tag::Str {
        return Ok(Scalar::Text(&scalar.text));
    }
    resolve_tagged(scalar.tag, &scalar.text, Dialect::Sigs).map_err(Error::decode)
}

/// The text of a scalar that is a string, decoded if it is binary.
fn text_of(scalar: &ScalarNode) -> Result<String, Error> {
    if scalar.tag != Tag::Binary {
        return Ok(scalar.text.to_string());
    }
    decode_binary(&scalar.text).map(|bytes| replace_invalid(&bytes))
}

/// The bytes of a `!!binary` scalar.
pub fn decode_binary(text: &str) -> Result<Vec<u8>, Error> {
    let compact: String = text.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
    STANDARD.decode(compact).map_err(|_| Error::decode("!!binary value contains invalid base64 data"))
}

/// Go's encoding/json: one U+FFFD for each byte that is not part of a character.
pub fn replace_invalid(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for _ in chunk.invalid() {
            out.push('\u{FFFD}');
        }
    }
    out
}

fn scalar_value(scalar: ScalarNode) -> Result<Value, Error> {
    Ok(match resolve_scalar(&scalar)? {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Integer(Integer::Signed(value)) => Value::Int(value),
        Scalar::Integer(Integer::Unsigned(value)) => Value::Uint(value),
        Scalar::Float(value) => Value::Float(value),
        Scalar::Timestamp(_) | Scalar::Merge | Scalar::Text(_) => Value::String(text_of(&scalar)?),
    })
}

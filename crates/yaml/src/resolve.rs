//! What a plain scalar means: the implicit types of the two Go libraries.

use crate::number::{Integer, is_yaml_float, parse_float, parse_integer, parse_radix};
use crate::read::Dialect;
use crate::timestamp::Timestamp;

/// The type of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tag {
    /// None given: the text decides.
    #[default]
    None,
    /// `!!null`
    Null,
    /// `!!bool`
    Bool,
    /// `!!int`
    Int,
    /// `!!float`
    Float,
    /// `!!str`
    Str,
    /// `!!timestamp`
    Timestamp,
    /// `!!binary`
    Binary,
    /// `!!merge`
    Merge,
    /// `!!seq`
    Seq,
    /// `!!map`
    Map,
    /// Any other.
    Custom,
}

impl Tag {
    /// From the long or the short form of a tag.
    pub fn parse(tag: &str) -> Self {
        match tag.strip_prefix("tag:yaml.org,2002:").or_else(|| tag.strip_prefix("!!")) {
            Some("null") => Self::Null,
            Some("bool") => Self::Bool,
            Some("int") => Self::Int,
            Some("float") => Self::Float,
            Some("str") => Self::Str,
            Some("timestamp") => Self::Timestamp,
            Some("binary") => Self::Binary,
            Some("merge") => Self::Merge,
            Some("seq") => Self::Seq,
            Some("map") => Self::Map,
            _ if tag.is_empty() || tag == "!" => Self::None,
            _ => Self::Custom,
        }
    }

    /// The short form.
    pub fn short(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Null => "!!null",
            Self::Bool => "!!bool",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Str => "!!str",
            Self::Timestamp => "!!timestamp",
            Self::Binary => "!!binary",
            Self::Merge => "!!merge",
            Self::Seq => "!!seq",
            Self::Map => "!!map",
            Self::Custom => "!custom",
        }
    }
}

/// A scalar as its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number in 64 bits.
    Integer(Integer),
    /// Any other number.
    Float(f64),
    /// A point in time.
    Timestamp(Timestamp),
    /// Text.
    Text(&'a str),
    /// The key `<<`.
    Merge,
}

impl Scalar<'_> {
    /// The tag that belongs to the type.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Null => Tag::Null,
            Self::Bool(_) => Tag::Bool,
            Self::Integer(_) => Tag::Int,
            Self::Float(_) => Tag::Float,
            Self::Timestamp(_) => Tag::Timestamp,
            Self::Text(_) => Tag::Str,
            Self::Merge => Tag::Merge,
        }
    }
}

/// What a plain scalar without a tag means.
pub fn resolve(text: &str, dialect: Dialect) -> Scalar<'_> {
    resolve_hinted(text, dialect, true)
}

fn resolve_hinted(text: &str, dialect: Dialect, timestamps: bool) -> Scalar<'_> {
    let Some(first) = text.bytes().next() else { return Scalar::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text, dialect),
        b'<' if text == "<<" => Scalar::Merge,
        b'.' => match special_float(text) {
            Some(value) => Scalar::Float(value),
            None => parse_float(text).map_or(Scalar::Text(text), Scalar::Float),
        },
        b'0'..=b'9' | b'+' | b'-' => {
            if let Some(value) = special_float(text) {
                return Scalar::Float(value);
            }
            if timestamps && let Some(time) = Timestamp::parse(text) {
                return Scalar::Timestamp(time);
            }
            number(text, dialect)
        }
        _ => Scalar::Text(text),
    }
}

fn word(text: &str, dialect: Dialect) -> Scalar<'_> {
    match text {
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        _ if dialect == Dialect::Sigs => match old_bool(text) {
            Some(value) => Scalar::Bool(value),
            None => Scalar::Text(text),
        },
        _ => Scalar::Text(text),
    }
}

/// The booleans that only YAML 1.1 knows.
pub fn old_bool(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn special_float(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn number(text: &str, dialect: Dialect) -> Scalar<'_> {
    // A quick way out for the many strings that merely begin like a number.
    if text.bytes().any(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-'))) {
        return Scalar::Text(text);
    }
    let without_underscores;
    let plain = if text.contains('_') {
        without_underscores = text.replace('_', "");
        without_underscores.as_str()
    } else {
        text
    };
    if let Some(integer) = parse_integer(plain) {
        return Scalar::Integer(integer);
    }
    if is_yaml_float(plain)
        && let Some(value) = parse_float(plain)
    {
        return Scalar::Float(value);
    }
    let prefixes: &[(&str, u32)] = match dialect {
        Dialect::Sigs => &[("0b", 2)],
        Dialect::V3 => &[("0b", 2), ("0o", 8)],
    };
    for (prefix, radix) in prefixes {
        if let Some(digits) = plain.strip_prefix(prefix) {
            return parse_radix(digits, *radix).map_or(Scalar::Text(text), Scalar::Integer);
        }
        if let Some(digits) = plain.strip_prefix('-').and_then(|rest| rest.strip_prefix(prefix)) {
            let signed = format!("-{digits}");
            return parse_radix(&signed, *radix).map_or(Scalar::Text(text), Scalar::Integer);
        }
    }
    Scalar::Text(text)
}

/// What a scalar with this tag means; the error is the reference's.
pub fn resolve_tagged(tag: Tag, text: &str, dialect: Dialect) -> Result<Scalar<'_>, String> {
    let found = match tag {
        Tag::None => return Ok(resolve(text, dialect)),
        Tag::Str | Tag::Binary | Tag::Custom | Tag::Seq | Tag::Map => return Ok(Scalar::Text(text)),
        Tag::Merge => return Ok(Scalar::Text(text)),
        Tag::Timestamp => resolve_hinted(text, dialect, true),
        Tag::Null | Tag::Bool | Tag::Int | Tag::Float => resolve_hinted(text, dialect, false),
    };
    match (tag, found) {
        (Tag::Float, Scalar::Integer(Integer::Signed(value))) => Ok(Scalar::Float(value as f64)),
        (tag, found) if found.tag() == tag => Ok(found),
        (tag, found) => Err(format!("cannot decode {} `{text}` as a {}", found.tag().short(), tag.short())),
    }
}

/// Whether the text is a number to base 60 in YAML 1.1: `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`.
pub fn is_base60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let Some((head, rest)) = text.split_once(':') else { return false };
    let digits_or_underscores = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if !head.starts_with(|first: char| first.is_ascii_digit()) || !digits_or_underscores(head) {
        return false;
    }
    let (parts, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    digits_or_underscores(fraction)
        && parts.split(':').all(|part| match part.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [tens, digit] => matches!(tens, b'0'..=b'5') && digit.is_ascii_digit(),
            _ => false,
        })
}

//! From the tree to the output.

use crate::glob::{Glob, Stop, decode};
use crate::letter_case::{lower, upper};
use crate::parse::{Expansion, Node, Operator, Place};
use crate::{Error, Options};

/// Steps of glob matching that one trim may take.
const MAX_STEPS: usize = 20_000_000;

type Lookup<'f, 'v> = &'f dyn Fn(&str) -> Option<&'v str>;

/// Renders nodes.
pub(crate) fn evaluate(nodes: &[Node], lookup: Lookup<'_, '_>, options: Options) -> Result<Vec<u8>, Error> {
    let mut output = Output { bytes: Vec::new(), limit: options.max_output };
    let evaluator = Evaluator { lookup, options };
    for node in nodes {
        evaluator.node(node, &mut output)?;
    }
    Ok(output.bytes)
}

/// Bytes that do not grow beyond a limit.
struct Output {
    bytes: Vec<u8>,
    limit: usize,
}

impl Output {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.bytes.len().saturating_add(bytes.len()) > self.limit {
            return Err(Error::TooLarge(self.limit));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

struct Evaluator<'f, 'v> {
    lookup: Lookup<'f, 'v>,
    options: Options,
}

impl Evaluator<'_, '_> {
    fn node(&self, node: &Node, output: &mut Output) -> Result<(), Error> {
        match node {
            Node::Text(text) => output.push(text.as_bytes()),
            Node::Expansion(expansion) => self.expansion(expansion, output),
        }
    }

    fn argument(&self, node: &Node) -> Result<Vec<u8>, Error> {
        let mut output = Output { bytes: Vec::new(), limit: self.options.max_output };
        self.node(node, &mut output)?;
        Ok(output.bytes)
    }

    fn value(&self, name: &str) -> Result<&str, Error> {
        match (self.lookup)(name) {
            Some(value) => Ok(value),
            None if self.options.strict => Err(Error::NotSet(name.to_owned())),
            None => Ok(""),
        }
    }

    fn expansion(&self, Expansion { name, operator }: &Expansion, output: &mut Output) -> Result<(), Error> {
        // Arguments come first: in strict mode one that is not set fails even where it is not used.
        match operator {
            Operator::Value => output.push(self.value(name)?.as_bytes()),
            Operator::Default(word) => {
                let mut default = Output { bytes: Vec::new(), limit: self.options.max_output };
                for node in word {
                    self.node(node, &mut default)?;
                }
                match (self.lookup)(name) {
                    None | Some("") => output.push(&default.bytes),
                    Some(value) => output.push(value.as_bytes()),
                }
            }
            Operator::Length => output.push(self.value(name)?.len().to_string().as_bytes()),
            Operator::UpperAll => {
                output.push(self.value(name)?.chars().map(upper).collect::<String>().as_bytes())
            }
            Operator::LowerAll => {
                output.push(self.value(name)?.chars().map(lower).collect::<String>().as_bytes())
            }
            Operator::UpperFirst => output.push(first(self.value(name)?, upper).as_bytes()),
            Operator::LowerFirst => output.push(first(self.value(name)?, lower).as_bytes()),
            Operator::Substring(offset, length) => {
                let offset = self.argument(offset)?;
                let length = length.as_deref().map(|length| self.argument(length)).transpose()?;
                let value = self.value(name)?.as_bytes();
                let part = substring(value, &offset, length.as_deref())
                    .ok_or_else(|| Error::NegativeLength(name.clone()))?;
                output.push(part)
            }
            Operator::Replace(place, search, replacement) => {
                let search = self.argument(search)?;
                let replacement = replacement.as_deref().map(|node| self.argument(node)).transpose()?;
                replace(self.value(name)?.as_bytes(), *place, &search, replacement.as_deref(), output)
            }
            Operator::Trim { suffix, longest, pattern } => {
                let pattern = self.argument(pattern)?;
                let value = self.value(name)?.as_bytes();
                let too_complex = || Error::TooComplex(name.clone());
                if *suffix {
                    let value = reversed(value);
                    let rest = trim(&value, &reversed(&pattern), *longest).ok_or_else(too_complex)?;
                    output.push(&reversed(rest))
                } else {
                    output.push(trim(value, &pattern, *longest).ok_or_else(too_complex)?)
                }
            }
        }
    }
}

fn first(value: &str, change: fn(char) -> char) -> String {
    let mut characters = value.chars();
    characters.next().map(change).into_iter().collect::<String>() + characters.as_str()
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A slice of the value; the whole value where a number does not parse; nothing where the length is negative.
fn substring<'v>(value: &'v [u8], offset: &[u8], length: Option<&[u8]>) -> Option<&'v [u8]> {
    let size = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let Some(offset) = number(offset) else { return Some(value) };
    let offset = if offset < 0 { size.saturating_add(offset).max(0) } else { offset };
    let length = match length.map(number) {
        None => i64::MAX,
        Some(Some(length)) => length,
        Some(None) => return Some(value),
    };
    let end = offset.saturating_add(length);
    if end >= size {
        return Some(value.get(offset as usize..).unwrap_or_default());
    }
    value.get(offset as usize..usize::try_from(end).ok()?)
}

fn replace(
    value: &[u8],
    place: Place,
    search: &[u8],
    replacement: Option<&[u8]>,
    output: &mut Output,
) -> Result<(), Error> {
    match (place, replacement) {
        // Without a replacement these two do nothing in the reference.
        (Place::Prefix | Place::Suffix, None) => output.push(value),
        (Place::Prefix, Some(replacement)) => match value.strip_prefix(search) {
            Some(rest) => {
                output.push(replacement)?;
                output.push(rest)
            }
            None => output.push(value),
        },
        (Place::Suffix, Some(replacement)) => match value.strip_suffix(search) {
            Some(rest) => {
                output.push(rest)?;
                output.push(replacement)
            }
            None => output.push(value),
        },
        (Place::First | Place::All, replacement) => {
            let replacement = replacement.unwrap_or_default();
            let mut rest = value;
            let mut matched = false;
            while place == Place::All || !matched {
                if search.is_empty() {
                    // An empty text is found before each character and at the end.
                    output.push(replacement)?;
                    matched = true;
                    if place == Place::First || rest.is_empty() {
                        break;
                    }
                    let (character, after) = rest.split_at(decode(rest).1);
                    output.push(character)?;
                    rest = after;
                } else {
                    let Some(at) = find(rest, search) else { break };
                    output.push(&rest[..at])?;
                    output.push(replacement)?;
                    rest = &rest[at + search.len()..];
                    matched = true;
                }
            }
            output.push(rest)
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    match (std::str::from_utf8(haystack), std::str::from_utf8(needle)) {
        // The search of the standard library takes linear time; what is left of a valid text stays valid.
        (Ok(haystack), Ok(needle)) => haystack.find(needle),
        _ => haystack.windows(needle.len()).position(|window| window == needle),
    }
}

/// What is left of the value behind the shortest or longest prefix, of at least one byte, that matches.
fn trim<'v>(value: &'v [u8], pattern: &[u8], longest: bool) -> Option<&'v [u8]> {
    let glob = Glob::new(pattern);
    let mut steps = MAX_STEPS;
    let mut shortest = None;
    for end in (1..=value.len()).rev() {
        match glob.matches(&value[..end], &mut steps) {
            Ok(true) if longest => return Some(&value[end..]),
            Ok(true) => shortest = Some(end),
            Ok(false) => {}
            Err(Stop::BadPattern) => return Some(value),
            Err(Stop::OutOfSteps) => return None,
        }
        // The step budget also counts prefixes, so that an empty pattern ends.
        steps = steps.checked_sub(1)?;
    }
    Some(&value[shortest.unwrap_or(0)..])
}

/// The characters in reverse; what is not UTF-8 becomes U+FFFD byte by byte.
fn reversed(bytes: &[u8]) -> Vec<u8> {
    let mut characters = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (character, width) = decode(rest);
        characters.push(character);
        rest = &rest[width..];
    }
    characters.into_iter().rev().collect::<String>().into_bytes()
}

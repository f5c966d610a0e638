//! Shell globs over one path component: `*`, `?`, `[a-z]`, `[^a-z]` and backslash escapes.
//!
//! A text without any of them matches itself only.

/// A compiled glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// No special character.
    Literal(Vec<u8>),
    /// One star, then plain text: by far the most frequent kind.
    Suffix(Vec<u8>),
    General(Vec<Item>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Byte(u8),
    AnyCharacter,
    AnyText,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    /// Compiles `text`; `None` if it is malformed.
    pub fn parse(text: &[u8]) -> Option<Self> {
        Kind::parse(text).map(Glob)
    }

    /// Whether the component `name` fits.
    pub fn matches(&self, name: &[u8]) -> bool {
        self.0.matches(name)
    }
}

impl Kind {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut items = Vec::new();
        let mut rest = text;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            items.push(match first {
                b'*' => Item::AnyText,
                b'?' => Item::AnyCharacter,
                b'\\' => {
                    let (escaped, after) = rest.split_first()?;
                    rest = after;
                    Item::Byte(*escaped)
                }
                b'[' => class(&mut rest)?,
                byte => Item::Byte(*byte),
            });
        }
        let plain = |items: &[Item]| {
            let byte = |item: &Item| if let Item::Byte(byte) = item { Some(*byte) } else { None };
            items.iter().map(byte).collect::<Option<Vec<u8>>>()
        };
        if let Some(literal) = plain(&items) {
            return Some(Kind::Literal(literal));
        }
        if let Some((Item::AnyText, suffix)) = items.split_first()
            && let Some(suffix) = plain(suffix)
        {
            return Some(Kind::Suffix(suffix));
        }
        Some(Kind::General(items))
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Kind::Literal(literal) => literal == name,
            Kind::Suffix(suffix) => name.ends_with(suffix),
            Kind::General(items) => matches(items, name),
        }
    }
}

/// The rest of a class after its `[`.
fn class(rest: &mut &[u8]) -> Option<Item> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if rest.first() == Some(&b']') && !ranges.is_empty() {
            *rest = &rest[1..];
            return Some(Item::Class { negated, ranges });
        }
        let low = class_character(rest)?;
        let high = if rest.first() == Some(&b'-') {
            *rest = &rest[1..];
            class_character(rest)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}

/// One end of a range; something must follow it, at least the closing bracket.
fn class_character(rest: &mut &[u8]) -> Option<char> {
    if matches!(rest.first()?, b'-' | b']') {
        return None;
    }
    if rest[0] == b'\\' {
        *rest = &rest[1..];
    }
    let (character, length) = decode(rest)?;
    *rest = &rest[length..];
    (!rest.is_empty()).then_some(character?)
}

/// The first character and its length; bytes that are not UTF-8 count as one character each.
fn decode(text: &[u8]) -> Option<(Option<char>, usize)> {
    let length = match text.first()? {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((None, 1)),
    };
    let decoded = text.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    Some(decoded.and_then(|s| s.chars().next()).map_or((None, 1), |c| (Some(c), length)))
}

/// Tries the items in order and, on a mismatch, lets the last star take one byte more: never worse than
/// the product of both lengths.
fn matches(items: &[Item], name: &[u8]) -> bool {
    let (mut item, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match items.get(item) {
            None if at == name.len() => return true,
            None => None,
            Some(Item::AnyText) => {
                star = Some((item + 1, at));
                Some(0)
            }
            Some(Item::Byte(byte)) => (name.get(at) == Some(byte)).then_some(1),
            Some(Item::AnyCharacter) => decode(&name[at..]).map(|(_, length)| length),
            Some(Item::Class { negated, ranges }) => decode(&name[at..]).and_then(|(character, length)| {
                // The reference reads a byte that is not UTF-8 as the replacement character.
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                (inside != *negated).then_some(length)
            }),
        };
        if let Some(length) = step {
            item += 1;
            at += length;
        } else {
            let Some((after, taken)) = star else { return false };
            if taken >= name.len() {
                return false;
            }
            star = Some((after, taken + 1));
            (item, at) = (after, taken + 1);
        }
    }
}

//! Go's syntax rewritten as that of the `regex` crate.

use crate::{DEEPEST, Error};

pub(crate) struct Translated {
    pub(crate) pattern: String,
    pub(crate) names: Vec<String>,
    /// The last class by name, for the message if there is no such class.
    pub(crate) class_name: Option<String>,
}

pub(crate) fn translate(pattern: &str) -> Result<Translated, Error> {
    let mut translator = Translator {
        whole: pattern,
        rest: pattern,
        out: String::with_capacity(pattern.len() + 16),
        names: vec![String::new()],
        class_name: None,
        groups: Vec::new(),
        repeats: 1,
        atom: 1,
        repeatable: false,
        repeated_at: None,
    };
    translator.run()?;
    Ok(Translated { pattern: translator.out, names: translator.names, class_name: translator.class_name })
}

struct Translator<'p> {
    whole: &'p str,
    rest: &'p str,
    out: String,
    names: Vec<String>,
    class_name: Option<String>,
    /// Per open group: how often the most repeated part of what came before it in the outer group
    /// is repeated.
    groups: Vec<u32>,
    /// The same for the group at hand.
    repeats: u32,
    /// The same for what stands before.
    atom: u32,
    /// Whether something stands before that can be repeated.
    repeatable: bool,
    /// Where the repetition that ends right here began.
    repeated_at: Option<&'p str>,
}

const DIGIT: &str = "0-9";
const SPACE: &str = r"\t\n\x0C\r ";
const WORD: &str = "0-9A-Za-z_";
/// The largest count of a repetition.
const MOST: u32 = 1000;

impl<'p> Translator<'p> {
    fn run(&mut self) -> Result<(), Error> {
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let repeated = self.repeated_at.take();
            match c {
                '(' => self.open()?,
                ')' => {
                    let Some(outer) = self.groups.pop() else {
                        return Err(Error::new("unexpected )", self.whole));
                    };
                    self.out.push(')');
                    self.rest = &self.rest[1..];
                    self.set_repeatable();
                    self.atom = self.repeats;
                    self.repeats = self.repeats.max(outer);
                }
                '|' => {
                    self.out.push('|');
                    self.rest = &self.rest[1..];
                    self.repeatable = false;
                }
                '*' | '+' | '?' => {
                    self.rest = &self.rest[1..];
                    self.repetition(before, &before[..1], repeated)?;
                }
                '{' => match count(self.rest) {
                    Some((least, most, length)) => {
                        let too_large = least > MOST || most.is_some_and(|most| most > MOST || most < least);
                        self.rest = &self.rest[length..];
                        if too_large {
                            return Err(Error::new("invalid repeat count", &before[..length]));
                        }
                        self.repetition(before, &before[..length], repeated)?;
                        let times = most.unwrap_or(least).max(1);
                        self.atom = self.atom.saturating_mul(times);
                        if times > 1 && self.atom > MOST {
                            return Err(Error::new("invalid repeat count", &before[..length]));
                        }
                        self.repeats = self.repeats.max(self.atom);
                    }
                    None => {
                        self.literal('{');
                        self.rest = &self.rest[1..];
                    }
                },
                '[' => self.class()?,
                '\\' => self.escape()?,
                '^' | '$' | '.' => {
                    self.out.push(c);
                    self.rest = &self.rest[1..];
                    self.set_repeatable();
                }
                _ => {
                    self.literal(c);
                    self.rest = &self.rest[c.len_utf8()..];
                }
            }
        }
        if self.groups.is_empty() { Ok(()) } else { Err(Error::new("missing closing )", self.whole)) }
    }

    fn set_repeatable(&mut self) {
        self.repeatable = true;
        self.atom = 1;
    }

    fn literal(&mut self, c: char) {
        push_literal(&mut self.out, c);
        self.set_repeatable();
    }

    fn open(&mut self) -> Result<(), Error> {
        if self.groups.len() as u32 >= DEEPEST {
            return Err(Error::new("expression nests too deeply", self.whole));
        }
        if !self.rest.starts_with("(?") {
            self.names.push(String::new());
            self.group("(");
            self.rest = &self.rest[1..];
            return Ok(());
        }
        for prefix in ["(?P<", "(?<"] {
            let Some(named) = self.rest.strip_prefix(prefix) else { continue };
            let Some(end) = named.find('>') else {
                return Err(Error::new("invalid named capture", self.rest));
            };
            let name = &named[..end];
            let part = &self.rest[..=prefix.len() + end];
            let valid = !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
            if !valid {
                return Err(Error::new("invalid named capture", part));
            }
            if self.names.iter().any(|known| known == name) {
                return Err(Error::new("duplicate capture group name", name));
            }
            self.names.push(name.to_owned());
            self.group("(");
            self.rest = &named[end + 1..];
            return Ok(());
        }
        self.flags()
    }

    fn group(&mut self, opening: &str) {
        self.out.push_str(opening);
        self.groups.push(std::mem::replace(&mut self.repeats, 1));
        self.repeatable = false;
    }

    /// `(?flags)` or `(?flags:`.
    fn flags(&mut self) -> Result<(), Error> {
        let mut negative = false;
        let mut any = false;
        for (at, c) in self.rest.char_indices().skip(2) {
            let part = &self.rest[..at + c.len_utf8()];
            match c {
                'i' | 'm' | 's' | 'U' => any = true,
                '-' if !negative => {
                    negative = true;
                    any = false;
                }
                ':' | ')' if any || !negative => {
                    if c == ':' {
                        self.group(part);
                    } else if part.len() > 3 {
                        self.out.push_str(part);
                    }
                    self.rest = &self.rest[part.len()..];
                    return Ok(());
                }
                _ => return Err(Error::new("invalid or unsupported Perl syntax", part)),
            }
        }
        Err(Error::new("invalid or unsupported Perl syntax", self.rest))
    }

    fn repetition(
        &mut self,
        before: &'p str,
        operator: &str,
        repeated: Option<&'p str>,
    ) -> Result<(), Error> {
        let lazy = self.rest.starts_with('?');
        if lazy {
            self.rest = &self.rest[1..];
        }
        if let Some(start) = repeated {
            let part = &start[..start.len() - self.rest.len()];
            return Err(Error::new("invalid nested repetition operator", part));
        }
        if !self.repeatable {
            let part = &before[..before.len() - self.rest.len()];
            return Err(Error::new("missing argument to repetition operator", part));
        }
        self.out.push_str(operator);
        if lazy {
            self.out.push('?');
        }
        self.repeated_at = Some(before);
        Ok(())
    }

    /// A backslash outside of a class.
    fn escape(&mut self) -> Result<(), Error> {
        let Some(c) = self.rest[1..].chars().next() else {
            return Err(Error::new("trailing backslash at end of expression", ""));
        };
        let plain = match c {
            'A' | 'z' => Some(format!("\\{c}")),
            'b' | 'B' => Some(format!("(?-u:\\{c})")),
            'd' => Some(format!("[{DIGIT}]")),
            'D' => Some(format!("[^{DIGIT}]")),
            's' => Some(format!("[{SPACE}]")),
            'S' => Some(format!("[^{SPACE}]")),
            'w' => Some(format!("[{WORD}]")),
            'W' => Some(format!("[^{WORD}]")),
            _ => None,
        };
        if let Some(plain) = plain {
            self.out.push_str(&plain);
            self.rest = &self.rest[2..];
            self.set_repeatable();
            return Ok(());
        }
        if c == 'Q' {
            let quoted = &self.rest[2..];
            let (literal, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            for c in literal.chars() {
                self.literal(c);
            }
            self.rest = rest;
            return Ok(());
        }
        if c == 'p' || c == 'P' {
            let class = self.unicode_class()?;
            self.out.push_str(&class);
            self.set_repeatable();
            return Ok(());
        }
        let c = self.character_escape()?;
        self.literal(c);
        Ok(())
    }

    /// `\pL`, `\p{Greek}`, `\P{^Greek}`.
    fn unicode_class(&mut self) -> Result<String, Error> {
        let start = self.rest;
        let mut negative = start.starts_with("\\P");
        let after = &start[2..];
        let Some(first) = after.chars().next() else {
            return Err(Error::new("invalid character class range", start));
        };
        let mut name;
        if first == '{' {
            let Some(end) = after.find('}') else {
                return Err(Error::new("invalid character class range", start));
            };
            name = &after[1..end];
            self.rest = &after[end + 1..];
        } else {
            name = &after[..first.len_utf8()];
            self.rest = &after[first.len_utf8()..];
        }
        let part = &start[..start.len() - self.rest.len()];
        if let Some(inner) = name.strip_prefix('^') {
            negative = !negative;
            name = inner;
        }
        if name.is_empty()
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == ' ')
        {
            return Err(Error::new("invalid character class range", part));
        }
        self.class_name = Some(part.to_owned());
        Ok(format!("\\{}{{{name}}}", if negative { 'P' } else { 'p' }))
    }

    /// An escape that stands for one character.
    fn character_escape(&mut self) -> Result<char, Error> {
        let start = self.rest;
        let mut chars = start[1..].chars();
        let Some(c) = chars.next() else {
            return Err(Error::new("trailing backslash at end of expression", ""));
        };
        self.rest = chars.as_str();
        let value = match c {
            '1'..='7' if !self.rest.starts_with(|next: char| next.is_digit(8)) => None,
            '0'..='7' => {
                let mut value = c.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    let digit = self.rest.chars().next().and_then(|next| next.to_digit(8));
                    let Some(digit) = digit else { break };
                    value = value * 8 + digit;
                    self.rest = &self.rest[1..];
                }
                char::from_u32(value)
            }
            'x' => self.hexadecimal(),
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        };
        value.ok_or_else(|| Error::new("invalid escape sequence", &start[..start.len() - self.rest.len()]))
    }

    fn hexadecimal(&mut self) -> Option<char> {
        if let Some(inner) = self.rest.strip_prefix('{') {
            let mut value: u32 = 0;
            for (digits, (at, c)) in inner.char_indices().enumerate() {
                if c == '}' {
                    self.rest = &inner[at + 1..];
                    return if digits > 0 { char::from_u32(value) } else { None };
                }
                self.rest = &inner[at + c.len_utf8()..];
                value = value.checked_mul(16)?.checked_add(c.to_digit(16)?)?;
                if value > 0x0010_ffff {
                    return None;
                }
            }
            return None;
        }
        let mut value = 0;
        for _ in 0..2 {
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            value = value * 16 + c.to_digit(16)?;
        }
        char::from_u32(value)
    }

    /// `[…]`, with everything in it escaped that the `regex` crate would read as an operator.
    fn class(&mut self) -> Result<(), Error> {
        let start = self.rest;
        self.rest = &self.rest[1..];
        let mut out = String::from("[");
        if let Some(rest) = self.rest.strip_prefix('^') {
            out.push('^');
            self.rest = rest;
        }
        let mut first = true;
        loop {
            let Some(c) = self.rest.chars().next() else {
                return Err(Error::new("missing closing ]", start));
            };
            if c == ']' && !first {
                self.rest = &self.rest[1..];
                break;
            }
            first = false;
            if let Some(group) = self.posix_class()? {
                out.push_str(&group);
                continue;
            }
            if let Some(group) = self.perl_class()? {
                out.push_str(&group);
                continue;
            }
            let range = self.rest;
            let low = self.class_character(start)?;
            let mut high = low;
            let is_range =
                self.rest.starts_with('-') && !self.rest[1..].starts_with(']') && self.rest.len() >= 2;
            if is_range {
                self.rest = &self.rest[1..];
                high = self.class_character(start)?;
                if high < low {
                    let part = &range[..range.len() - self.rest.len()];
                    return Err(Error::new("invalid character class range", part));
                }
            }
            push_escaped(&mut out, low);
            if is_range {
                out.push('-');
                push_escaped(&mut out, high);
            }
        }
        out.push(']');
        self.out.push_str(&out);
        self.set_repeatable();
        Ok(())
    }

    fn class_character(&mut self, class: &str) -> Result<char, Error> {
        match self.rest.chars().next() {
            None => Err(Error::new("missing closing ]", class)),
            Some('\\') => self.character_escape(),
            Some(c) => {
                self.rest = &self.rest[c.len_utf8()..];
                Ok(c)
            }
        }
    }

    /// `[:alpha:]`
    fn posix_class(&mut self) -> Result<Option<String>, Error> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "word", "xdigit",
        ];
        let Some(inner) = self.rest.strip_prefix("[:") else {
            return Ok(None);
        };
        let Some(end) = inner.find(":]") else {
            return Ok(None);
        };
        let name = &inner[..end];
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(Error::new("invalid character class range", &self.rest[..end + 4]));
        }
        self.rest = &inner[end + 2..];
        Ok(Some(format!("[:{name}:]")))
    }

    fn perl_class(&mut self) -> Result<Option<String>, Error> {
        let Some(inner) = self.rest.strip_prefix('\\') else {
            return Ok(None);
        };
        let class = match inner.chars().next() {
            Some('d') => DIGIT.to_owned(),
            Some('s') => SPACE.to_owned(),
            Some('w') => WORD.to_owned(),
            Some('D') => format!("[^{DIGIT}]"),
            Some('S') => format!("[^{SPACE}]"),
            Some('W') => format!("[^{WORD}]"),
            Some('p' | 'P') => return self.unicode_class().map(Some),
            _ => return Ok(None),
        };
        self.rest = &inner[1..];
        Ok(Some(class))
    }
}

fn push_literal(out: &mut String, c: char) {
    out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

fn push_escaped(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{:02X}", u32::from(c)));
    }
}

/// Least and most of `{n}`, `{n,}` or `{n,m}`, and its length; nothing if the brace is literal.
fn count(text: &str) -> Option<(u32, Option<u32>, usize)> {
    const ABSURD: u32 = u32::MAX;
    let inner = text.strip_prefix('{')?;
    let end = inner.find('}')?;
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = text.len() > 1 && text.starts_with('0');
        (plain && !leading_zero).then(|| text.parse::<u32>().unwrap_or(ABSURD))
    };
    let body = &inner[..end];
    let (least, most) = match body.split_once(',') {
        None => {
            let count = number(body)?;
            (count, Some(count))
        }
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    Some((least, most, end + 2))
}

//! From text to a tree of literal text and substitutions.

use crate::{Error, MAX_DEPTH};

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Text to copy.
    Text(String),
    /// `${…}`.
    Expansion(Expansion),
}

/// `${name}` or `${name<operator>…}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expansion {
    pub(crate) name: String,
    pub(crate) operator: Operator,
}

/// What is done with the value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    /// `${v}`, and `${v^,}`, which the reference accepts and ignores.
    Value,
    /// `=`, `:=`, `:-`, `:?`, `:+`: all the same.
    Default(Vec<Node>),
    /// `${#v}`.
    Length,
    UpperFirst,
    UpperAll,
    LowerFirst,
    LowerAll,
    /// `${v:offset}`, `${v:offset:length}`.
    Substring(Box<Node>, Option<Box<Node>>),
    /// `/`, `//`, `/#`, `/%`.
    Replace(Place, Box<Node>, Option<Box<Node>>),
    /// `#`, `##`, `%`, `%%`.
    Trim {
        suffix: bool,
        longest: bool,
        pattern: Box<Node>,
    },
}

/// Which occurrences a replacement touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    All,
    Prefix,
    Suffix,
}

/// Parses a whole text.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, Error> {
    let mut parser = Parser { rest: text, depth: 0 };
    let mut nodes = Vec::new();
    while !parser.rest.is_empty() {
        if parser.take("${") {
            nodes.push(Node::Expansion(parser.expansion()?));
        } else {
            nodes.push(Node::Text(parser.text(Escapes::Dollar, |_| false)));
        }
    }
    Ok(nodes)
}

/// What a backslash or a doubled dollar sign means in a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    /// `$$` is `$`.
    Dollar,
    /// `$$` is `$`, `\/` is `/`, `\\` is `\`.
    All,
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.take("}") { Ok(()) } else { Err(Error::BadSubstitution) }
    }

    /// Text up to the next `${` or a character that ends it.
    fn text(&mut self, escapes: Escapes, ends: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(next) = self.peek() {
            if self.rest.starts_with("${") {
                break;
            }
            let mut following = self.rest.chars();
            following.next();
            let escaped = match (next, following.next()) {
                ('$', Some('$')) if escapes != Escapes::None => Some('$'),
                ('\\', Some(after @ ('/' | '\\'))) if escapes == Escapes::All => Some(after),
                _ => None,
            };
            if let Some(character) = escaped {
                text.push(character);
                self.rest = following.as_str();
            } else if ends(next) {
                break;
            } else {
                text.push(next);
                self.rest = &self.rest[next.len_utf8()..];
            }
        }
        text
    }

    fn name(&mut self) -> &str {
        let end = self
            .rest
            .find(|character: char| !(character.is_alphanumeric() || character == '_'))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name
    }

    /// One argument: either a nested substitution or a text, never both.
    fn argument(&mut self, escapes: Escapes, ends: impl Fn(char) -> bool) -> Result<Node, Error> {
        if self.take("${") {
            return self.expansion().map(Node::Expansion);
        }
        let text = self.text(escapes, ends);
        if text.is_empty() { Err(Error::Argument) } else { Ok(Node::Text(text)) }
    }

    /// What follows `${`.
    fn expansion(&mut self) -> Result<Expansion, Error> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        self.depth += 1;
        let expansion = self.expansion_at_depth();
        self.depth -= 1;
        expansion
    }

    fn expansion_at_depth(&mut self) -> Result<Expansion, Error> {
        if self.take("#") {
            let name = self.name().to_owned();
            if name.is_empty() {
                return Err(Error::BadSubstitution);
            }
            self.close()?;
            return Ok(Expansion { name, operator: Operator::Length });
        }
        let name = self.name().to_owned();
        if name.is_empty() {
            return Err(Error::VariableName);
        }
        let operator = match self.peek() {
            Some(':') => self.after_colon()?,
            Some('=') => {
                self.take("=");
                self.default_value()?
            }
            Some(',' | '^') => self.letter_case()?,
            Some('/') => self.replace()?,
            Some(sign @ ('#' | '%')) => self.trim(sign)?,
            Some('}') => {
                self.take("}");
                Operator::Value
            }
            _ => return Err(Error::MissingClosingBrace),
        };
        Ok(Expansion { name, operator })
    }

    fn after_colon(&mut self) -> Result<Operator, Error> {
        self.take(":");
        match self.peek() {
            Some('=' | '-' | '?' | '+') => {
                self.rest = &self.rest[1..];
                self.default_value()
            }
            // The reference steps back too far over a wide character; and at the end of the text there is nothing.
            None => Err(Error::BadSubstitution),
            Some(wide) if !wide.is_ascii() => Err(Error::BadSubstitution),
            Some(_) => self.substring(),
        }
    }

    fn default_value(&mut self) -> Result<Operator, Error> {
        let mut word = Vec::new();
        while !self.take("}") {
            word.push(self.argument(Escapes::None, |end| end == '}')?);
        }
        Ok(Operator::Default(word))
    }

    fn substring(&mut self) -> Result<Operator, Error> {
        let offset = self.argument(Escapes::None, |end| end == ':' || end == '}')?;
        if self.take("}") {
            return Ok(Operator::Substring(Box::new(offset), None));
        }
        if !self.take(":") {
            return Err(Error::BadSubstitution);
        }
        while self.take(":") {}
        let length = self.argument(Escapes::None, |end| end == '}')?;
        self.close()?;
        Ok(Operator::Substring(Box::new(offset), Some(Box::new(length))))
    }

    fn letter_case(&mut self) -> Result<Operator, Error> {
        let operator = if self.take("^^") {
            Operator::UpperAll
        } else if self.take(",,") {
            Operator::LowerAll
        } else if self.take("^,") || self.take(",^") {
            Operator::Value
        } else if self.take("^") {
            Operator::UpperFirst
        } else {
            self.take(",");
            Operator::LowerFirst
        };
        self.close()?;
        Ok(operator)
    }

    fn replace(&mut self) -> Result<Operator, Error> {
        self.take("/");
        let place = if self.take("/") {
            Place::All
        } else if self.take("#") {
            Place::Prefix
        } else if self.take("%") {
            Place::Suffix
        } else {
            Place::First
        };
        let search = Box::new(self.argument(Escapes::All, |end| end == '/')?);
        if !self.take("/") {
            return Err(Error::BadSubstitution);
        }
        while self.take("/") {}
        if self.take("}") {
            return Ok(Operator::Replace(place, search, None));
        }
        let replacement = self.argument(Escapes::All, |end| end == '}')?;
        self.close()?;
        Ok(Operator::Replace(place, search, Some(Box::new(replacement))))
    }

    fn trim(&mut self, sign: char) -> Result<Operator, Error> {
        let sign = sign.to_string();
        self.take(&sign);
        let longest = self.take(&sign);
        let pattern = Box::new(self.argument(Escapes::None, |end| end == '}')?);
        self.close()?;
        Ok(Operator::Trim { suffix: sign == "%", longest, pattern })
    }
}

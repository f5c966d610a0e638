//! Go's regular expressions on the `regex` crate.
//!
//! Both engines run in linear time and share most of their syntax; what differs is rewritten by
//! [`translate`](translate::translate): ASCII classes, `\Q…\E`, literal braces, octal escapes,
//! brackets inside classes. Errors have Go's texts. Finding, splitting and replacing step over
//! empty matches as Go does. Start at [`Regexp`].

mod expand;
mod find;
mod translate;

use std::fmt;

pub use find::Groups;

/// A compiled expression. Texts are bytes, mostly UTF-8.
#[derive(Clone, Debug)]
pub struct Regexp {
    pattern: String,
    program: regex::bytes::Regex,
    names: Vec<String>,
}

/// Why an expression does not compile, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: &'static str,
    part: String,
}

impl Error {
    pub(crate) fn new(code: &'static str, part: impl Into<String>) -> Self {
        Self { code, part: part.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error parsing regexp: {}: `{}`", self.code, self.part)
    }
}

impl std::error::Error for Error {}

/// Memory that one compiled expression may take.
const PROGRAM_SIZE: usize = 16 << 20;
/// How deep groups may nest, as in Go.
const DEEPEST: u32 = 1000;

impl Regexp {
    /// Compiles an expression in Go's syntax.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        let translated = translate::translate(pattern)?;
        let program = regex::bytes::RegexBuilder::new(&translated.pattern)
            .size_limit(PROGRAM_SIZE)
            .dfa_size_limit(PROGRAM_SIZE)
            .nest_limit(DEEPEST * 3)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => Error::new("expression too large", pattern),
                // What is left are classes by name.
                _ => Error::new(
                    "invalid character class range",
                    translated.class_name.as_deref().unwrap_or(pattern),
                ),
            })?;
        Ok(Self { pattern: pattern.to_owned(), program, names: translated.names })
    }

    /// The expression as it was given.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// The names of the groups; the first is that of the whole match and empty.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether it matches somewhere.
    pub fn is_match(&self, text: impl AsRef<[u8]>) -> bool {
        self.program.is_match(text.as_ref())
    }
}

/// Escapes what has a meaning in expressions.
pub fn quote_meta(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

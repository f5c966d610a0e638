//! The dialect of `${name}` substitution that Flux runs over built manifests.
//!
//! [`substitute`] is the entry: a text, a way to look names up, and whether a missing name is an error. The dialect looks
//! like that of a shell and is not: `:-`, `:=`, `:?` and `:+` mean the same, `$name` is never expanded, lengths and
//! offsets count bytes, and `$$` is a dollar sign. It never reads the environment, and never runs anything.
//!
//! Hostile input ends in an [`Error`]: nesting, the size of the output and the work of one glob match are bounded.

mod evaluate;
mod glob;
mod letter_case;
mod parse;

/// How deep `${…}` may be nested.
pub const MAX_DEPTH: usize = 64;

/// Why a text could not be substituted. The first five texts are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An operator is incomplete or does not take what follows.
    #[error("bad substitution")]
    BadSubstitution,
    /// A name is followed by something that is neither an operator nor a closing brace.
    #[error("missing closing brace")]
    MissingClosingBrace,
    /// No name follows `${`.
    #[error("unable to parse variable name")]
    VariableName,
    /// The argument of an operator is missing or does not end.
    #[error("unable to parse substitution within function")]
    Argument,
    /// The operator of a default value is incomplete.
    #[error("unable to parse default function")]
    DefaultFunction,
    /// Strict mode: nothing is known under the name, and no default is given.
    #[error("variable not set (strict mode): {0:?}")]
    NotSet(String),
    /// The length of a substring is negative (the reference crashes there).
    #[error("substring length of {0:?} is negative")]
    NegativeLength(String),
    /// `${…}` is nested deeper than [`MAX_DEPTH`].
    #[error("substitutions are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The output would be larger than [`Options::max_output`].
    #[error("the output is larger than {0} bytes")]
    TooLarge(usize),
    /// A pattern needs too many steps on its value.
    #[error("trimming {0:?} takes too long: the value is too large for the pattern")]
    TooComplex(String),
}

/// How to substitute.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether a name that is not known and has no default is an error; if not, it is an empty text.
    pub strict: bool,
    /// The largest output in bytes.
    pub max_output: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { strict: false, max_output: 16 << 20 }
    }
}

/// Replaces each `${…}` of `text`.
///
/// The result is bytes because offsets count bytes and may cut a character in half.
pub fn substitute<'v>(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<&'v str>,
    options: Options,
) -> Result<Vec<u8>, Error> {
    let nodes = parse::parse(text)?;
    evaluate::evaluate(&nodes, lookup, options)
}

/// Whether the controller takes a name as that of a variable: a letter or `_`, then letters, digits or `_`, all ASCII.
pub fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

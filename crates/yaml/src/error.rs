//! What may be wrong with a text, in the words of the Go libraries.

use std::borrow::Cow;
use std::fmt;

use crate::read::Dialect;
use crate::scanner::Mark;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Origin {
    Reader,
    Scanner,
    Parser,
}

/// A syntax error before it is worded for one of the dialects.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) origin: Origin,
    pub(crate) problem: Cow<'static, str>,
    pub(crate) context: Option<Mark>,
    pub(crate) mark: Option<Mark>,
}

impl Problem {
    pub(crate) fn reader(problem: &'static str) -> Self {
        Self { origin: Origin::Reader, problem: problem.into(), context: None, mark: None }
    }

    /// The two libraries prefer different marks, and count lines from 0 where the parser complains.
    pub(crate) fn worded(self, dialect: Dialect) -> Error {
        let context = self.context.map_or(0, |mark| mark.line);
        let problem = self.mark.map_or(0, |mark| mark.line);
        let scanner = usize::from(self.origin == Origin::Scanner);
        let line = match dialect {
            Dialect::Sigs if problem != 0 => problem + scanner,
            Dialect::Sigs => context,
            Dialect::V3 if context != 0 => context + scanner,
            Dialect::V3 if problem != 0 => problem + scanner,
            Dialect::V3 => 0,
        };
        // What is no key is in the line where it began, all else where the text cannot go on.
        let at = if self.problem == "could not find expected ':'" {
            self.context
        } else {
            self.mark.or(self.context)
        };
        Error::Syntax {
            line: (line != 0).then_some(line),
            at: at.map(|mark| mark.line + 1),
            problem: self.problem,
        }
    }
}

/// Why a text could not be read or a value not be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The text is no YAML.
    Syntax {
        /// The line as the Go library prints it (none for the first).
        line: Option<usize>,
        /// The line that is at fault, from 1, where that is known: the Go library is often off by one.
        at: Option<usize>,
        /// What was expected or found.
        problem: Cow<'static, str>,
    },
    /// A sound document with a meaning that cannot be decoded.
    Decode(String),
    /// Keys defined more than once, one line each.
    Duplicates(Vec<String>),
    /// A mapping key that JSON cannot have.
    Key(String),
    /// A number that JSON cannot have.
    Number(f64),
}

impl Error {
    /// The line that is at fault, from 1, where that is known. The one in the message may be beside it, as the Go library has
    /// it.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Syntax { at, .. } => *at,
            _ => None,
        }
    }

    pub(crate) fn decode(text: impl Into<String>) -> Self {
        Self::Decode(text.into())
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line: Some(line), problem, .. } => write!(out, "yaml: line {line}: {problem}"),
            Self::Syntax { line: None, problem, .. } => write!(out, "yaml: {problem}"),
            Self::Decode(text) => write!(out, "yaml: {text}"),
            Self::Duplicates(lines) => {
                out.write_str("yaml: unmarshal errors:")?;
                lines.iter().try_for_each(|line| write!(out, "\n  {line}"))
            }
            Self::Key(text) => out.write_str(text),
            Self::Number(number) if number.is_nan() => out.write_str("json: unsupported value: NaN"),
            Self::Number(number) if *number > 0.0 => out.write_str("json: unsupported value: +Inf"),
            Self::Number(_) => out.write_str("json: unsupported value: -Inf"),
        }
    }
}

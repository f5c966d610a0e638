//! The Common Expression Language over JSON, as far as fields of Flux's API use it.
//!
//! [`Expression::parse`] reads an expression and [`Expression::check`] judges its names and its type without running it;
//! [`Expression::evaluate_bool`] runs it over variables that are JSON. There are the standard operators, macros and
//! functions, comparisons across kinds of numbers, optional fields (`a.?b.orValue(c)`), and the extensions for strings,
//! sets and base64. An expression has no effects: it reads its variables and nothing else.
//!
//! Tenants write expressions, so nesting, steps and the size of texts are bounded.

mod check;
mod evaluate;
mod functions;
mod lexer;
mod parse;
mod value;

pub use check::Type;
use parse::Node;
use serde_json::Value as Json;

/// Why an expression does not parse, check or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no expression.
    #[error("failed to parse the CEL expression '{expression}': {message}")]
    Parse {
        /// The expression.
        expression: String,
        /// What is wrong, with the column.
        message: String,
    },
    /// A name or a type is wrong.
    #[error("failed to parse the CEL expression '{expression}': {message}")]
    Check {
        /// The expression.
        expression: String,
        /// What is wrong.
        message: String,
    },
    /// The type of the result is known, and another one is wanted.
    #[error("CEL expression output type mismatch: expected {expected}, got {actual}")]
    OutputType {
        /// What is wanted.
        expected: Type,
        /// What the expression yields.
        actual: Type,
    },
    /// It failed on these variables.
    #[error("failed to evaluate the CEL expression '{expression}': {message}")]
    Evaluate {
        /// The expression.
        expression: String,
        /// What went wrong.
        message: String,
    },
    /// The result is no truth value.
    #[error("failed to evaluate CEL expression as boolean: '{0}'")]
    NotBoolean(String),
}

/// A parsed expression.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    root: Node,
}

/// Variables by name.
pub type Variables<'v> = &'v dyn Fn(&str) -> Option<&'v Json>;

impl Expression {
    /// Parses an expression. Names and types are not looked at.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match parse::parse(text) {
            Ok(root) => Ok(Self { text: text.to_owned(), root }),
            Err(message) => Err(Error::Parse { expression: text.to_owned(), message }),
        }
    }

    /// Checks names and types, with variables that hold structures, and that the type of the result is the wanted one.
    pub fn check(self, variables: &[&str], expected: Type) -> Result<Self, Error> {
        let actual = check::check(&self.root, variables)
            .map_err(|message| Error::Check { expression: self.text.clone(), message })?;
        if actual == expected { Ok(self) } else { Err(Error::OutputType { expected, actual }) }
    }

    /// The text that was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The truth value of the expression.
    pub fn evaluate_bool(&self, variables: Variables<'_>) -> Result<bool, Error> {
        match self.run(variables)? {
            value::Value::Bool(truth) => Ok(truth),
            _ => Err(Error::NotBoolean(self.text.clone())),
        }
    }

    /// The value of the expression as JSON. `None` where JSON has no such value.
    pub fn evaluate(&self, variables: Variables<'_>) -> Result<Option<Json>, Error> {
        self.run(variables).map(|value| value.to_json())
    }

    fn run(&self, variables: Variables<'_>) -> Result<value::Value, Error> {
        evaluate::evaluate(&self.root, variables)
            .map_err(|message| Error::Evaluate { expression: self.text.clone(), message })
    }
}

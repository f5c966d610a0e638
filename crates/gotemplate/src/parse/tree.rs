//! Parsed templates: compact trees that execution walks.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::func::Func;
use crate::value::Str;

/// A text that was parsed, shared by the templates that it defines.
#[derive(Debug)]
pub(crate) struct Source {
    /// The name of the outermost template, for messages.
    pub(crate) name: String,
    pub(crate) text: Arc<[u8]>,
}

/// A template.
pub(crate) struct Template {
    pub(crate) name: Str,
    pub(crate) source: Arc<Source>,
    pub(crate) body: Vec<Node>,
    /// The node that stands for the whole body in messages.
    pub(crate) id: u32,
    /// Whether there is nothing but space in it.
    pub(crate) is_blank: bool,
}

/// A node's identity within its source and its offset; both from the start of the action for what a pipeline is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) id: u32,
    pub(crate) pos: u32,
}

/// A text: which part of the source it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Source {
    /// The bytes of a text.
    pub(crate) fn bytes(&self, text: Text) -> &[u8] {
        &self.text[text.start as usize..text.end as usize]
    }
}

pub(crate) enum Node {
    Text(Text),
    Action(Action),
    If(Box<Branch>),
    With(Box<Branch>),
    Range(Box<Branch>),
    Template(Box<Call>),
    Break(At),
    Continue(At),
}

/// A pipeline and the place of its action; equal actions share one. The places of its nodes are counted from there.
pub(crate) struct Placed {
    pub(crate) base: At,
    pub(crate) pipe: Arc<Pipe>,
}

/// `{{pipeline}}`
pub(crate) struct Action {
    pub(crate) at: At,
    pub(crate) placed: Placed,
}

/// `if`, `with` or `range`.
pub(crate) struct Branch {
    pub(crate) at: At,
    pub(crate) placed: Placed,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Option<Vec<Node>>,
}

/// `{{template "name" pipeline}}`
pub(crate) struct Call {
    pub(crate) at: At,
    pub(crate) name: Str,
    pub(crate) placed: Option<Placed>,
}

pub(crate) struct Pipe {
    pub(crate) at: At,
    pub(crate) is_assign: bool,
    pub(crate) variables: Vec<Variable>,
    pub(crate) commands: Vec<Command>,
}

/// A variable: its name with the `$`, and the number that names it within the source.
#[derive(Clone)]
pub(crate) struct Variable {
    pub(crate) id: u32,
    pub(crate) name: SmolStr,
}

/// The number of `$`.
pub(crate) const ROOT: u32 = 0;

pub(crate) struct Command {
    pub(crate) at: At,
    pub(crate) first: Expr,
    pub(crate) args: Vec<Expr>,
}

pub(crate) enum Expr {
    Dot(At),
    Nil(At),
    Bool(At, bool),
    Number(At, Box<Number>),
    String(At, Literal),
    Field(At, Box<[SmolStr]>),
    Variable(At, Variable, Box<[SmolStr]>),
    Function(At, Callee),
    Chain(At, Box<Expr>, Box<[SmolStr]>),
    Pipe(Box<Pipe>),
}

impl Expr {
    pub(crate) fn at(&self) -> At {
        match self {
            Self::Dot(at)
            | Self::Nil(at)
            | Self::Bool(at, _)
            | Self::Number(at, _)
            | Self::String(at, _)
            | Self::Field(at, _)
            | Self::Variable(at, ..)
            | Self::Function(at, _)
            | Self::Chain(at, ..) => *at,
            Self::Pipe(pipe) => pipe.at,
        }
    }
}

/// A string: its content, and how it was written, for messages.
pub(crate) struct Literal {
    pub(crate) value: Str,
    pub(crate) written: Written,
}

/// How a string stands in the template.
pub(crate) enum Written {
    /// Between these quotes as it is: there are no escapes.
    Between(char),
    As(Box<[u8]>),
}

impl Literal {
    /// A string and its text with quotes.
    pub(crate) fn new(value: Str, text: &[u8]) -> Self {
        let written = match text {
            [quote, inner @ .., _] if *inner == *value => Written::Between(char::from(*quote)),
            _ => Written::As(text.into()),
        };
        Self { value, written }
    }
}

/// A number as each type that it fits.
#[derive(Clone, Default)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) unsigned: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
    /// Written as a fraction, so a float where no type is asked for.
    pub(crate) is_fraction: bool,
    pub(crate) text: Box<str>,
}

/// What a function's name stands for.
#[derive(Clone, Copy)]
pub(crate) enum Callee {
    /// The builtin `and`, which need not look at all its arguments.
    And,
    /// The builtin `or`.
    Or,
    Func(&'static Func),
}

impl Callee {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
            Self::Func(func) => func.name,
        }
    }
}

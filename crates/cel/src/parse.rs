//! From tokens to a tree.

use crate::lexer::{Token, tokens};
use crate::value::Value;

/// Deepest nesting of an expression.
const MAX_DEPTH: usize = 64;
/// Longest expression in bytes.
const MAX_LENGTH: usize = 64 << 10;

/// A piece of an expression.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Literal(Value),
    Identifier(String),
    /// `a.b`, or `a.?b`.
    Select(Box<Node>, String, bool),
    /// `has(a.b)`.
    Has(Box<Node>, String),
    /// `a[b]`, or `a[?b]`.
    Index(Box<Node>, Box<Node>, bool),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
    Ternary(Box<Node>, Box<Node>, Box<Node>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// A function, or a method with its target.
    Call(Option<Box<Node>>, String, Vec<Node>),
    /// `all`, `exists`, `exists_one`, `filter`, `map` over a list or the keys of a map.
    Comprehension(Box<Comprehension>),
}

/// A macro that runs an expression for each item.
#[derive(Debug, Clone)]
pub(crate) struct Comprehension {
    pub(crate) kind: Kind,
    pub(crate) range: Node,
    pub(crate) variable: String,
    /// The condition of a three-argument `map`.
    pub(crate) filter: Option<Node>,
    pub(crate) body: Node,
}

/// Which macro.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// Parses an expression.
pub(crate) fn parse(text: &str) -> Result<Node, String> {
    if text.len() > MAX_LENGTH {
        return Err(format!("expression is longer than {MAX_LENGTH} bytes"));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let node = parser.expression()?;
    if *parser.peek() == Token::End { Ok(node) } else { Err(parser.unexpected()) }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

type Parsed = Result<Node, String>;

/// Binary operators by rank, the loosest first.
const RANKS: [&[&str]; 5] =
    [&["||"], &["&&"], &["==", "!=", "<=", ">=", "<", ">", "in"], &["+", "-"], &["*", "/", "%"]];

impl Parser {
    fn peek(&self) -> &Token {
        // The last token is the end, and nobody goes beyond it.
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn unexpected(&self) -> String {
        let column = self.tokens.get(self.at).map_or(0, |(_, column)| *column);
        match self.peek() {
            Token::End => format!("Syntax error at column {column}: unexpected end"),
            Token::Symbol(symbol) => format!("Syntax error at column {column}: unexpected '{symbol}'"),
            Token::Identifier(name) => format!("Syntax error at column {column}: unexpected '{name}'"),
            _ => format!("Syntax error at column {column}: unexpected literal"),
        }
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(next) if *next == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("expression is nested deeper than {MAX_DEPTH} levels"));
        }
        let condition = self.binary(0)?;
        let node = if self.take("?") {
            let then = self.binary(0)?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            Node::Ternary(Box::new(condition), Box::new(then), Box::new(otherwise))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    fn binary(&mut self, rank: usize) -> Parsed {
        let Some(operators) = RANKS.get(rank) else { return self.unary() };
        let mut left = self.binary(rank + 1)?;
        let mut chain = 0;
        loop {
            let found = match self.peek() {
                Token::Symbol(symbol) => operators.iter().find(|operator| *operator == symbol),
                Token::Identifier(name) if name == "in" => {
                    operators.iter().find(|operator| **operator == "in")
                }
                _ => None,
            };
            let Some(operator) = found else { return Ok(left) };
            chain += 1;
            if chain > 16 * MAX_DEPTH {
                return Err("expression has too many operators".to_owned());
            }
            self.at += 1;
            let right = self.binary(rank + 1)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
    }

    fn unary(&mut self) -> Parsed {
        let mut signs = Vec::new();
        while let Token::Symbol(sign @ ("!" | "-")) = *self.peek() {
            signs.push(sign);
            self.at += 1;
            if signs.len() > MAX_DEPTH {
                return Err("too many signs".to_owned());
            }
        }
        let mut node = self.member()?;
        for sign in signs.into_iter().rev() {
            node = match (sign, node) {
                ("-", Node::Literal(Value::Int(number))) => Node::Literal(Value::Int(number.wrapping_neg())),
                ("-", Node::Literal(Value::Double(number))) => Node::Literal(Value::Double(-number)),
                ("-", node) => Node::Negate(Box::new(node)),
                (_, node) => Node::Not(Box::new(node)),
            };
        }
        Ok(node)
    }

    fn member(&mut self) -> Parsed {
        let mut node = self.primary()?;
        let mut chain = 0;
        loop {
            chain += 1;
            if chain > 4 * MAX_DEPTH {
                return Err("expression has too many members".to_owned());
            }
            if self.take(".?") {
                node = Node::Select(Box::new(node), self.name()?, true);
            } else if self.take(".") {
                let name = self.name()?;
                node = if self.take("(") {
                    let arguments = self.arguments(")")?;
                    method(node, name, arguments)?
                } else {
                    Node::Select(Box::new(node), name, false)
                };
            } else if self.take("[?") {
                node = Node::Index(Box::new(node), Box::new(self.expression()?), true);
                self.expect("]")?;
            } else if self.take("[") {
                node = Node::Index(Box::new(node), Box::new(self.expression()?), false);
                self.expect("]")?;
            } else {
                return Ok(node);
            }
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::Identifier(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn arguments(&mut self, end: &str) -> Result<Vec<Node>, String> {
        let mut arguments = Vec::new();
        while !self.take(end) {
            arguments.push(self.expression()?);
            if !self.take(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Parsed {
        let node = match self.peek().clone() {
            Token::Int(number) => Node::Literal(Value::Int(number)),
            Token::Uint(number) => Node::Literal(Value::Uint(number)),
            Token::Double(number) => Node::Literal(Value::Double(number)),
            Token::Text(text) => Node::Literal(Value::text(text)),
            Token::Bytes(bytes) => Node::Literal(Value::Bytes(bytes.into())),
            Token::Symbol("(") => {
                self.at += 1;
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("[") => {
                self.at += 1;
                return Ok(Node::List(self.arguments("]")?));
            }
            Token::Symbol("{") => {
                self.at += 1;
                return self.map();
            }
            Token::Identifier(name) if name != "in" => {
                self.at += 1;
                return self.identifier(name);
            }
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(node)
    }

    fn identifier(&mut self, name: String) -> Parsed {
        if !self.take("(") {
            return Ok(match name.as_str() {
                "true" => Node::Literal(Value::Bool(true)),
                "false" => Node::Literal(Value::Bool(false)),
                "null" => Node::Literal(Value::Null),
                _ => Node::Identifier(name),
            });
        }
        let mut arguments = self.arguments(")")?;
        if name == "has" {
            return match (arguments.pop(), arguments.is_empty()) {
                (Some(Node::Select(target, field, false)), true) => Ok(Node::Has(target, field)),
                _ => Err("invalid argument to has() macro".to_owned()),
            };
        }
        Ok(Node::Call(None, name, arguments))
    }

    fn map(&mut self) -> Parsed {
        let mut entries = Vec::new();
        while !self.take("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Node::Map(entries))
    }
}

/// A method call, or the macro of that name.
fn method(target: Node, name: String, mut arguments: Vec<Node>) -> Parsed {
    // `optional.of` and `base64.encode` are functions with a dot in their names.
    if let Node::Identifier(namespace) = &target
        && matches!(namespace.as_str(), "optional" | "base64" | "sets")
    {
        return Ok(Node::Call(None, format!("{namespace}.{name}"), arguments));
    }
    let kind = match (name.as_str(), arguments.len()) {
        ("all", 2) => Kind::All,
        ("exists", 2) => Kind::Exists,
        ("exists_one" | "existsOne", 2) => Kind::ExistsOne,
        ("filter", 2) => Kind::Filter,
        ("map", 2 | 3) => Kind::Map,
        _ => return Ok(Node::Call(Some(Box::new(target)), name, arguments)),
    };
    let missing = || format!("{name}() variable name must be a simple identifier");
    let body = arguments.pop().ok_or_else(missing)?;
    let filter = if arguments.len() == 2 { arguments.pop() } else { None };
    let Some(Node::Identifier(variable)) = arguments.pop() else { return Err(missing()) };
    Ok(Node::Comprehension(Box::new(Comprehension { kind, range: target, variable, filter, body })))
}

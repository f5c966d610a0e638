//! Names and types of an expression, without running it.

use std::fmt;

use crate::functions;
use crate::parse::{Comprehension, Kind, Node};
use crate::value::Value;

/// The type of an expression as far as it is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A truth value.
    Bool,
    /// A signed integer.
    Int,
    /// An unsigned integer.
    Uint,
    /// A floating point number.
    Double,
    /// A text.
    String,
    /// Bytes.
    Bytes,
    /// Nothing.
    Null,
    /// A list.
    List,
    /// A map.
    Map,
    /// A span of time.
    Duration,
    /// A point in time.
    Timestamp,
    /// A value that may be absent.
    Optional,
    /// Known only when it runs, as all fields of variables are.
    Dyn,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Null => "null",
            Self::List => "list(dyn)",
            Self::Map => "map(string, dyn)",
            Self::Duration => "google.protobuf.Duration",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Optional => "optional_type(dyn)",
            Self::Dyn => "dyn",
        })
    }
}

pub(crate) fn check(node: &Node, variables: &[&str]) -> Result<Type, String> {
    Checker { variables, locals: Vec::new() }.node(node)
}

struct Checker<'a> {
    variables: &'a [&'a str],
    locals: Vec<&'a str>,
}

impl<'a> Checker<'a> {
    fn node(&mut self, node: &'a Node) -> Result<Type, String> {
        Ok(match node {
            Node::Literal(value) => literal(value),
            Node::Identifier(name) if self.locals.contains(&name.as_str()) => Type::Dyn,
            Node::Identifier(name) if self.variables.contains(&name.as_str()) => Type::Map,
            Node::Identifier(name) => {
                return Err(format!("undeclared reference to '{name}' (in container '')"));
            }
            Node::Select(target, field, optional) => match self.node(target)? {
                Type::Optional => Type::Optional,
                Type::Dyn | Type::Map => {
                    if *optional {
                        Type::Optional
                    } else {
                        Type::Dyn
                    }
                }
                other => return Err(format!("type '{other}' does not support field selection of '{field}'")),
            },
            Node::Has(target, field) => match self.node(target)? {
                Type::Dyn | Type::Map | Type::Optional => Type::Bool,
                other => return Err(format!("type '{other}' does not support field selection of '{field}'")),
            },
            Node::Index(target, index, optional) => {
                let target = self.node(target)?;
                self.node(index)?;
                match target {
                    Type::Dyn | Type::Map | Type::List if !*optional => Type::Dyn,
                    Type::Dyn | Type::Map | Type::List | Type::Optional => Type::Optional,
                    other => return Err(no_overload("_[_]", &[other])),
                }
            }
            Node::Not(inner) => match self.node(inner)? {
                Type::Bool | Type::Dyn => Type::Bool,
                other => return Err(no_overload("!_", &[other])),
            },
            Node::Negate(inner) => match self.node(inner)? {
                number @ (Type::Int | Type::Double | Type::Dyn | Type::Duration) => number,
                other => return Err(no_overload("-_", &[other])),
            },
            Node::Binary(operator, left, right) => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                binary(operator, left, right)?
            }
            Node::Ternary(condition, then, otherwise) => {
                let condition = self.node(condition)?;
                let (then, otherwise) = (self.node(then)?, self.node(otherwise)?);
                if !matches!(condition, Type::Bool | Type::Dyn) {
                    return Err(no_overload("_?_:_", &[condition, then, otherwise]));
                }
                if then == otherwise { then } else { Type::Dyn }
            }
            Node::List(items) => {
                for item in items {
                    self.node(item)?;
                }
                Type::List
            }
            Node::Map(entries) => {
                for (key, value) in entries {
                    self.node(key)?;
                    self.node(value)?;
                }
                Type::Map
            }
            Node::Call(target, name, arguments) => {
                let receiver = target.as_ref().map(|target| self.node(target)).transpose()?;
                let mut types = Vec::new();
                for argument in arguments {
                    types.push(self.node(argument)?);
                }
                functions::result_type(receiver, name, &types).ok_or_else(|| {
                    no_overload(name, &receiver.into_iter().chain(types).collect::<Vec<_>>())
                })?
            }
            Node::Comprehension(comprehension) => self.comprehension(comprehension)?,
        })
    }

    fn comprehension(&mut self, comprehension: &'a Comprehension) -> Result<Type, String> {
        let Comprehension { kind, range, variable, filter, body } = comprehension;
        match self.node(range)? {
            Type::Dyn | Type::List | Type::Map => {}
            other => return Err(format!("expression of type '{other}' cannot be range of a comprehension")),
        }
        self.locals.push(variable);
        let filter = filter.as_ref().map(|filter| self.node(filter)).transpose();
        let body = self.node(body);
        self.locals.pop();
        let condition = match (kind, filter?, body?) {
            (Kind::Map, None, _) => return Ok(Type::List),
            (Kind::Map, Some(filter), _) => filter,
            (_, _, body) => body,
        };
        if !matches!(condition, Type::Bool | Type::Dyn) {
            return Err(format!("expected type 'bool' but found '{condition}'"));
        }
        Ok(if matches!(kind, Kind::Map | Kind::Filter) { Type::List } else { Type::Bool })
    }
}

fn literal(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Uint(_) => Type::Uint,
        Value::Double(_) => Type::Double,
        Value::Text(_) => Type::String,
        Value::Bytes(_) => Type::Bytes,
        _ => Type::Dyn,
    }
}

fn no_overload(function: &str, types: &[Type]) -> String {
    let types: Vec<_> = types.iter().map(ToString::to_string).collect();
    format!("found no matching overload for '{function}' applied to '({})'", types.join(", "))
}

fn binary(operator: &str, left: Type, right: Type) -> Result<Type, String> {
    let fault = || no_overload(&format!("_{operator}_"), &[left, right]);
    let number = |type_| matches!(type_, Type::Int | Type::Uint | Type::Double);
    let any = left == Type::Dyn || right == Type::Dyn;
    match operator {
        "&&" | "||" => {
            let fits = |type_| matches!(type_, Type::Bool | Type::Dyn);
            if fits(left) && fits(right) { Ok(Type::Bool) } else { Err(fault()) }
        }
        "==" | "!=" => {
            let fits = any || left == right || number(left) && number(right);
            let null = left == Type::Null || right == Type::Null;
            if fits || null { Ok(Type::Bool) } else { Err(fault()) }
        }
        "in" => match right {
            Type::Dyn | Type::List | Type::Map => Ok(Type::Bool),
            _ => Err(fault()),
        },
        "<" | "<=" | ">" | ">=" => {
            let ordered = !matches!(left, Type::List | Type::Map | Type::Null | Type::Optional);
            let fits = any || left == right && ordered || number(left) && number(right);
            if fits { Ok(Type::Bool) } else { Err(fault()) }
        }
        _ => match (left, right) {
            // Where only one overload is left, its result is known.
            (Type::Dyn, other) | (other, Type::Dyn) if number(other) => Ok(other),
            (Type::Dyn, other @ (Type::String | Type::Bytes | Type::List))
            | (other @ (Type::String | Type::Bytes | Type::List), Type::Dyn)
                if operator == "+" =>
            {
                Ok(other)
            }
            (Type::Dyn, other) | (other, Type::Dyn) if other != Type::Bool => Ok(Type::Dyn),
            (Type::Timestamp, Type::Timestamp) if operator == "-" => Ok(Type::Duration),
            (Type::Timestamp, Type::Duration) => Ok(Type::Timestamp),
            (Type::Duration, Type::Timestamp) if operator == "+" => Ok(Type::Timestamp),
            (Type::Duration, Type::Duration) => Ok(Type::Duration),
            (Type::String | Type::Bytes | Type::List, same) if operator == "+" && same == left => Ok(left),
            (_, same) if same == left && number(left) => Ok(left),
            _ => Err(fault()),
        },
    }
}

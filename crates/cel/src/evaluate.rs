//! Running an expression.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Variables;
use crate::functions;
use crate::parse::{Comprehension, Kind, Node};
use crate::value::{Key, Value};

/// How many nodes may be run.
const MAX_STEPS: usize = 200_000;
/// Largest text or list that an expression may make.
pub(crate) const MAX_SIZE: usize = 1 << 20;

pub(crate) fn evaluate(node: &Node, variables: Variables<'_>) -> Result<Value, String> {
    let mut evaluator =
        Evaluator { variables, loaded: BTreeMap::new(), locals: Vec::new(), steps: MAX_STEPS };
    evaluator.node(node)
}

struct Evaluator<'v, 'n> {
    variables: Variables<'v>,
    /// Variables that were read, as values.
    loaded: BTreeMap<&'n str, Value>,
    locals: Vec<(&'n str, Value)>,
    steps: usize,
}

type Outcome = Result<Value, String>;

impl<'n> Evaluator<'_, 'n> {
    fn node(&mut self, node: &'n Node) -> Outcome {
        self.steps = self.steps.checked_sub(1).ok_or("the expression takes too long")?;
        match node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Identifier(name) => self.identifier(name),
            Node::Select(target, field, optional) => {
                let target = self.node(target)?;
                select(&target, field, *optional)
            }
            Node::Has(target, field) => match self.node(target)? {
                Value::Map(map) => Ok(Value::Bool(map.contains_key(&Key::text(field)))),
                Value::Optional(inner) => Ok(Value::Bool(match inner.as_deref() {
                    Some(Value::Map(map)) => map.contains_key(&Key::text(field)),
                    _ => false,
                })),
                other => Err(format!("type '{}' does not support field selection", other.type_name())),
            },
            Node::Index(target, index, optional) => {
                let (target, index) = (self.node(target)?, self.node(index)?);
                at(&target, &index, *optional)
            }
            Node::Not(inner) => match self.node(inner)? {
                Value::Bool(truth) => Ok(Value::Bool(!truth)),
                other => Err(no_overload("!_", &[&other])),
            },
            Node::Negate(inner) => match self.node(inner)? {
                Value::Int(number) => number.checked_neg().map(Value::Int).ok_or_else(overflow),
                Value::Double(number) => Ok(Value::Double(-number)),
                Value::Duration(span) => span.checked_neg().map(Value::Duration).ok_or_else(overflow),
                other => Err(no_overload("-_", &[&other])),
            },
            Node::Binary(operator @ ("&&" | "||"), left, right) => {
                // Either side decides alone, even where the other one fails.
                let deciding = *operator == "||";
                let left = self.node(left);
                if let Ok(Value::Bool(truth)) = left
                    && truth == deciding
                {
                    return left;
                }
                let right = self.node(right);
                match (left, right) {
                    (_, Ok(Value::Bool(truth))) if truth == deciding => Ok(Value::Bool(truth)),
                    (Err(error), _) | (_, Err(error)) => Err(error),
                    (Ok(Value::Bool(_)), Ok(Value::Bool(truth))) => Ok(Value::Bool(truth)),
                    (Ok(left), Ok(right)) => Err(no_overload(operator, &[&left, &right])),
                }
            }
            Node::Binary(operator, left, right) => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                binary(operator, &left, &right)
            }
            Node::Ternary(condition, then, otherwise) => match self.node(condition)? {
                Value::Bool(true) => self.node(then),
                Value::Bool(false) => self.node(otherwise),
                other => Err(no_overload("_?_:_", &[&other])),
            },
            Node::List(items) => {
                let items = items.iter().map(|item| self.node(item)).collect::<Result<Vec<_>, _>>()?;
                Ok(Value::List(items.into()))
            }
            Node::Map(entries) => {
                let mut map = BTreeMap::new();
                for (key, value) in entries {
                    let key = self.node(key)?;
                    let key =
                        key.to_key().ok_or_else(|| format!("unsupported key type: {}", key.type_name()))?;
                    if map.insert(key, self.node(value)?).is_some() {
                        return Err("map key conflict".to_owned());
                    }
                }
                Ok(Value::Map(Arc::new(map)))
            }
            Node::Call(target, name, arguments) => {
                let target = target.as_ref().map(|target| self.node(target)).transpose()?;
                let arguments =
                    arguments.iter().map(|node| self.node(node)).collect::<Result<Vec<_>, _>>()?;
                let size = functions::cost(target.as_ref(), &arguments);
                self.steps = self.steps.checked_sub(size).ok_or("the expression takes too long")?;
                functions::call(target.as_ref(), name, &arguments)
            }
            Node::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn identifier(&mut self, name: &'n str) -> Outcome {
        if let Some((_, value)) = self.locals.iter().rev().find(|(local, _)| *local == name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.loaded.get(name) {
            return Ok(value.clone());
        }
        let Some(json) = (self.variables)(name) else {
            return match name {
                "int" | "uint" | "double" | "bool" | "string" | "bytes" | "list" | "map" | "type"
                | "null_type" => Ok(functions::type_value(name)),
                _ => Err(format!("no such attribute(s): {name}")),
            };
        };
        let value = Value::of_json(json);
        self.loaded.insert(name, value.clone());
        Ok(value)
    }

    fn comprehension(&mut self, comprehension: &'n Comprehension) -> Outcome {
        let Comprehension { kind, range, variable, filter, body } = comprehension;
        let items: Vec<Value> = match self.node(range)? {
            Value::List(items) => items.to_vec(),
            Value::Map(map) => map.keys().map(Key::to_value).collect(),
            other => return Err(format!("type '{}' cannot be iterated", other.type_name())),
        };
        let mut found = Vec::new();
        let mut count = 0;
        let mut error = None;
        for item in items {
            self.locals.push((variable, item.clone()));
            let wanted = match filter {
                Some(filter) => self.node(filter).map(|value| matches!(value, Value::Bool(true))),
                None => Ok(true),
            };
            let result = match wanted {
                Ok(true) => self.node(body).map(Some),
                Ok(false) => Ok(None),
                Err(error) => Err(error),
            };
            self.locals.pop();
            match (kind, result) {
                (_, Ok(None)) => {}
                (Kind::Map, Ok(Some(value))) => found.push(value),
                (Kind::Filter, Ok(Some(Value::Bool(true)))) => found.push(item),
                (Kind::All, Ok(Some(Value::Bool(false)))) => return Ok(Value::Bool(false)),
                (Kind::Exists, Ok(Some(Value::Bool(true)))) => return Ok(Value::Bool(true)),
                (Kind::ExistsOne, Ok(Some(Value::Bool(true)))) => count += 1,
                (_, Ok(Some(Value::Bool(_)))) => {}
                (_, Ok(Some(other))) => return Err(no_overload("_&&_", &[&other])),
                // One item decides, even where another one fails.
                (Kind::All | Kind::Exists, Err(fault)) => {
                    error.get_or_insert(fault);
                }
                (_, Err(fault)) => return Err(fault),
            }
        }
        if let Some(error) = error {
            return Err(error);
        }
        Ok(match kind {
            Kind::All => Value::Bool(true),
            Kind::Exists => Value::Bool(false),
            Kind::ExistsOne => Value::Bool(count == 1),
            Kind::Filter | Kind::Map => Value::List(found.into()),
        })
    }
}

pub(crate) fn no_overload(function: &str, values: &[&Value]) -> String {
    let types: Vec<_> = values.iter().map(|value| value.type_name()).collect();
    format!("no such overload: {function}({})", types.join(", "))
}

fn overflow() -> String {
    "integer overflow".to_owned()
}

fn select(target: &Value, field: &str, optional: bool) -> Outcome {
    let found = match target {
        Value::Map(map) => map.get(&Key::text(field)).cloned(),
        Value::Optional(inner) => {
            let found = match inner.as_deref() {
                Some(Value::Map(map)) => map.get(&Key::text(field)).cloned(),
                Some(other) => return select(other, field, true),
                None => None,
            };
            return Ok(Value::Optional(found.map(Arc::new)));
        }
        other => return Err(format!("type '{}' does not support field selection", other.type_name())),
    };
    match (found, optional) {
        (found, true) => Ok(Value::Optional(found.map(Arc::new))),
        (Some(value), false) => Ok(value),
        (None, false) => Err(format!("no such key: {field}")),
    }
}

fn at(target: &Value, index: &Value, optional: bool) -> Outcome {
    let found = match target {
        Value::Map(map) => index.to_key().and_then(|key| map.get(&key)).cloned(),
        Value::List(items) => match index.to_key() {
            Some(Key::Number(number)) => usize::try_from(number).ok().and_then(|at| items.get(at)).cloned(),
            _ => return Err(no_overload("_[_]", &[target, index])),
        },
        Value::Optional(inner) => {
            return match inner.as_deref() {
                Some(inner) => at(inner, index, true),
                None => Ok(Value::Optional(None)),
            };
        }
        _ => return Err(no_overload("_[_]", &[target, index])),
    };
    match (found, optional) {
        (found, true) => Ok(Value::Optional(found.map(Arc::new))),
        (Some(value), false) => Ok(value),
        (None, false) => Err(match (target, index.to_text()) {
            (Value::List(_), Some(index)) => format!("index out of bounds: {index}"),
            (_, index) => format!("no such key: {}", index.unwrap_or_default()),
        }),
    }
}

fn binary(operator: &str, left: &Value, right: &Value) -> Outcome {
    let fault = || no_overload(&format!("_{operator}_"), &[left, right]);
    let ordered = |good: fn(Ordering) -> bool| {
        let same_kind = left.type_name() == right.type_name();
        match left.compare(right) {
            Some(order) => Ok(Value::Bool(good(order))),
            // Not a number is neither less nor greater.
            None if matches!((left, right), (Value::Double(_), _) | (_, Value::Double(_))) && same_kind => {
                Ok(Value::Bool(false))
            }
            None => Err(fault()),
        }
    };
    match operator {
        "==" => Ok(Value::Bool(left.equals(right))),
        "!=" => Ok(Value::Bool(!left.equals(right))),
        "<" => ordered(Ordering::is_lt),
        "<=" => ordered(Ordering::is_le),
        ">" => ordered(Ordering::is_gt),
        ">=" => ordered(Ordering::is_ge),
        "in" => match right {
            Value::List(items) => Ok(Value::Bool(items.iter().any(|item| item.equals(left)))),
            Value::Map(map) => Ok(Value::Bool(left.to_key().is_some_and(|key| map.contains_key(&key)))),
            _ => Err(fault()),
        },
        _ => arithmetic(operator, left, right).ok_or_else(fault)?,
    }
}

/// `None`: no such overload.
fn arithmetic(operator: &str, left: &Value, right: &Value) -> Option<Outcome> {
    let size =
        |length: usize| if length > MAX_SIZE { Err("the result is too large".to_owned()) } else { Ok(()) };
    let whole = |number: Option<i64>| number.map(Value::Int).ok_or_else(overflow);
    Some(match (left, right) {
        (Value::Int(a), Value::Int(b)) => match operator {
            "+" => whole(a.checked_add(*b)),
            "-" => whole(a.checked_sub(*b)),
            "*" => whole(a.checked_mul(*b)),
            _ if *b == 0 => {
                Err(if operator == "/" { "division by zero" } else { "modulus by zero" }.to_owned())
            }
            "/" => whole(a.checked_div(*b)),
            _ => whole(a.checked_rem(*b)),
        },
        (Value::Uint(a), Value::Uint(b)) => {
            let whole = |number: Option<u64>| number.map(Value::Uint).ok_or_else(overflow);
            match operator {
                "+" => whole(a.checked_add(*b)),
                "-" => whole(a.checked_sub(*b)),
                "*" => whole(a.checked_mul(*b)),
                _ if *b == 0 => {
                    Err(if operator == "/" { "division by zero" } else { "modulus by zero" }.to_owned())
                }
                "/" => whole(a.checked_div(*b)),
                _ => whole(a.checked_rem(*b)),
            }
        }
        (Value::Double(a), Value::Double(b)) => match operator {
            "+" => Ok(Value::Double(a + b)),
            "-" => Ok(Value::Double(a - b)),
            "*" => Ok(Value::Double(a * b)),
            "/" => Ok(Value::Double(a / b)),
            _ => return None,
        },
        (Value::Text(a), Value::Text(b)) if operator == "+" => {
            size(a.len() + b.len()).map(|()| Value::text(format!("{a}{b}")))
        }
        (Value::Bytes(a), Value::Bytes(b)) if operator == "+" => {
            size(a.len() + b.len()).map(|()| Value::Bytes(a.iter().chain(b.iter()).copied().collect()))
        }
        (Value::List(a), Value::List(b)) if operator == "+" => {
            size(a.len() + b.len()).map(|()| Value::List(a.iter().chain(b.iter()).cloned().collect()))
        }
        (Value::Duration(a), Value::Duration(b)) => {
            let span = match operator {
                "+" => a.checked_add(*b),
                "-" => a.checked_sub(*b),
                _ => return None,
            };
            span.map(Value::Duration).ok_or_else(overflow)
        }
        (Value::Timestamp(time), Value::Duration(span)) | (Value::Duration(span), Value::Timestamp(time)) => {
            let span = jiff::SignedDuration::from_nanos(*span);
            let moved = match (operator, left) {
                ("+", _) => time.checked_add(span),
                ("-", Value::Timestamp(_)) => time.checked_sub(span),
                _ => return None,
            };
            moved.map(Value::Timestamp).map_err(|_| "timestamp overflow".to_owned())
        }
        (Value::Timestamp(a), Value::Timestamp(b)) if operator == "-" => {
            i64::try_from(a.duration_since(*b).as_nanos()).map(Value::Duration).map_err(|_| overflow())
        }
        _ => return None,
    })
}

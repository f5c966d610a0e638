//! Pipelines, commands and operands.

use smol_str::SmolStr;

use super::{Ctx, Exec, Operand, Slot};
use crate::parse::show_expr;
use crate::parse::tree::{Command, Expr, Number, Pipe, Placed, Variable};
use crate::value::{Class, Int, Type, Value};

impl Ctx<'_> {
    /// The value of an action's pipeline: never boxed, so nil is missing.
    pub(super) fn placed(&mut self, dot: &Operand, placed: &Placed) -> Exec<Value> {
        if let Some(frame) = &mut self.frame {
            frame.action = placed.base.id;
        }
        self.pipeline(dot, &placed.pipe)
    }

    fn pipeline(&mut self, dot: &Operand, pipe: &Pipe) -> Exec<Value> {
        self.within(pipe.at.id);
        let mut value = None;
        for command in &pipe.commands {
            let result = self.command(dot, command, value)?;
            value = Some(match result {
                Value::Nil => Value::Missing,
                other => other,
            });
        }
        let value = value.unwrap_or_default();
        for variable in &pipe.variables {
            let operand = Operand::plain(value.clone());
            if pipe.is_assign {
                self.assign(variable, operand)?;
            } else {
                self.variables.push(Slot { id: variable.id, operand });
            }
        }
        Ok(value)
    }

    pub(super) fn assign(&mut self, variable: &Variable, operand: Operand) -> Exec<()> {
        let base = self.frame.as_ref().map_or(0, |frame| frame.base);
        match self.variables[base..].iter_mut().rev().find(|slot| slot.id == variable.id) {
            Some(slot) => {
                slot.operand = operand;
                Ok(())
            }
            None => Err(self.error(format_args!("undefined variable: {}", variable.name))),
        }
    }

    fn variable(&self, variable: &Variable) -> Exec<Operand> {
        let base = self.frame.as_ref().map_or(0, |frame| frame.base);
        match self.variables[base..].iter().rev().find(|slot| slot.id == variable.id) {
            Some(slot) => Ok(slot.operand.clone()),
            None => Err(self.error(format_args!("undefined variable: {}", variable.name))),
        }
    }

    /// `last` is the value of the command before, which becomes the last argument.
    fn command(&mut self, dot: &Operand, command: &Command, last: Option<Value>) -> Exec<Value> {
        match &command.first {
            Expr::Function(at, callee) => {
                self.within(at.id);
                self.call(dot, *callee, command.at, &command.args, last)
            }
            Expr::Field(at, names) => {
                self.within(at.id);
                let operand = self.chain(dot, dot.clone(), *at, names, &command.args, last)?;
                Ok(operand.value)
            }
            Expr::Variable(at, variable, names) => {
                self.within(at.id);
                let operand = self.variable(variable)?;
                if names.is_empty() {
                    self.refuse_arguments(command, last.as_ref())?;
                    return Ok(operand.value);
                }
                Ok(self.chain(dot, operand, *at, names, &command.args, last)?.value)
            }
            Expr::Chain(at, inner, names) => {
                self.within(at.id);
                let operand = self.chain_start(dot, inner)?;
                Ok(self.chain(dot, operand, *at, names, &command.args, last)?.value)
            }
            Expr::Pipe(pipe) => {
                self.refuse_arguments(command, last.as_ref())?;
                self.deeper()?;
                self.pipeline(dot, pipe)
            }
            literal => {
                self.within(literal.at().id);
                self.refuse_arguments(command, last.as_ref())?;
                match literal {
                    Expr::Nil(_) => Err(self.error("nil is not a command")),
                    other => self.literal(dot, other),
                }
            }
        }
    }

    fn refuse_arguments(&self, command: &Command, last: Option<&Value>) -> Exec<()> {
        if command.args.is_empty() && last.is_none() {
            return Ok(());
        }
        let mut shown = String::new();
        show_expr(&mut shown, &command.first);
        Err(self.error(format_args!("can't give argument to non-function {shown}")))
    }

    /// What a chain of fields begins with.
    fn chain_start(&mut self, dot: &Operand, inner: &Expr) -> Exec<Operand> {
        self.within(inner.at().id);
        match inner {
            Expr::Pipe(pipe) => {
                self.deeper()?;
                Ok(Operand::plain(self.pipeline(dot, pipe)?))
            }
            Expr::Function(at, callee) => {
                let boxed = callee.result().is_boxed();
                let value = self.call(dot, *callee, *at, &[], None)?;
                Ok(Operand { value, boxed })
            }
            Expr::Nil(_) => Err(self.error("indirection through explicit nil")),
            other => Ok(Operand::plain(self.argument(dot, Type::REFLECT, other)?)),
        }
    }

    /// The fields of a chain; arguments belong to the last.
    fn chain(
        &mut self,
        dot: &Operand,
        start: Operand,
        at: crate::parse::tree::At,
        names: &[SmolStr],
        args: &[Expr],
        last: Option<Value>,
    ) -> Exec<Operand> {
        let Some((final_name, names)) = names.split_last() else {
            return Ok(start);
        };
        let mut receiver = start;
        for name in names {
            receiver = self.field(dot, receiver, at, name, &[], None)?;
        }
        self.field(dot, receiver, at, final_name, args, last)
    }

    /// An operand as an argument of that type.
    pub(super) fn argument(&mut self, dot: &Operand, wanted: Type, expr: &Expr) -> Exec<Value> {
        let at = expr.at();
        self.within(at.id);
        let value = match expr {
            Expr::Dot(_) => dot.value.clone(),
            Expr::Nil(_) => {
                if wanted.takes_nil() {
                    return Ok(if wanted.class == Class::Reflect { Value::Missing } else { Value::Nil });
                }
                return Err(self.error(format_args!("cannot assign nil to {}", wanted.name)));
            }
            Expr::Field(_, names) => self.chain(dot, dot.clone(), at, names, &[], None)?.value,
            Expr::Variable(_, variable, names) => {
                let operand = self.variable(variable)?;
                self.chain(dot, operand, at, names, &[], None)?.value
            }
            Expr::Pipe(pipe) => {
                self.deeper()?;
                self.pipeline(dot, pipe)?
            }
            Expr::Function(_, callee) => self.call(dot, *callee, at, &[], None)?,
            Expr::Chain(_, inner, names) => {
                let operand = self.chain_start(dot, inner)?;
                self.chain(dot, operand, at, names, &[], None)?.value
            }
            Expr::Bool(..) | Expr::Number(..) | Expr::String(..) => {
                return self.typed_literal(dot, wanted, expr);
            }
        };
        self.check(value, wanted)
    }

    /// A value as one of the wanted type, or the message why not.
    pub(super) fn check(&self, value: Value, wanted: Type) -> Exec<Value> {
        match &value {
            Value::Missing => match wanted.class {
                Class::Reflect => Ok(Value::Missing),
                _ if wanted.takes_nil() => Ok(Value::Nil),
                _ => Err(self.error(format_args!("invalid value; expected {}", wanted.name))),
            },
            Value::Nil => match wanted.class {
                Class::Reflect | Class::Any => Ok(value),
                _ => Err(self.error(format_args!(
                    "wrong type for value; expected {}; got interface {{}}",
                    wanted.name
                ))),
            },
            other if wanted.accepts(other) => Ok(value),
            other => Err(self.error(format_args!(
                "wrong type for value; expected {}; got {}",
                wanted.name,
                other.type_name()
            ))),
        }
    }

    fn typed_literal(&mut self, dot: &Operand, wanted: Type, expr: &Expr) -> Exec<Value> {
        let (value, name) = match (wanted.class, expr) {
            (Class::Any | Class::Reflect, _) => return self.literal(dot, expr),
            (Class::Bool, Expr::Bool(_, value)) => (Some(Value::Bool(*value)), "bool"),
            (Class::Bool, _) => (None, "bool"),
            (Class::String, Expr::String(_, literal)) => {
                (Some(Value::String(literal.value.clone())), "string")
            }
            (Class::String, _) => (None, "string"),
            (Class::Float, Expr::Number(_, number)) => (number.float.map(Value::Float), "float"),
            (Class::Float, _) => (None, "float"),
            (Class::Int(kind), expr) => {
                let (bits, name) = match expr {
                    Expr::Number(_, number) if kind.is_unsigned() => {
                        (number.unsigned.map(|value| value as i64), "unsigned integer")
                    }
                    _ if kind.is_unsigned() => (None, "unsigned integer"),
                    Expr::Number(_, number) => (number.int, "integer"),
                    _ => (None, "integer"),
                };
                (bits.map(|bits| Value::Int(Int::new(kind, bits))), name)
            }
            (Class::Map | Class::Nillable | Class::Struct, _) => {
                let mut shown = String::new();
                show_expr(&mut shown, expr);
                return Err(self.error(format_args!("can't handle {shown} for arg of type {}", wanted.name)));
            }
        };
        if let Some(value) = value {
            return Ok(value);
        }
        let mut shown = String::new();
        show_expr(&mut shown, expr);
        Err(self.error(format_args!("expected {name}; found {shown}")))
    }

    fn literal(&mut self, dot: &Operand, expr: &Expr) -> Exec<Value> {
        match expr {
            Expr::Dot(_) => Ok(dot.value.clone()),
            Expr::Bool(_, value) => Ok(Value::Bool(*value)),
            Expr::String(_, literal) => Ok(Value::String(literal.value.clone())),
            Expr::Number(_, number) => self.number(number),
            _ => Ok(Value::Missing),
        }
    }

    /// A number where no type is asked for.
    fn number(&self, number: &Number) -> Exec<Value> {
        if let Some((real, imaginary)) = number.complex {
            return Ok(Value::Complex(real, imaginary));
        }
        if number.is_fraction
            && let Some(value) = number.float
        {
            return Ok(Value::Float(value));
        }
        match number.int {
            Some(value) => Ok(Value::int(value)),
            None => Err(self.error(format_args!("{} overflows int", number.text))),
        }
    }
}

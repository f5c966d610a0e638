//! Calls of functions.

use super::{Ctx, Exec, Operand};
use crate::parse::tree::{At, Callee, Expr};
use crate::value::{Type, Value};

impl Callee {
    /// What a call gives.
    pub(super) const fn result(self) -> Type {
        match self {
            Self::And | Self::Or => Type::REFLECT,
            Self::Func(func) => func.result,
        }
    }
}

impl Ctx<'_> {
    pub(super) fn call(
        &mut self,
        dot: &Operand,
        callee: Callee,
        at: At,
        args: &[Expr],
        last: Option<Value>,
    ) -> Exec<Value> {
        self.step()?;
        let func = match callee {
            Callee::Func(func) => func,
            Callee::And => return self.short_circuit(dot, "and", args, last),
            Callee::Or => return self.short_circuit(dot, "or", args, last),
        };
        let mut values = self.arguments(dot, func.name, func.params, func.variadic, args, last)?;
        let result = (func.call)(self, &mut values);
        let callee = values.first().filter(|_| args.is_empty() && result.is_err()).map(value_text);
        self.give_back_args(values);
        let counted = result.and_then(|value| {
            match &value {
                Value::String(text) => self.charge(text.len())?,
                Value::List(list) => self.charge_list(list.len())?,
                _ => {}
            }
            Ok(value)
        });
        counted.map_err(|failure| {
            self.within(at.id);
            let failure = Self::with_callee(failure, args, callee);
            self.failure(&format!("error calling {}: ", func.name), failure)
        })
    }

    /// Puts the text of what `call` was asked to call into its message.
    fn with_callee(
        failure: crate::error::Failure,
        args: &[Expr],
        last: Option<String>,
    ) -> crate::error::Failure {
        if !failure.text().contains(crate::builtin::CALLEE) {
            return failure;
        }
        let mut shown = last.unwrap_or_default();
        if let Some(callee) = args.first() {
            crate::parse::show_expr(&mut shown, callee);
        }
        crate::error::Failure::new(failure.text().replace(crate::builtin::CALLEE, &shown))
    }

    /// The arguments of a call, each of its parameter's type.
    pub(super) fn arguments(
        &mut self,
        dot: &Operand,
        name: &str,
        params: &[Type],
        variadic: bool,
        args: &[Expr],
        last: Option<Value>,
    ) -> Exec<Vec<Value>> {
        let count = args.len() + usize::from(last.is_some());
        let fixed = params.len() - usize::from(variadic);
        if variadic && count < fixed {
            let got = args.len();
            return Err(
                self.error(format_args!("wrong number of args for {name}: want at least {fixed} got {got}"))
            );
        }
        if !variadic && count != fixed {
            return Err(self.error(format_args!("wrong number of args for {name}: want {fixed} got {count}")));
        }
        let mut values = self.spare_args.pop().unwrap_or_default();
        let param = |index: usize| params.get(index).or(params.last()).copied().unwrap_or(Type::ANY);
        for (index, arg) in args.iter().enumerate() {
            match self.argument(dot, param(index), arg) {
                Ok(value) => values.push(value),
                Err(error) => {
                    self.give_back_args(values);
                    return Err(error);
                }
            }
        }
        if let Some(last) = last {
            values.push(self.check(last, param(args.len()))?);
        }
        Ok(values)
    }

    pub(super) fn give_back_args(&mut self, mut values: Vec<Value>) {
        const KEPT: usize = 16;
        values.clear();
        if self.spare_args.len() < KEPT {
            self.spare_args.push(values);
        }
    }

    /// `and` and `or`: the first argument that decides, or the last.
    fn short_circuit(
        &mut self,
        dot: &Operand,
        name: &str,
        args: &[Expr],
        last: Option<Value>,
    ) -> Exec<Value> {
        if args.is_empty() && last.is_none() {
            return Err(self.error(format_args!("wrong number of args for {name}: want at least 1 got 0")));
        }
        let mut value = Value::Missing;
        for arg in args {
            value = self.argument(dot, Type::REFLECT, arg)?;
            if value.truth() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }
}

/// What `reflect.Value.String` gives.
fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_text().into_owned(),
        Value::Missing => "<invalid Value>".to_owned(),
        Value::Nil => "<interface {} Value>".to_owned(),
        other => format!("<{} Value>", other.type_name()),
    }
}

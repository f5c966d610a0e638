//! Fields, keys and methods.

use super::{Ctx, Exec, Operand};
use crate::parse::tree::{At, Expr};
use crate::set::MissingKey;
use crate::value::{Method, Type, Value};

impl Ctx<'_> {
    /// `.name` of a receiver, with the arguments of a method.
    pub(super) fn field(
        &mut self,
        dot: &Operand,
        receiver: Operand,
        at: At,
        name: &str,
        args: &[Expr],
        last: Option<Value>,
    ) -> Exec<Operand> {
        let Operand { value, boxed } = receiver;
        let has_args = !args.is_empty() || last.is_some();
        match &value {
            Value::Map(map) => {
                if let Some(method) = find(map.kind().methods, name) {
                    return self.method(dot, &value, method, at, args, last);
                }
                if has_args {
                    return Err(self.error(format_args!("{name} is not a method but has arguments")));
                }
                let elem = map.kind().elem;
                match map.get(name) {
                    Some(value) => Ok(Operand { value, boxed: elem.is_boxed() }),
                    None => self.missing_key(name, elem),
                }
            }
            Value::Missing => {
                if self.set.missing_key() == MissingKey::Error {
                    let name = crate::fmt::quoted(name.as_bytes());
                    return Err(self.error(format_args!("nil data; no entry for key {name}")));
                }
                Ok(Operand::plain(Value::Missing))
            }
            Value::Nil => Err(self.error(format_args!("nil pointer evaluating interface {{}}.{name}"))),
            Value::Object(object) => {
                if let Some(method) = find(object.methods(), name) {
                    return self.method(dot, &value, method, at, args, last);
                }
                let is_map = object.kind() == crate::value::ObjectKind::Map;
                match object.field(name) {
                    Some(_) if has_args && is_map => {
                        Err(self.error(format_args!("{name} is not a method but has arguments")))
                    }
                    Some(_) if has_args => {
                        Err(self
                            .error(format_args!("{name} has arguments but cannot be invoked as function")))
                    }
                    Some(value) => Ok(Operand { value, boxed: is_map && object.elem().is_boxed() }),
                    None if is_map => self.missing_key(name, object.elem()),
                    None => Err(self.no_field(&value, boxed, name)),
                }
            }
            Value::Int(int) => match find(crate::time::int_methods(int.kind()), name) {
                Some(method) => self.method(dot, &value, method, at, args, last),
                None => Err(self.no_field(&value, boxed, name)),
            },
            _ => Err(self.no_field(&value, boxed, name)),
        }
    }

    fn missing_key(&self, name: &str, elem: Type) -> Exec<Operand> {
        match self.set.missing_key() {
            MissingKey::Invalid => Ok(Operand::plain(Value::Missing)),
            MissingKey::Zero => Ok(Operand { value: elem.zero(), boxed: elem.is_boxed() }),
            MissingKey::Error => {
                let name = crate::fmt::quoted(name.as_bytes());
                Err(self.error(format_args!("map has no entry for key {name}")))
            }
        }
    }

    #[cold]
    #[expect(clippy::unnecessary_box_returns, reason = "every evaluation returns it: results stay small")]
    fn no_field(&self, value: &Value, boxed: bool, name: &str) -> Box<crate::error::Error> {
        let type_name = if boxed { "interface {}" } else { value.type_name() };
        self.error(format_args!("can't evaluate field {name} in type {type_name}"))
    }

    fn method(
        &mut self,
        dot: &Operand,
        receiver: &Value,
        method: &'static Method,
        at: At,
        args: &[Expr],
        last: Option<Value>,
    ) -> Exec<Operand> {
        let mut values = self.arguments(dot, method.name, method.params, method.variadic, args, last)?;
        let result = (method.call)(self, receiver, &mut values);
        self.give_back_args(values);
        match result {
            Ok(value) => Ok(Operand { value, boxed: method.result.is_boxed() }),
            Err(failure) => {
                self.within(at.id);
                Err(self.failure(&format!("error calling {}: ", method.name), failure))
            }
        }
    }
}

fn find(methods: &'static [Method], name: &str) -> Option<&'static Method> {
    methods.iter().find(|method| method.name == name)
}

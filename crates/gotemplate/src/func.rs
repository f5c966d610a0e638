//! Functions that templates can call.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::error::Failure;
use crate::exec::Ctx;
use crate::value::{Type, Value};

/// The code of a function: it gets as many arguments, and as typed, as its parameters say.
pub type Call = fn(&mut Ctx<'_>, &mut [Value]) -> Result<Value, Failure>;

/// A function.
#[derive(Clone, Copy)]
pub struct Func {
    /// Its name in templates.
    pub name: &'static str,
    /// The types of its parameters.
    pub params: &'static [Type],
    /// Whether the last parameter may come any number of times.
    pub variadic: bool,
    /// What it returns.
    pub result: Type,
    /// The code.
    pub call: Call,
}

impl Func {
    /// A function with a fixed number of parameters.
    pub const fn new(name: &'static str, params: &'static [Type], result: Type, call: Call) -> Self {
        Self { name, params, variadic: false, result, call }
    }

    /// A function whose last parameter may come any number of times.
    pub const fn variadic(name: &'static str, params: &'static [Type], result: Type, call: Call) -> Self {
        Self { name, params, variadic: true, result, call }
    }
}

/// The functions of a template set, by name. Go's builtin ones are always there.
#[derive(Clone, Default)]
pub struct Functions {
    by_name: HashMap<&'static str, &'static Func, RandomState>,
}

impl Functions {
    /// Go's builtin functions only.
    pub fn builtin() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// What helm offers: sprig without `env`, and helm's own.
    pub fn helm() -> Arc<Self> {
        let mut functions = Self::default();
        for func in crate::sprig::all().chain(crate::helm::all()) {
            functions.insert(func);
        }
        Arc::new(functions)
    }

    /// Adds or replaces a function.
    pub fn insert(&mut self, func: &'static Func) {
        self.by_name.insert(func.name, func);
    }

    /// Removes a function.
    pub fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// The function of that name.
    pub fn get(&self, name: &str) -> Option<&'static Func> {
        self.by_name.get(name).copied()
    }
}

//! Go's text/template with the functions of sprig and helm.
//!
//! A [`TemplateSet`] holds parsed templates: it is `Send + Sync`, made once and executed often. An
//! execution is single-threaded: a [`Ctx`] borrows the set and a [`Host`] (clock, randomness,
//! lookups) and turns a template's name and a [`Value`] into bytes. [`Value`]s are Go's as a
//! template sees them: integers beside floats, maps shared by reference, nil apart from missing.
//!
//! Nothing here reads files or talks to a network: what a template may learn of the world comes
//! through [`Host`]. Hostile templates end in an [`Error`]: see [`Limits`].

mod args;
mod builtin;
mod cast;
mod error;
mod exec;
mod fmt;
mod func;
pub mod helm;
mod host;
mod json;
mod limits;
mod num;
mod parse;
mod set;
mod sprig;
mod time;
mod unicode;
mod value;

pub use error::{Error, Failure};
pub use exec::{Ctx, Origin};
pub use func::{Call, Func, Functions};
pub use host::{Host, SystemHost};
pub use json::problem as json_problem;
pub use limits::{Limits, with_large_stack};
pub use set::{MissingKey, TemplateSet};
pub use value::{
    Class, Int, IntKind, List, ListKind, Map, MapKind, Method, Object, ObjectKind, Str, Type, Value,
};

//! Helm's own functions, and how helm words the errors of its templates.

mod data;
mod durations;
mod errors;
mod render;
mod toml_problem;
mod toml_read;
mod toml_write;

pub use data::{from_yaml, to_yaml};
pub use errors::{execution_message, parse_message};
pub use render::without_no_value;

use crate::func::Func;
pub use crate::json::Wanted;

/// All of helm's own functions.
pub(crate) fn all() -> impl Iterator<Item = &'static Func> {
    [data::FUNCS, durations::FUNCS, render::FUNCS].into_iter().flatten()
}

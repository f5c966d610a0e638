//! From text to trees.

mod known;
mod lexer;
mod number;
mod parser;
mod pipeline;
mod show;
mod token;
pub(crate) mod tree;
pub(crate) mod unquote;

pub(crate) use known::Actions;
pub(crate) use parser::parse;
pub(crate) use show::{find, show_expr};
pub(crate) use tree::Template;

//! JSON as Go's `encoding/json` reads and writes it.

mod read;
mod write;

pub use read::Wanted;
pub(crate) use read::read;
pub(crate) use write::{Style, write};

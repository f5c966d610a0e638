//! The reference's answers, and the rules that Flux adds.

#![allow(clippy::unwrap_used, reason = "tests")]

mod flux;
mod goldens;

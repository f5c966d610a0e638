//! Answers of the reference, which `tests/reference` generates.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod policies;
mod setters;

//! Answers of the reference, which `tests/reference` generates.

mod policies;
mod setters;

//! The reference's answers, and the bounds that the reference lacks.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bounds;
mod goldens;

//! Answers of Masterminds/semver v3.5.0, one test per file of answers.

mod range;
mod sort;

//! Answers of Go: templates under helm's engine, one JSON object a line in `tests/data`.

mod chart;
mod engine;
mod helm_templates;
mod hostile;
mod language;
mod repeated;

//! The Go libraries' answers, line by line.

mod hostile;
mod read;
mod v3;
mod write;

use serde_json::Value as Json;

fn cases(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// Panics with all differences, not only the first.
fn report(what: &str, total: usize, failures: &[String]) {
    assert!(failures.is_empty(), "{} of {total} {what} differ:\n{}", failures.len(), failures.join("\n"));
}

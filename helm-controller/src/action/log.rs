//! The last lines that an action logged, for its failure event.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// How many lines are kept.
const KEPT: usize = 10;

#[derive(Debug)]
struct Line {
    text: String,
    first: Timestamp,
    last: Timestamp,
    count: usize,
}

/// Takes lines; what is the same as the line before is counted.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Vec<Line>>);

impl Log {
    /// Adds a line.
    pub(crate) fn push(&self, text: impl Into<String>) {
        let text = text.into();
        let now = Timestamp::now();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.last_mut() {
            Some(last) if last.text == text => {
                last.last = now;
                last.count += 1;
            }
            _ => {
                if lines.len() == KEPT {
                    lines.remove(0);
                }
                lines.push(Line { text, first: now, last: now, count: 1 });
            }
        }
    }

    /// A failure's message with the lines behind it, where there are any.
    pub(crate) fn after(&self, message: &str) -> String {
        let lines = self.text();
        if lines.is_empty() { message.to_owned() } else { format!("{message}\n\nLast Helm logs:\n\n{lines}") }
    }

    /// The lines as events show them; empty when nothing was logged.
    fn text(&self) -> String {
        let mut shown = Vec::new();
        for line in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            shown.push(format!("{}: {}", line.first, line.text));
            if line.count > 1 {
                let mut text = format!("{}: {}", line.last, line.text);
                let omitted = line.count - 2;
                if omitted > 0 {
                    text.push_str(&format!(" ({omitted} duplicate line(s) omitted)"));
                }
                shown.push(text);
            }
        }
        shown.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ten_distinct_lines_are_kept_and_repetitions_counted() {
        let log = Log::default();
        for number in 0..12 {
            log.push(format!("line {number}"));
        }
        for _ in 0..4 {
            log.push("again");
        }
        let text = log.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 11, "{text}");
        assert!(lines[0].ends_with(": line 3"), "{text}");
        assert!(lines[10].ends_with(": again (2 duplicate line(s) omitted)"), "{text}");
    }
}

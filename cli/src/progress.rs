//! A line on the terminal that shows what is being waited for, and for how long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::output::{Colour, Output};

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const TICK: Duration = Duration::from_millis(100);

/// Shown until it is dropped; only on a terminal.
pub(crate) struct Progress {
    output: Output,
    text: Arc<Mutex<String>>,
    task: Option<JoinHandle<()>>,
}

impl Progress {
    /// Shows a text, which [`Progress::set`] changes.
    pub(crate) fn start(output: &Output, text: &str) -> Self {
        let shown = Arc::new(Mutex::new(one_line(text)));
        let task = output.talk_terminal.then(|| tokio::spawn(animate(output.clone(), Arc::clone(&shown))));
        Self { output: output.clone(), text: shown, task }
    }

    /// What is known now.
    pub(crate) fn set(&self, text: &str) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = one_line(text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            self.output.live(None);
        }
    }
}

async fn animate(output: Output, text: Arc<Mutex<String>>) {
    let started = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    for frame in FRAMES.iter().cycle() {
        ticks.tick().await;
        let text = text.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let line = format!("{frame} {}s {text}", started.elapsed().as_secs());
        output.live(Some(output.talk_style.paint(Colour::Dim, &fit(&line, columns()))));
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn columns() -> usize {
    terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(width, _)| usize::from(width.0))
}

/// The beginning of a text that fits a line, so that the line can be rewritten.
fn fit(text: &str, columns: usize) -> String {
    let columns = columns.max(20) - 1;
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(columns - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_one_line() {
        assert_eq!(fit("short", 80), "short");
        assert_eq!(fit(&"x".repeat(200), 40).chars().count(), 39);
        assert_eq!(one_line("a\n  b"), "a b");
    }
}

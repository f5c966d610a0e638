//! What the demo looks like: steps with times, in colour on a terminal and plain in a pipe.

use std::io::{IsTerminal as _, Stdout, Write as _, stdout};
use std::time::{Duration, Instant};

/// Where the demo writes.
pub(crate) struct Screen {
    out: Stdout,
    colour: bool,
    begin: Instant,
    steps: usize,
}

#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Bold,
    Dim,
    Good,
    Bad,
    Key,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let colour =
            stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { out: stdout(), colour, begin: Instant::now(), steps: 0 }
    }

    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Bold => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Key => "36",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Nobody may be listening any more; that is no reason to stop half way.
    fn line(&self, text: &str) {
        let mut out = self.out.lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// A heading.
    pub(crate) fn step(&mut self, title: &str) {
        self.steps += 1;
        let clock = self.paint(Tone::Dim, &format!("{:>6.1} s", self.begin.elapsed().as_secs_f64()));
        self.line(&format!("\n{clock}  {}", self.paint(Tone::Bold, &format!("{}. {title}", self.steps))));
    }

    /// What happens and why, in a sentence.
    pub(crate) fn say(&self, text: &str) {
        self.line(&format!("          {}", self.paint(Tone::Dim, text)));
    }

    /// A fact.
    pub(crate) fn show(&self, text: &str) {
        self.line(&format!("          {text}"));
    }

    /// Several lines, such as a file or the output of a command.
    pub(crate) fn quote(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.line(&format!("          {} {line}", self.paint(Tone::Dim, "│")));
        }
    }

    /// Something came out as it should.
    pub(crate) fn good(&self, text: &str, took: Duration) {
        let time = self.paint(Tone::Dim, &format!("({})", seconds(took)));
        self.line(&format!("        {} {text} {time}", self.paint(Tone::Good, "✔")));
    }

    /// Something that is meant to go wrong did.
    pub(crate) fn bad(&self, text: &str) {
        self.line(&format!("        {} {text}", self.paint(Tone::Bad, "✘")));
    }

    /// An empty line.
    pub(crate) fn gap(&self) {
        self.line("");
    }
}

pub(crate) fn seconds(duration: Duration) -> String {
    if duration.as_millis() < 1000 {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

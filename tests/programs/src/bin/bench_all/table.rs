//! The targets, and whether they are met.

use anyhow::Result;
use sluice_programs::measure::say;

/// A target: at most or at least so much.
struct Row {
    what: String,
    target: String,
    measured: String,
    met: bool,
}

impl Row {
    fn line(&self) -> String {
        let met = if self.met { "yes" } else { "**no**" };
        format!("| {} | {} | {} | {met} |", self.what, self.measured, self.target)
    }
}

/// All rows; each is also shown as soon as it is known.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// One benchmark; one that fails keeps no other from being run.
    pub(crate) fn section(&mut self, what: &str, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        match run(self) {
            Ok(()) => Ok(()),
            Err(error) => self.add(what, "it runs".into(), format!("{error:#}").replace('\n', " "), false),
        }
    }

    pub(crate) fn at_most(
        &mut self,
        what: impl Into<String>,
        measured: f64,
        limit: f64,
        unit: &str,
    ) -> Result<()> {
        self.add(what, format!("≤ {limit:.2} {unit}"), format!("{measured:.2} {unit}"), measured <= limit)
    }

    pub(crate) fn at_least(
        &mut self,
        what: impl Into<String>,
        measured: f64,
        limit: f64,
        unit: &str,
    ) -> Result<()> {
        self.add(what, format!("≥ {limit:.1} {unit}"), format!("{measured:.1} {unit}"), measured >= limit)
    }

    fn add(&mut self, what: impl Into<String>, target: String, measured: String, met: bool) -> Result<()> {
        let row = Row { what: what.into(), target, measured, met };
        say(&row.line())?;
        self.0.push(row);
        Ok(())
    }

    /// How many targets are missed, of how many.
    pub(crate) fn missed(&self) -> (usize, usize) {
        (self.0.iter().filter(|row| !row.met).count(), self.0.len())
    }

    /// The whole as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let lines: Vec<String> = self.0.iter().map(Row::line).collect();
        format!("| what | ours | target | met |\n|---|---|---|---|\n{}\n", lines.join("\n"))
    }
}

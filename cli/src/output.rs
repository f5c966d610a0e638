//! Where commands print: data to stdout, everything that is said about it to stderr.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

/// The two streams. Clones print to the same place; a line is never torn.
#[derive(Clone)]
pub(crate) struct Output {
    streams: Arc<Mutex<Streams>>,
    /// Whether stdout is a terminal that a person looks at.
    pub(crate) data_terminal: bool,
    /// Whether stderr is one.
    pub(crate) talk_terminal: bool,
    /// Colours for stdout.
    pub(crate) data_style: Style,
    /// Colours for stderr.
    pub(crate) talk_style: Style,
}

struct Streams {
    data: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
    /// The line that changes in place, if one is shown.
    live: Option<String>,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style(bool);

/// What a text is to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Red,
    Green,
    Yellow,
    Cyan,
    Dim,
    Bold,
}

impl Style {
    /// Colours, or none.
    pub(crate) const fn new(colours: bool) -> Self {
        Self(colours)
    }

    /// The text in a colour, or as it is.
    pub(crate) fn paint(self, colour: Colour, text: &str) -> String {
        if !self.0 || text.is_empty() {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Cyan => "36",
            Colour::Dim => "2",
            Colour::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// A pipe that nobody reads any more: not an error to talk about.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
pub(crate) struct ClosedPipe;

impl Output {
    /// The streams of this process.
    pub(crate) fn standard() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let data_terminal = std::io::stdout().is_terminal();
        let talk_terminal = std::io::stderr().is_terminal();
        Self {
            streams: Arc::new(Mutex::new(Streams {
                data: Box::new(std::io::stdout()),
                talk: Box::new(std::io::stderr()),
                live: None,
            })),
            data_terminal,
            talk_terminal: talk_terminal && std::env::var_os("TERM").is_none_or(|value| value != "dumb"),
            data_style: Style::new(data_terminal && !plain),
            talk_style: Style::new(talk_terminal && !plain),
        }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Data: text as it is.
    pub(crate) fn data(&self, text: impl AsRef<[u8]>) -> Result<()> {
        let streams = &mut *self.streams();
        streams.clear();
        let result = streams.data.write_all(text.as_ref()).and_then(|()| streams.data.flush());
        streams.redraw();
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
            Err(error) => Err(anyhow::Error::new(error).context("cannot write the output")),
        }
    }

    /// A line of talk without a symbol.
    pub(crate) fn say(&self, text: &str) {
        self.talk(&format!("{text}\n"));
    }

    /// Talk as it is, such as a question without the end of the line.
    pub(crate) fn talk(&self, text: &str) {
        let streams = &mut *self.streams();
        streams.clear();
        // There is nobody left to tell when stderr is gone.
        let _ = streams.talk.write_all(text.as_bytes()).and_then(|()| streams.talk.flush());
        streams.redraw();
    }

    fn symbol(&self, colour: Colour, symbol: &str, text: &str) {
        self.say(&format!("{} {text}", self.talk_style.paint(colour, symbol)));
    }

    /// Something is being done.
    pub(crate) fn action(&self, text: &str) {
        self.symbol(Colour::Cyan, "►", text);
    }

    /// Something is being generated.
    pub(crate) fn generate(&self, text: &str) {
        self.symbol(Colour::Cyan, "✚", text);
    }

    /// Something is being waited for.
    pub(crate) fn waiting(&self, text: &str) {
        self.symbol(Colour::Cyan, "◎", text);
    }

    /// Something is done.
    pub(crate) fn success(&self, text: &str) {
        self.symbol(Colour::Green, "✔", text);
    }

    /// Something deserves a look.
    pub(crate) fn warning(&self, text: &str) {
        self.symbol(Colour::Yellow, "⚠️", text);
    }

    /// Something went wrong.
    pub(crate) fn failure(&self, text: &str) {
        self.symbol(Colour::Red, "✗", text);
    }

    /// What to do about what went wrong.
    pub(crate) fn hint(&self, text: &str) {
        self.say(&format!("  {} {text}", self.talk_style.paint(Colour::Cyan, "hint:")));
    }

    /// Shows, or changes, the line that is rewritten in place. Does nothing where no person looks.
    pub(crate) fn live(&self, text: Option<String>) {
        if !self.talk_terminal {
            return;
        }
        let streams = &mut *self.streams();
        streams.clear();
        streams.live = text;
        streams.redraw();
        let _ = streams.talk.flush();
    }

    /// Leaves the terminal as it was.
    pub(crate) fn finish(&self) {
        self.live(None);
    }

    /// Streams that a test reads back.
    #[cfg(test)]
    pub(crate) fn captured() -> (Self, Captured) {
        let captured = Captured::default();
        let streams = Streams {
            data: Box::new(captured.data.clone()),
            talk: Box::new(captured.talk.clone()),
            live: None,
        };
        let output = Self {
            streams: Arc::new(Mutex::new(streams)),
            data_terminal: false,
            talk_terminal: false,
            data_style: Style::new(false),
            talk_style: Style::new(false),
        };
        (output, captured)
    }
}

impl Streams {
    fn clear(&mut self) {
        if self.live.is_some() {
            let _ = self.talk.write_all(b"\r\x1b[2K");
        }
    }

    fn redraw(&mut self) {
        if let Some(line) = &self.live {
            let _ = self.talk.write_all(line.as_bytes()).and_then(|()| self.talk.flush());
        }
    }
}

/// What a test reads back.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Captured {
    data: Buffer,
    talk: Buffer,
}

#[cfg(test)]
impl Captured {
    pub(crate) fn data(&self) -> String {
        self.data.text()
    }

    pub(crate) fn talk(&self) -> String {
        self.talk.text()
    }
}

#[cfg(test)]
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

#[cfg(test)]
impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[cfg(test)]
impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_with_their_symbol_and_data_stays_apart() {
        let (output, captured) = Output::captured();
        output.action("annotating");
        output.success("annotated");
        output.failure("no");
        output.data("NAME\n").unwrap();
        assert_eq!(captured.talk(), "► annotating\n✔ annotated\n✗ no\n");
        assert_eq!(captured.data(), "NAME\n");
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(Style::new(false).paint(Colour::Red, "x"), "x");
        assert_eq!(Style::new(true).paint(Colour::Red, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}

//! The stored form of an index: JSON with one version a line.

use std::io::{self, Write};

use serde_json::{Map, Value};

/// The stored form in the making.
pub(super) struct Stored<W> {
    out: W,
    first_chart: bool,
    first_version: bool,
}

/// What stands between the root fields and the charts.
pub(super) const ENTRIES: &[u8] = b"\"entries\":{\n";

impl<W: Write> Stored<W> {
    pub(super) fn begin(mut out: W, root: &Map<String, Value>) -> io::Result<Self> {
        out.write_all(b"{")?;
        for (key, value) in root.iter().filter(|(key, _)| *key != "entries") {
            serde_json::to_writer(&mut out, key)?;
            out.write_all(b":")?;
            serde_json::to_writer(&mut out, value)?;
            out.write_all(b",\n")?;
        }
        out.write_all(ENTRIES)?;
        Ok(Stored { out, first_chart: true, first_version: true })
    }

    pub(super) fn chart(&mut self, name: &str) -> io::Result<()> {
        if !self.first_chart {
            self.out.write_all(b"\n],\n")?;
        }
        self.first_chart = false;
        self.first_version = true;
        serde_json::to_writer(&mut self.out, name)?;
        self.out.write_all(b":[")
    }

    /// Begins a version, whose JSON follows.
    pub(super) fn begin_version(&mut self) -> io::Result<()> {
        self.out.write_all(if self.first_version { b"\n" } else { b",\n" })?;
        self.first_version = false;
        Ok(())
    }

    /// A piece of the JSON of versions.
    pub(super) fn raw(&mut self, text: &[u8]) -> io::Result<()> {
        self.out.write_all(text)
    }

    pub(super) fn version(&mut self, text: &[u8]) -> io::Result<()> {
        self.begin_version()?;
        self.raw(text)
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.out.write_all(if self.first_chart { b"}}\n" } else { b"\n]\n}}\n" })?;
        self.out.flush()
    }
}

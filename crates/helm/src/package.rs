//! Charts into archives. The same chart gives the same bytes, whoever packs it and when.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use jiff::Timestamp;

use crate::chart::{Chart, ValidationError};
use crate::metadata_yaml::{lock_yaml, metadata_yaml};

/// Why a chart cannot be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// Its metadata is not acceptable.
    #[error("chart validation: {0}")]
    Invalid(#[from] ValidationError),
    /// Its schema is no JSON.
    #[error("invalid JSON in values.schema.json")]
    Schema,
    /// A path that no archive holds.
    #[error("cannot write {path}: {error}")]
    Write {
        /// The path.
        path: String,
        /// What is wrong.
        error: std::io::Error,
    },
}

/// An archive and the name that helm gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// `name-version.tgz`.
    pub file_name: String,
    /// The archive.
    pub bytes: Vec<u8>,
}

/// Packs a chart. All files get the time `modified`, or the beginning of 1980 (older times trouble some tools).
pub fn package(chart: &Chart, modified: Option<Timestamp>) -> Result<Package, PackageError> {
    let mut metadata = chart.metadata.clone();
    metadata.validate()?;
    let time = modified.map_or(315_532_800, |time| time.as_second().max(0) as u64);
    let gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .comment("Helm")
        .write(Vec::new(), Compression::default());
    let mut archive = Archive { tar: tar::Builder::new(gzip), time };
    archive.chart(chart, chart.name())?;
    let finish = |error| PackageError::Write { path: chart.name().to_owned(), error };
    let gzip = archive.tar.into_inner().map_err(finish)?;
    Ok(Package {
        file_name: format!("{}-{}.tgz", metadata.name, metadata.version),
        bytes: gzip.finish().map_err(finish)?,
    })
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
    time: u64,
}

impl<W: Write> Archive<W> {
    fn chart(&mut self, chart: &Chart, base: &str) -> Result<(), PackageError> {
        let mut metadata = chart.metadata.clone();
        if metadata.api_version == "v1" {
            metadata.dependencies = None;
        }
        self.file(&format!("{base}/Chart.yaml"), metadata_yaml(&metadata).as_bytes())?;
        if metadata.api_version != "v1"
            && let Some(lock) = &chart.lock
        {
            self.file(&format!("{base}/Chart.lock"), lock_yaml(lock).as_bytes())?;
        }
        for file in chart.raw.iter().filter(|file| &*file.name == "values.yaml") {
            self.file(&format!("{base}/values.yaml"), &file.data)?;
        }
        if let Some(schema) = &chart.schema {
            serde_json::from_slice::<serde_json::Value>(&schema.data).map_err(|_| PackageError::Schema)?;
            self.file(&format!("{base}/values.schema.json"), &schema.data)?;
        }
        for file in chart.templates.iter().chain(&chart.files) {
            self.file(&format!("{base}/{}", file.name), &file.data)?;
        }
        for subchart in &chart.subcharts {
            self.chart(subchart, &format!("{base}/charts/{}", subchart.name()))?;
        }
        Ok(())
    }

    fn file(&mut self, path: &str, content: &[u8]) -> Result<(), PackageError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(self.time);
        self.tar
            .append_data(&mut header, path, content)
            .map_err(|error| PackageError::Write { path: path.to_owned(), error })
    }
}

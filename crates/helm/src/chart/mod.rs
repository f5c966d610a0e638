//! What a chart holds, however it was stored.

mod archive;
mod budget;
mod content;
mod decode;
mod dependencies;
mod glob;
mod ignore;
mod load;
mod metadata;
mod tree;
mod validate;

use std::sync::Arc;

use jiff::Timestamp;

use crate::values::Values;

pub use archive::{ArchiveError, archive_files};
pub use content::Content;
pub use dependencies::{DependencyError, missing_dependencies, process_dependencies};
pub use ignore::{IgnoreError, IgnoreRules};
pub use load::{
    LoadError, is_archive, load, load_archive, load_directory, load_files, load_lean, load_listed, read_files,
};
pub use metadata::{Dependency, ImportValue, Lock, Maintainer, Metadata};
pub use validate::ValidationError;

pub(crate) use decode::{DecodeError, Fields};
pub(crate) use dependencies::is_compatible;
pub(crate) use glob::match_path;
pub(crate) use metadata::FIELDS;
pub(crate) use tree::{ChartId, Defaults, Tree};

/// A file of a chart. Copies share the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path below the chart's folder, with `/`.
    pub name: Arc<str>,
    /// Content.
    pub data: Content,
    /// When it was last changed, if that is known.
    pub modified: Option<Timestamp>,
}

impl File {
    /// A file without a time.
    pub fn new(name: impl Into<Arc<str>>, data: impl Into<Arc<[u8]>>) -> Self {
        File { name: name.into(), data: Content::from(data.into()), modified: None }
    }

    /// The content as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        match std::str::from_utf8(&self.data) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(&self.data),
        }
    }
}

/// A chart with its subcharts.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// `Chart.yaml`, merged with `requirements.yaml` of old charts.
    pub metadata: Metadata,
    /// `Chart.lock` or `requirements.lock`.
    pub lock: Option<Lock>,
    /// Everything under `templates/`.
    pub templates: Vec<File>,
    /// `values.yaml`; `None` where there is no such file. Copies share it.
    pub values: Option<Arc<Values>>,
    /// `values.schema.json`.
    pub schema: Option<File>,
    /// Files that no other field holds: `crds/`, `README.md` and what a template may read.
    pub files: Vec<File>,
    /// All files as they were stored, those of subcharts too.
    pub raw: Vec<File>,
    /// When `Chart.yaml` was last changed.
    pub modified: Option<Timestamp>,
    /// Subcharts, by folder name until [`process_dependencies`] has put them in the order of `Chart.yaml`.
    pub subcharts: Vec<Chart>,
    /// `root/charts/sub`, where templates and CRDs are said to be, if that is not below the path of the parent: processing
    /// dependencies gives a new name to a chart with an alias, but not always to what is below it.
    pub path: Option<String>,
    /// What a careful reader should know: accepted, but dubious.
    pub warnings: Vec<String>,
}

/// A CRD file and the name it gets in a manifest.
#[derive(Debug, Clone, Copy)]
pub struct CrdFile<'a> {
    /// `chart/charts/sub/crds/x.yaml` is `path`/`file.name`.
    pub file: &'a File,
    /// Index of the chart's path in [`Crds::paths`].
    path: usize,
}

/// The CRD files of a chart and its subcharts, parents first.
#[derive(Debug)]
pub struct Crds<'a> {
    paths: Vec<String>,
    files: Vec<CrdFile<'a>>,
}

impl<'a> Crds<'a> {
    /// Name in the manifest and file.
    pub fn iter(&self) -> impl Iterator<Item = (String, &'a File)> {
        self.files.iter().map(|crd| (format!("{}/{}", self.paths[crd.path], crd.file.name), crd.file))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl Chart {
    /// The name, or the alias that a parent gave.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Where templates are said to be, in a parent with such a path.
    pub(crate) fn path_below(&self, parent: Option<&str>) -> String {
        match (&self.path, parent) {
            (Some(path), _) => path.clone(),
            (None, Some(parent)) => format!("{parent}/charts/{}", self.name()),
            (None, None) => self.name().to_owned(),
        }
    }

    /// Whether the chart only lends partials to others.
    pub fn is_library(&self) -> bool {
        self.metadata.kind.eq_ignore_ascii_case("library")
    }

    /// The files under `crds/`, those of subcharts after the parent's.
    pub fn crds(&self) -> Crds<'_> {
        let mut crds = Crds { paths: Vec::new(), files: Vec::new() };
        self.collect_crds(self.path_below(None), &mut crds);
        crds
    }

    fn collect_crds<'a>(&'a self, path: String, crds: &mut Crds<'a>) {
        let index = crds.paths.len();
        for file in &self.files {
            if file.name.starts_with("crds/") && has_manifest_extension(&file.name) {
                crds.files.push(CrdFile { file, path: index });
            }
        }
        crds.paths.push(path.clone());
        for subchart in &self.subcharts {
            subchart.collect_crds(subchart.path_below(Some(&path)), crds);
        }
    }

    /// The file that a template or somebody else wanted and that could not be read, and why.
    pub fn unread_file(&self) -> Option<(&str, &str)> {
        let own = self.files.iter().find_map(|file| Some((&*file.name, file.data.failure()?)));
        own.or_else(|| self.subcharts.iter().find_map(Chart::unread_file))
    }

    /// Warnings of this chart and its subcharts.
    pub fn all_warnings(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.warnings.iter().map(String::as_str).collect();
        for subchart in &self.subcharts {
            all.extend(subchart.all_warnings());
        }
        all
    }
}

fn has_manifest_extension(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    let Some((_, extension)) = base.rsplit_once('.') else { return false };
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

//! Charts from folders, archives and lists of files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::archive::{self, ArchiveError, BOM};
use super::budget::{Budget, MAX_CHART_BYTES, MAX_DEPTH, MAX_FILES};
use super::ignore::{IgnoreError, IgnoreRules};
use super::metadata::{Lock, Metadata};
use super::validate::ValidationError;
use super::{Chart, Content, DecodeError, File};
use crate::document;
use crate::values::{ValuesError, read_values};

/// Why a chart cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file or folder that cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// Which.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// No chart in this folder.
    #[error("unable to detect chart at {path}: {error}")]
    NoChart {
        /// Where `Chart.yaml` should be.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A pipe, a device or the like.
    #[error("cannot load irregular file {0} as it has file mode type bits set")]
    Irregular(String),
    /// Folders that contain themselves, or just too many.
    #[error("error reading {0}: directories nest too deeply")]
    Depth(String),
    /// More bytes or files than a chart may have.
    #[error("error reading {0}: chart exceeds maximum decompressed size of {MAX_CHART_BYTES} bytes")]
    TooLarge(String),
    /// More files than a chart may have.
    #[error("error reading {0}: chart has more than {MAX_FILES} files")]
    TooManyFiles(String),
    /// Its `.helmignore` is no good.
    #[error(transparent)]
    Ignore(#[from] IgnoreError),
    /// The archive is no good.
    #[error("unable to load chart archive: {0}")]
    Archive(#[from] ArchiveError),
    /// A YAML text, and a name for it, that cannot be read.
    #[error("cannot load {file}: error converting YAML to JSON: {error}")]
    Yaml {
        /// `Chart.yaml` or another of the chart's own files.
        file: &'static str,
        /// What is wrong.
        error: sluice_yaml::Error,
    },
    /// A field of the wrong type.
    #[error("cannot load {file}: {error}")]
    Decode {
        /// `Chart.yaml` or another of the chart's own files.
        file: &'static str,
        /// What is wrong.
        error: DecodeErrorText,
    },
    /// `values.yaml` is no good.
    #[error("cannot load values.yaml: {0}")]
    Values(#[from] ValuesError),
    /// There is none.
    #[error("Chart.yaml file is missing")]
    MetadataMissing,
    /// `Chart.yaml` is no good.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// A file where an archive of the same name should be.
    #[error("error unpacking subchart tar in {chart}: expected {wanted}, got {found}")]
    SubchartArchive {
        /// The parent.
        chart: String,
        /// The archive's name.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// A subchart is no good.
    #[error("error unpacking subchart {subchart} in {chart}: {error}")]
    Subchart {
        /// Its file or folder.
        subchart: String,
        /// The parent.
        chart: String,
        /// What is wrong.
        error: Box<LoadError>,
    },
    /// A chart that is not gzip.
    #[error("file '{path}' does not appear to be a gzipped archive; got '{found}'")]
    NotGzip {
        /// The file.
        path: String,
        /// What it seems to be.
        found: &'static str,
    },
    /// A values file or the like in place of a chart.
    #[error("file '{0}' seems to be a YAML file, but expected a gzipped archive")]
    YamlFile(String),
}

/// The text of a decoding error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeErrorText(String);

impl std::fmt::Display for DecodeErrorText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<DecodeError> for DecodeErrorText {
    fn from(error: DecodeError) -> Self {
        DecodeErrorText(error.to_string())
    }
}

/// Loads a chart from a folder or an archive.
pub fn load(path: &Path) -> Result<Chart, LoadError> {
    let read_error = |error| LoadError::Read { path: path.display().to_string(), error };
    if fs::metadata(path).map_err(read_error)?.is_dir() {
        return load_directory(path);
    }
    let bytes = fs::read(path).map_err(read_error)?;
    if !is_archive(&bytes) {
        let name = path.display().to_string();
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        return Err(if is_yaml {
            LoadError::YamlFile(name)
        } else {
            let text = bytes.iter().take(512).all(|byte| !matches!(byte, 0..=8 | 14..=26 | 28..=31));
            LoadError::NotGzip {
                path: name,
                found: if text { "text/plain; charset=utf-8" } else { "application/octet-stream" },
            }
        });
    }
    load_archive(&bytes)
}

/// Like [`load`], but large CRDs of a folder stay in their files until they are wanted: most who render do not. A file
/// that can no longer be read then shows in [`Chart::unread_file`].
pub fn load_lean(path: &Path) -> Result<Chart, LoadError> {
    if !path.is_dir() {
        return load(path);
    }
    let walk = walk_directory(path, MAX_OPEN)?;
    let mut budget = walk.budget;
    assemble(walk.files, &mut budget, 0)
}

/// Whether these bytes begin as gzip does.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x1f\x8b\x08")
}

/// Loads a chart from a `.tgz`. `.helmignore` does not count here.
pub fn load_archive(bytes: &[u8]) -> Result<Chart, LoadError> {
    let mut budget = Budget::new();
    let files = archive::read_files(bytes, &mut budget)?;
    assemble(files, &mut budget, 0)
}

/// Loads a chart from its files.
pub fn load_files(files: Vec<File>) -> Result<Chart, LoadError> {
    assemble(files, &mut Budget::new(), 0)
}

/// The files of a chart in a folder or archive, whether or not they make a chart.
pub fn read_files(path: &Path) -> Result<Vec<File>, LoadError> {
    let read_error = |error| LoadError::Read { path: path.display().to_string(), error };
    if fs::metadata(path).map_err(read_error)?.is_dir() {
        return Ok(walk_directory(path, 0)?.files);
    }
    Ok(archive::archive_files(&fs::read(path).map_err(read_error)?)?)
}

/// Loads a chart from a folder; what `.helmignore` names is left out, symbolic links are followed.
pub fn load_directory(directory: &Path) -> Result<Chart, LoadError> {
    let walk = walk_directory(directory, 0)?;
    let mut budget = walk.budget;
    assemble(walk.files, &mut budget, 0)
}

/// Files that are kept open, and the bytes from which on it is worth while.
const MAX_OPEN: usize = 200;
const LARGE: u64 = 64 << 10;

fn walk_directory(directory: &Path, may_open: usize) -> Result<Walk, LoadError> {
    let metadata = directory.join("Chart.yaml");
    if let Err(error) = fs::metadata(&metadata) {
        return Err(LoadError::NoChart { path: metadata.display().to_string(), error });
    }
    let mut walk = Walk::begin(fs::read(directory.join(".helmignore")), may_open)?;
    walk.directory(directory, "")?;
    Ok(walk)
}

/// Loads a chart from a folder `at` that somebody else reads: `files` are the paths below it and the sizes, folder by
/// folder, each by name; `read` reads one of them. Like [`load_directory`] otherwise.
pub fn load_listed(
    at: &Path,
    files: &[(&str, u64)],
    read: impl Fn(&str) -> std::io::Result<Vec<u8>>,
) -> Result<Chart, LoadError> {
    let is_metadata = |path: &str| path.split('/').next() == Some("Chart.yaml");
    if !files.iter().any(|(path, _)| is_metadata(path)) {
        let error = read("Chart.yaml").err().unwrap_or_else(|| std::io::ErrorKind::NotFound.into());
        return Err(LoadError::NoChart { path: at.join("Chart.yaml").display().to_string(), error });
    }
    let mut walk = Walk::begin(read(".helmignore"), 0)?;
    for (path, size) in files {
        let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]).enumerate();
        let unread = folders.find(|(depth, folder)| walk.rules.ignores(folder, true) || *depth >= MAX_DEPTH);
        match unread {
            Some((_, folder)) if walk.rules.ignores(folder, true) => continue,
            Some((_, folder)) => return Err(LoadError::Depth(folder.to_owned())),
            None if walk.rules.ignores(path, false) => continue,
            None => {}
        }
        walk.check(path, *size)?;
        let read_error = |error| LoadError::Read { path: at.join(path).display().to_string(), error };
        walk.keep((*path).to_owned(), read(path).map_err(read_error)?.into(), None)?;
    }
    let mut budget = walk.budget;
    assemble(walk.files, &mut budget, 0)
}

struct Walk {
    rules: IgnoreRules,
    files: Vec<File>,
    budget: Budget,
    /// Where each open folder really is: a link back to one of them would never end.
    ancestors: Vec<PathBuf>,
    /// How many more files may stay open.
    may_open: usize,
}

impl Walk {
    /// `ignore`: the text of `.helmignore`, if there is one.
    fn begin(ignore: std::io::Result<Vec<u8>>, may_open: usize) -> Result<Self, LoadError> {
        let rules = IgnoreRules::parse(&String::from_utf8_lossy(&ignore.unwrap_or_default()))?;
        Ok(Walk { rules, files: Vec::new(), budget: Budget::new(), ancestors: Vec::new(), may_open })
    }

    fn directory(&mut self, path: &Path, relative: &str) -> Result<(), LoadError> {
        let read_error = |error| LoadError::Read { path: path.display().to_string(), error };
        let real = fs::canonicalize(path).map_err(read_error)?;
        if self.ancestors.contains(&real) || self.ancestors.len() > MAX_DEPTH {
            return Err(LoadError::Depth(relative.to_owned()));
        }
        self.ancestors.push(real);
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(read_error)? {
            let entry = entry.map_err(read_error)?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            entries.push((entry.file_name(), is_file));
        }
        entries.sort();
        for (name, is_file) in entries {
            let Some(text) = name.to_str() else { continue };
            let child = if relative.is_empty() { text.to_owned() } else { format!("{relative}/{text}") };
            let path = path.join(&name);
            if is_file {
                if !self.rules.ignores(&child, false) {
                    self.file(&path, child)?;
                }
            } else {
                self.entry(&path, child)?;
            }
        }
        self.ancestors.pop();
        Ok(())
    }

    fn entry(&mut self, path: &Path, relative: String) -> Result<(), LoadError> {
        let read_error = |error| LoadError::Read { path: path.display().to_string(), error };
        let metadata = fs::metadata(path).map_err(read_error)?;
        if self.rules.ignores(&relative, metadata.is_dir()) {
            return Ok(());
        }
        if metadata.is_dir() {
            return self.directory(path, &relative);
        }
        if !metadata.is_file() {
            return Err(LoadError::Irregular(path.display().to_string()));
        }
        self.file(path, relative)
    }

    fn file(&mut self, path: &Path, relative: String) -> Result<(), LoadError> {
        let read_error = |error| LoadError::Read { path: path.display().to_string(), error };
        let mut file = fs::File::open(path).map_err(read_error)?;
        let metadata = file.metadata().map_err(read_error)?;
        self.check(&relative, metadata.len())?;
        let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let mut start = [0; 3];
        if self.may_open > 0
            && is_crd(&relative)
            && metadata.len() >= LARGE
            && file.read_at(&mut start, 0).is_ok_and(|read| read == 3 && !start.starts_with(BOM))
        {
            self.may_open -= 1;
            if !self.budget.take(metadata.len()) {
                return Err(LoadError::TooLarge(relative));
            }
            let data = Content::stored(file, metadata.len());
            self.files.push(File { name: relative.into(), data, modified });
            return Ok(());
        }
        let data = read_shared(path, &mut file, metadata.len()).map_err(read_error)?;
        self.keep(relative, data, modified)
    }

    /// Whether there is room for one more file of so many bytes.
    fn check(&self, relative: &str, size: u64) -> Result<(), LoadError> {
        if size > self.budget.remaining() {
            return Err(LoadError::TooLarge(relative.to_owned()));
        }
        if self.files.len() >= MAX_FILES {
            return Err(LoadError::TooManyFiles(relative.to_owned()));
        }
        Ok(())
    }

    fn keep(
        &mut self,
        relative: String,
        data: Arc<[u8]>,
        modified: Option<Timestamp>,
    ) -> Result<(), LoadError> {
        if !self.budget.take(data.len() as u64) {
            return Err(LoadError::TooLarge(relative));
        }
        let trimmed = archive::without_bom(&data);
        let data = if trimmed.len() == data.len() { data } else { trimmed.into() };
        self.files.push(File { name: relative.into(), data: data.into(), modified });
        Ok(())
    }
}

/// Whether a file of a chart or of a subchart is below its `crds/`; a subchart may be named so, too.
fn is_crd(path: &str) -> bool {
    path.starts_with("crds/")
        || path
            .rsplit_once("/crds/")
            .is_some_and(|(chart, _)| chart != "charts" && !chart.ends_with("/charts"))
}

/// Reads a file into the place where it stays: much of a chart is never copied again.
fn read_shared(path: &Path, file: &mut fs::File, expected: u64) -> std::io::Result<Arc<[u8]>> {
    let length = usize::try_from(expected).unwrap_or(usize::MAX);
    if length == 0 {
        // Its length may not be known beforehand.
        return Ok(fs::read(path)?.into());
    }
    let mut data: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
    let Some(bytes) = Arc::get_mut(&mut data) else { return Ok(fs::read(path)?.into()) };
    let mut filled = 0;
    while filled < length {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // It was cut just now.
    if filled < length { Ok(data[..filled].into()) } else { Ok(data) }
}

/// Sorts files into the parts of a chart.
fn assemble(files: Vec<File>, budget: &mut Budget, depth: usize) -> Result<Chart, LoadError> {
    let mut chart = Chart::default();
    let mut has_metadata = false;
    for file in files.iter().filter(|file| &*file.name == "Chart.yaml") {
        merge_metadata(&mut chart.metadata, "Chart.yaml", file)?;
        if chart.metadata.api_version.is_empty() {
            "v1".clone_into(&mut chart.metadata.api_version);
        }
        chart.modified = file.modified;
        has_metadata = true;
    }
    let mut subcharts: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in &files {
        match &*file.name {
            "Chart.yaml" => {}
            "Chart.lock" => chart.lock = read_lock("Chart.lock", file)?,
            "values.yaml" => chart.values = Some(Arc::new(read_values(&file.data)?)),
            "values.schema.json" => chart.schema = Some(file.clone()),
            "requirements.yaml" => {
                let old = chart.metadata.api_version == "v1";
                if !old {
                    chart.warnings.push(
                        "Dependencies are handled in Chart.yaml since apiVersion \"v2\". We recommend migrating \
                         dependencies to Chart.yaml."
                            .to_owned(),
                    );
                }
                merge_metadata(&mut chart.metadata, "requirements.yaml", file)?;
                if chart.metadata.api_version == "v1" {
                    chart.files.push(file.clone());
                }
                has_metadata = true;
            }
            "requirements.lock" => {
                chart.lock = read_lock("requirements.lock", file)?;
                if chart.metadata.api_version == "v1" {
                    chart.files.push(file.clone());
                } else {
                    chart.warnings.push(
                        "Dependency locking is handled in Chart.lock since apiVersion \"v2\". We recommend \
                         migrating to Chart.lock."
                            .to_owned(),
                    );
                }
                has_metadata = true;
            }
            name if name.starts_with("templates/") => chart.templates.push(file.clone()),
            name => match name.strip_prefix("charts/") {
                Some(inner) if !is_provenance(name) => {
                    let folder = inner.split('/').next().unwrap_or(inner);
                    let file = File { name: inner.into(), ..file.clone() };
                    subcharts.entry(folder.to_owned()).or_default().push(file);
                }
                _ => chart.files.push(file.clone()),
            },
        }
    }
    chart.raw = files;
    if !has_metadata {
        return Err(LoadError::MetadataMissing);
    }
    chart.metadata.validate()?;
    for (folder, files) in subcharts {
        if folder.starts_with(['_', '.']) {
            continue;
        }
        let subchart = load_subchart(chart.name(), &folder, files, budget, depth + 1);
        let subchart = match subchart {
            Err(error @ LoadError::SubchartArchive { .. }) => return Err(error),
            other => other.map_err(|error| LoadError::Subchart {
                subchart: folder.clone(),
                chart: chart.name().to_owned(),
                error: Box::new(error),
            })?,
        };
        chart.subcharts.push(subchart);
    }
    Ok(chart)
}

fn load_subchart(
    parent: &str,
    folder: &str,
    files: Vec<File>,
    budget: &mut Budget,
    depth: usize,
) -> Result<Chart, LoadError> {
    if depth > MAX_DEPTH {
        return Err(LoadError::Depth(folder.to_owned()));
    }
    if folder.rsplit_once('.').is_some_and(|(_, extension)| extension == "tgz") {
        let archive = &files[0];
        if &*archive.name != folder {
            return Err(LoadError::SubchartArchive {
                chart: parent.to_owned(),
                wanted: folder.to_owned(),
                found: archive.name.to_string(),
            });
        }
        let files = archive::read_files(&archive.data, budget)?;
        return assemble(files, budget, depth);
    }
    let files = files
        .into_iter()
        .filter_map(|file| {
            let name = file.name.split_once('/')?.1.into();
            Some(File { name, ..file })
        })
        .collect();
    assemble(files, budget, depth)
}

/// Signatures lie beside the archives that they sign.
fn is_provenance(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extension == "prov")
}

fn merge_metadata(metadata: &mut Metadata, name: &'static str, file: &File) -> Result<(), LoadError> {
    let document = document::to_json(&file.data).map_err(|error| LoadError::Yaml { file: name, error })?;
    metadata.merge(&document).map_err(|error| LoadError::Decode { file: name, error: error.into() })
}

fn read_lock(name: &'static str, file: &File) -> Result<Option<Lock>, LoadError> {
    let document = document::to_json(&file.data).map_err(|error| LoadError::Yaml { file: name, error })?;
    Lock::decode(&document).map_err(|error| LoadError::Decode { file: name, error: error.into() })
}

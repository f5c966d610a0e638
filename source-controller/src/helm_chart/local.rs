//! Charts in the artifacts of GitRepositories and Buckets.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use sluice_api::meta::Artifact;
use sluice_api::source::HelmChart;
use sluice_artifact::Storage;
use sluice_artifact::extract::{Options, extract};
use sluice_artifact::storage::{Integrity, Location};
use sluice_helm::Chart;
use sluice_helm::chart::{load_archive, load_directory};
use sluice_runtime::errors::chain;

use super::build::{self, Build, Goal};
use super::{HelmCharts, dependencies, failure, origin};
use crate::source::{Context, Failure, blocking, inside};

/// The source, unpacked, and the chart in it.
struct Unpacked {
    root: tempfile::TempDir,
    path: PathBuf,
    chart: Chart,
    /// The archive, where the chart is one.
    archive: Option<Vec<u8>>,
}

/// Builds a chart from a tree; `None` if the one in the storage will do.
pub(super) async fn build(
    charts: &HelmCharts,
    context: &Context<HelmChart>,
    object: &HelmChart,
    goal: &Goal,
    artifact: &Artifact,
) -> Result<Option<Build>, Failure> {
    let shared = &context.shared;
    let flags = &shared.flags;
    let (limit, file_limit) = (flags.helm_chart_max_size, flags.helm_chart_file_max_size);
    let (storage, goal_, artifact_) = (shared.storage.clone(), goal.clone(), artifact.clone());
    let unpacked = blocking(move || unpack(&storage, &goal_, &artifact_, limit, file_limit)).await?;
    let Some(Unpacked { root, path, mut chart, archive }) = unpacked else {
        return Err(origin::no_artifact(object));
    };
    let name = chart.name().to_owned();
    let version = goal.version_of(&chart.metadata.version, Some(&artifact.revision))?;
    if goal.is_stored(&name, &version) {
        return Ok(None);
    }
    let values = build::merge_values(goal, |file| read(root.path(), file))?;
    let mut dependencies = 0;
    if archive.is_none() {
        dependencies = dependencies::fetch(charts, context, object, root.path(), &path, &mut chart).await?;
    }
    let packaged = archive.is_none() || values.is_some() || version != chart.metadata.version;
    let mut values_files = Vec::new();
    let wanted = version.clone();
    let bytes = blocking(move || {
        // The folder goes with this.
        let _root = root;
        if let (Some(archive), false) = (archive, packaged) {
            return Ok((archive, Vec::new()));
        }
        if let Some((text, files)) = values {
            build::replace_values(&mut chart, text)?;
            values_files = files;
        }
        Ok((build::pack(chart, &wanted)?, values_files))
    });
    let (bytes, values_files) = bytes.await?;
    Ok(Some(Build { name, version, bytes: bytes.into(), packaged, values_files, dependencies }))
}

/// Unpacks the source and loads the chart; `None` if the artifact is not there.
fn unpack(
    storage: &Storage,
    goal: &Goal,
    artifact: &Artifact,
    limit: u64,
    file_limit: u64,
) -> Result<Option<Unpacked>, Failure> {
    let Ok(location) = Location::parse(&artifact.path) else { return Ok(None) };
    let Ok(digest) = artifact.digest.parse() else { return Ok(None) };
    if !matches!(storage.verify(&location, &digest), Ok(Integrity::Intact)) {
        return Ok(None);
    }
    let untar = |error: &(dyn std::error::Error + 'static)| {
        failure::unknown(&format!("failed to untar artifact: {}", chain(error)))
    };
    let root = tempfile::tempdir().map_err(|error| untar(&error))?;
    let file = File::open(storage.path(&location)).map_err(|error| untar(&error))?;
    extract(BufReader::new(file), root.path(), &Options::artifact()).map_err(|error| untar(&error))?;
    let path = inside(root.path(), &goal.chart);
    let loaded = load(&path, limit, file_limit);
    let shown = |problem: String| {
        // The place on this machine is of no interest.
        let problem = problem.replace(&format!("{}/", root.path().display()), "");
        failure::reference(&problem)
    };
    let (chart, archive) = loaded.map_err(shown)?;
    Ok(Some(Unpacked { root, path, chart, archive }))
}

/// Loads a chart from a folder or an archive. With the archive's bytes.
pub(super) fn load(path: &Path, limit: u64, file_limit: u64) -> Result<(Chart, Option<Vec<u8>>), String> {
    let metadata = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (chart, archive) = if metadata.is_dir() {
        (load_directory(path).map_err(|error| chain(&error))?, None)
    } else {
        if metadata.len() > limit {
            return Err(format!("size of chart '{}' exceeds '{limit}' bytes limit", path.display()));
        }
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        (load_archive(&bytes).map_err(|error| chain(&error))?, Some(bytes))
    };
    build::check_sizes(&chart, file_limit)?;
    Ok((chart, archive))
}

/// The text of a values file of the source.
fn read(root: &Path, file: &str) -> Result<Option<Vec<u8>>, String> {
    match fs::read(inside(root, file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("could not read values file '{file}': {error}")),
    }
}

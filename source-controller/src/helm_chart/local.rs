//! Charts in the artifacts of GitRepositories and Buckets.

use std::path::{Path, PathBuf};

use sluice_api::meta::Artifact;
use sluice_api::source::{HelmChart, HelmChartSpec};
use sluice_artifact::Spool;
use sluice_artifact::spool::Entry;
use sluice_helm::Chart;
use sluice_helm::chart::{File, load_archive, load_files, load_listed};
use sluice_runtime::errors::chain;

use super::build::{self, Build, Goal, Merged};
use super::{HelmCharts, dependencies, failure, origin};
use crate::source::{Context, Failure, blocking, inside};

/// A chart that is to be packed, and what it is packed with.
struct Found {
    chart: Chart,
    /// The archive, where the chart is one.
    archive: Option<Vec<u8>>,
    version: String,
    values: Merged,
}

/// Builds a chart from a tree; `None` if the one in the storage will do.
pub(super) async fn build(
    charts: &HelmCharts,
    context: &Context<HelmChart>,
    object: &HelmChart,
    goal: &Goal,
    artifact: &Artifact,
) -> Result<Option<Build>, Failure> {
    let flags = &context.shared.flags;
    let (limit, file_limit) = (flags.helm_chart_max_size, flags.helm_chart_file_max_size);
    let Some(spool) = charts.open(context, object, artifact).await? else {
        return Err(origin::no_artifact(object));
    };
    let path = place(&goal.chart);
    let (goal, revision, tree, at) = (goal.clone(), artifact.revision.clone(), spool.clone(), path.clone());
    let found = blocking(move || find(&tree, &at, &goal, &revision, limit, file_limit)).await?;
    let Some(Found { mut chart, archive, version, values }) = found else { return Ok(None) };
    let name = chart.name().to_owned();
    let mut dependencies = 0;
    if archive.is_none() {
        let tree = dependencies::Tree { artifact, spool, path: &path };
        dependencies = dependencies::fetch(charts, context, object, tree, &mut chart).await?;
    }
    let packaged = archive.is_none() || values.is_some() || version != chart.metadata.version;
    let mut values_files = Vec::new();
    let wanted = version.clone();
    let bytes = blocking(move || {
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

/// What a chart needs of a tree, as far as its spec tells.
pub(super) fn places(spec: &HelmChartSpec) -> Vec<PathBuf> {
    let files = spec.values_files().into_iter().filter(|file| !file.is_empty());
    std::iter::once(spec.chart.as_str()).chain(files).map(place).collect()
}

/// A path within a tree.
fn place(path: &str) -> PathBuf {
    inside(Path::new(""), path)
}

/// Loads what is to be packed; `None` if that is in the storage.
fn find(
    spool: &Spool,
    path: &Path,
    goal: &Goal,
    revision: &str,
    limit: u64,
    file_limit: u64,
) -> Result<Option<Found>, Failure> {
    if is_stored(spool, path, goal, revision) {
        return Ok(None);
    }
    let (chart, archive) =
        load(spool, path, limit, file_limit).map_err(|problem| failure::reference(&problem))?;
    let version = goal.version_of(&chart.metadata.version, Some(revision))?;
    if goal.is_stored(chart.name(), &version) {
        return Ok(None);
    }
    let values = build::merge_values(goal, |file| read(spool, file))?;
    Ok(Some(Found { chart, archive, version, values }))
}

/// Whether the name and the version of a chart in a folder, of which nothing else is read, are those of the chart in the
/// storage. A chart that cannot be read is not.
fn is_stored(spool: &Spool, path: &Path, goal: &Goal, revision: &str) -> bool {
    if goal.stored.is_none() || spool.find(path) != Some(Entry::Directory) {
        return false;
    }
    let files = ["Chart.yaml", "requirements.yaml"].into_iter().filter_map(|name| {
        let text = spool.content(&path.join(name)).ok()?;
        Some(File::new(name, text))
    });
    let Ok(chart) = load_files(files.collect()) else { return false };
    let version = goal.version_of(&chart.metadata.version, Some(revision));
    version.is_ok_and(|version| goal.is_stored(chart.name(), &version))
}

/// Loads a chart from a folder or an archive in a tree. With the archive's bytes.
pub(super) fn load(
    spool: &Spool,
    path: &Path,
    limit: u64,
    file_limit: u64,
) -> Result<(Chart, Option<Vec<u8>>), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let (chart, archive) = match spool.find(path) {
        Some(Entry::Directory) => {
            let files: Vec<(&str, u64)> = spool.files(path).collect();
            let loaded = load_listed(path, &files, |file| spool.content(&path.join(file)));
            (loaded.map_err(|error| chain(&error))?, None)
        }
        Some(Entry::File(size)) if size > limit => {
            return Err(format!("size of chart '{}' exceeds '{limit}' bytes limit", path.display()));
        }
        _ => {
            let bytes = spool.content(path).map_err(failed)?;
            (load_archive(&bytes).map_err(|error| chain(&error))?, Some(bytes))
        }
    };
    build::check_sizes(&chart, file_limit)?;
    Ok((chart, archive))
}

/// The text of a values file of the source.
fn read(spool: &Spool, file: &str) -> Result<Option<Vec<u8>>, String> {
    match spool.content(&place(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("could not read values file '{file}': {error}")),
    }
}

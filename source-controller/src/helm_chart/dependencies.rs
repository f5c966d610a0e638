//! The charts that a chart in a folder depends on and does not bring along.

use std::path::Path;
use std::sync::Arc;

use kube::ResourceExt as _;
use sluice_api::meta::Artifact;
use sluice_api::source::{HelmChart, HelmRepository, HelmRepositorySpec, HelmRepositoryType};
use sluice_artifact::{Algorithm, Spool};
use sluice_helm::Chart;
use sluice_helm::chart::{Dependency, load_archive};
use sluice_helm::index::stored;
use sluice_runtime::errors::chain;
use sluice_semver::{Constraints, Version};

use super::{HelmCharts, build, failure, local, remote};
use crate::chart_repository::{
    Access, AccessError, Fetched, FoundChart, Repository, RepositoryError, find, open,
};
use crate::helm_repository::within;
use crate::source::{Context, Failure, blocking, inside};

/// The folder of a chart.
pub(super) struct Tree<'a> {
    pub(super) artifact: &'a Artifact,
    pub(super) spool: Arc<Spool>,
    pub(super) path: &'a Path,
}

/// Adds what is missing to a chart. Returns how many charts that were.
pub(super) async fn fetch(
    charts: &HelmCharts,
    context: &Context<HelmChart>,
    object: &HelmChart,
    tree: Tree<'_>,
    chart: &mut Chart,
) -> Result<usize, Failure> {
    let locked = chart.lock.as_ref().and_then(|lock| lock.dependencies.as_ref());
    let wanted = locked.or(chart.metadata.dependencies.as_ref());
    let wanted: Vec<Dependency> = wanted.into_iter().flatten().flatten().cloned().collect();
    if wanted.len() == chart.subcharts.len() {
        return Ok(0);
    }
    let is_missing =
        |dependency: &&Dependency| !chart.subcharts.iter().any(|bundled| bundled.name() == dependency.name);
    let missing: Vec<Dependency> = wanted.iter().filter(is_missing).cloned().collect();
    for dependency in &missing {
        let found = one(charts, context, object, &tree, dependency).await;
        let mut found = found.map_err(|problem| {
            failure::dependency(&format!("failed to add dependency '{}': {problem}", dependency.name))
        })?;
        // Rendering gives a chart its alias. Only a second chart of the same name has no other place here.
        let taken = chart.subcharts.iter().find(|other| other.name() == found.name());
        if taken.is_some_and(|other| other.metadata.version == found.metadata.version) {
            continue;
        }
        if taken.is_some() && !dependency.alias.is_empty() {
            found.metadata.name.clone_from(&dependency.alias);
        }
        chart.subcharts.push(found);
    }
    Ok(missing.len())
}

async fn one(
    charts: &HelmCharts,
    context: &Context<HelmChart>,
    object: &HelmChart,
    tree: &Tree<'_>,
    dependency: &Dependency,
) -> Result<Chart, String> {
    let flags = &context.shared.flags;
    let (limit, file_limit) = (flags.helm_chart_max_size, flags.helm_chart_file_max_size);
    let repository = dependency.repository.as_str();
    let chart = if repository.is_empty() || repository.starts_with("file://") {
        let relative = match repository.strip_prefix("file://") {
            Some(relative) => relative.to_owned(),
            None => format!("charts/{}", dependency.name),
        };
        let target = inside(Path::new(""), &tree.path.join(&relative).to_string_lossy());
        let missing = |problem: String| format!("no chart found at '{relative}': {problem}");
        let spool = charts.open_at(tree, &target).await.map_err(missing)?;
        let loaded = blocking(move || local::load(&spool, &target, limit, file_limit)).await;
        let (chart, _) = loaded.map_err(missing)?;
        let fits = Constraints::parse(&dependency.version)
            .map_err(|error| error.to_string())?
            .check(&Version::parse(&chart.metadata.version).map_err(|error| error.to_string())?);
        if !fits {
            return Err(format!(
                "can't get a valid version for constraint '{}' from the chart of version {}",
                dependency.version, chart.metadata.version
            ));
        }
        chart
    } else if repository.starts_with('@') || repository.starts_with("alias:") {
        return Err(format!("aliased repository dependency is not supported: '{repository}'"));
    } else {
        let bytes = remote(charts, context, object, dependency, limit).await?;
        blocking(move || load_archive(&bytes).map_err(|error| chain(&error))).await?
    };
    build::check_sizes(&chart, file_limit)?;
    Ok(chart)
}

async fn remote(
    charts: &HelmCharts,
    context: &Context<HelmChart>,
    object: &HelmChart,
    dependency: &Dependency,
    limit: u64,
) -> Result<Vec<u8>, String> {
    let shared = &context.shared;
    let namespace = object.namespace().unwrap_or_default();
    let url = normalized(&dependency.repository);
    let same = |repository: &HelmRepository| {
        repository.namespace().unwrap_or_default() == namespace && normalized(&repository.spec.url) == url
    };
    // Of several the first by name, so that it is always the same.
    let mut known = charts.helm_repositories.filter(same);
    known.sort_by_key(|repository| repository.name_any());
    let known = known.first();
    let anonymous = || HelmRepositorySpec {
        url: dependency.repository.clone(),
        type_: url.starts_with("oci://").then_some(HelmRepositoryType::Oci),
        ..empty_spec()
    };
    let spec = known.map_or_else(anonymous, |repository| repository.spec.clone());
    let unusable = |error: AccessError| match error {
        AccessError::Url(problem) | AccessError::Authentication(problem) => problem,
    };
    let access = Access::read(shared, &namespace, &spec).await.map_err(unusable)?;
    let repository = open(shared, &spec.url, access).map_err(unusable)?;
    let work = async {
        let found = match &repository {
            Repository::Oci(repository) => repository.find(&dependency.name, &dependency.version).await?,
            Repository::Http(http) => {
                let artifact = known.and_then(|known| known.status.as_ref()?.artifact.clone());
                let stored = match &artifact {
                    Some(artifact) => {
                        remote::look_up(shared, artifact, &dependency.name, &dependency.version).await
                    }
                    None => None,
                };
                match stored {
                    Some(found) => found?,
                    None => {
                        let index = http.index(Algorithm::Sha256, shared.flags.helm_index_max_size, None);
                        look_up(index.await?, dependency).await?
                    }
                }
            }
        };
        repository.download(&found, limit).await
    };
    within(spec.timeout().to_std(), work).await.map_err(|error| chain(&error))
}

/// Looks into an index that nobody keeps.
async fn look_up(fetched: Fetched, dependency: &Dependency) -> Result<FoundChart, RepositoryError> {
    let Fetched::New { mut file, .. } = fetched else { return Err(RepositoryError::Timeout) };
    let (name, version) = (dependency.name.clone(), dependency.version.clone());
    blocking(move || {
        let (mut scratch, mut index) = (tempfile::tempfile()?, tempfile::tempfile()?);
        stored::convert(&mut file, &mut scratch, std::io::BufWriter::new(&mut index))?;
        std::io::Seek::rewind(&mut index)?;
        find(&mut index, &name, &version)
    })
    .await
}

fn empty_spec() -> HelmRepositorySpec {
    HelmRepositorySpec {
        access_from: None,
        cert_secret_ref: None,
        insecure: false,
        interval: None,
        pass_credentials: false,
        provider: None,
        secret_ref: None,
        suspend: false,
        timeout: None,
        type_: None,
        url: String::new(),
    }
}

/// URLs are compared with exactly one slash at their end; those of registries with none.
fn normalized(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.starts_with("oci://") { url.to_owned() } else { format!("{url}/") }
}

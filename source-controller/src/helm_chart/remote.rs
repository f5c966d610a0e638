//! Charts from chart repositories.

use std::fs::File;

use kube::ResourceExt as _;
use sluice_api::meta::Artifact;
use sluice_api::source::{HelmChart, HelmRepositorySpec};
use sluice_artifact::storage::{Integrity, Location};
use sluice_helm::chart::load_archive;
use sluice_runtime::errors::chain;

use super::build::{self, Build, Goal};
use super::{HelmCharts, failure, origin};
use crate::Shared;
use crate::chart_repository::{Access, FoundChart, Repository, RepositoryError, find, open};
use crate::helm_repository::within;
use crate::source::{Context, Failure, blocking};
use crate::verification;

/// Builds a chart from a repository; `None` if the one in the storage will do.
pub(super) async fn build(
    _charts: &HelmCharts,
    context: &Context<HelmChart>,
    object: &HelmChart,
    goal: &Goal,
    spec: &HelmRepositorySpec,
    artifact: Option<&Artifact>,
) -> Result<(Option<Build>, bool), Failure> {
    let shared = &context.shared;
    let namespace = object.namespace().unwrap_or_default();
    let access = Access::read(shared, &namespace, spec).await.map_err(|error| failure::access(&error))?;
    let repository = open(shared, &spec.url, access).map_err(|error| failure::access(&error))?;
    let timeout = spec.timeout().to_std();
    let found = match (&repository, artifact) {
        (Repository::Oci(repository), _) => {
            let work = within(timeout, repository.find(&goal.chart, &goal.version)).await;
            work.map_err(|error| failure::pull(&chain(&error)))?
        }
        (Repository::Http(_), Some(artifact)) => look_up(shared, artifact, &goal.chart, &goal.version)
            .await
            .ok_or_else(|| origin::no_artifact(object))?
            .map_err(|error| failure::lookup(&goal.chart, &goal.version, &error))?,
        (Repository::Http(_), None) => return Err(origin::no_artifact(object)),
    };
    // From here on the registry is asked by the digest that was verified.
    let (found, verified) = verify(context, object, &repository, found).await?;
    let name = found.name.rsplit('/').next().unwrap_or(&found.name).to_owned();
    let version = goal.version_of(&found.version, None)?;
    if goal.is_stored(&name, &version) {
        return Ok((None, verified));
    }
    let limit = shared.flags.helm_chart_max_size;
    let bytes = within(timeout, repository.download(&found, limit)).await;
    let bytes = bytes.map_err(|error| {
        failure::pull(&format!("failed to download chart for remote reference: {}", chain(&error)))
    })?;
    let (goal, file_limit) = (goal.clone(), shared.flags.helm_chart_file_max_size);
    let build = blocking(move || finish(&goal, bytes, &found, file_limit)).await?;
    Ok((Some(build), verified))
}

/// Verifies the signature that the spec asks for. The chart comes back with its digest, and whether somebody who is trusted
/// has signed it.
async fn verify(
    context: &Context<HelmChart>,
    object: &HelmChart,
    repository: &Repository,
    found: FoundChart,
) -> Result<(FoundChart, bool), Failure> {
    let Some(verify) = &object.spec.verify else { return Ok((found, false)) };
    let failed = |problem: &str| failure::verification(problem);
    let Repository::Oci(registry) = repository else { return Err(failed("not implemented")) };
    let (found, reference) = registry.pin(found).await.map_err(|error| failed(&chain(&error)))?;
    let namespace = object.namespace().unwrap_or_default();
    let verified =
        verification::chart(&context.shared, &namespace, verify, &registry.client, &reference).await;
    Ok((found, verified.map_err(|problem| failed(&problem))?))
}

/// The version of a chart that an index in the storage has; `None` if the file is not there.
pub(super) async fn look_up(
    shared: &Shared,
    artifact: &Artifact,
    name: &str,
    version: &str,
) -> Option<Result<FoundChart, RepositoryError>> {
    let (location, digest) = (Location::parse(&artifact.path).ok()?, artifact.digest.parse().ok()?);
    let (storage, name, version) = (shared.storage.clone(), name.to_owned(), version.to_owned());
    blocking(move || match storage.verify(&location, &digest) {
        Ok(Integrity::Intact) => Some(match File::open(storage.path(&location)) {
            Ok(mut index) => find(&mut index, &name, &version),
            Err(error) => Err(error.into()),
        }),
        _ => None,
    })
    .await
}

/// Checks the archive and makes of it what is wanted.
fn finish(goal: &Goal, bytes: Vec<u8>, found: &FoundChart, file_limit: u64) -> Result<Build, Failure> {
    let mut chart = load_archive(&bytes).map_err(|error| failure::reference(&chain(&error)))?;
    build::check_sizes(&chart, file_limit).map_err(|problem| failure::reference(&problem))?;
    let name = found.name.rsplit('/').next().unwrap_or(&found.name);
    if chart.name() != name {
        let problem = format!("the archive of '{name}' holds the chart '{}'", chart.name());
        return Err(failure::reference(&problem));
    }
    let version = goal.version_of(&chart.metadata.version, None)?;
    let values = build::merge_values(goal, |path| {
        let path = build::path_in_chart(path);
        let file = chart.raw.iter().find(|file| *file.name == path);
        Ok(file.map(|file| file.data.to_vec()))
    })?;
    let name = chart.name().to_owned();
    let whole = |bytes: Vec<u8>, packaged, values_files| Build {
        name,
        version: version.clone(),
        bytes: bytes.into(),
        packaged,
        values_files,
        dependencies: 0,
    };
    if version == chart.metadata.version && values.is_none() {
        return Ok(whole(bytes, false, Vec::new()));
    }
    let mut values_files = Vec::new();
    if let Some((text, files)) = values {
        build::replace_values(&mut chart, text)?;
        values_files = files;
    }
    Ok(whole(build::pack(chart, &version)?, true, values_files))
}

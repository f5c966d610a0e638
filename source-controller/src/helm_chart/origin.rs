//! The source of a chart.

use kube::ResourceExt as _;
use sluice_api::meta::{Artifact, FETCH_FAILED_CONDITION};
use sluice_api::source::{HelmChart, HelmRepositorySpec, HelmRepositoryType};
use sluice_runtime::{Cache, ObjectKey};

use super::HelmCharts;
use crate::source::{Failure, Retry, Source};

/// Where a chart comes from.
pub(super) enum Origin {
    /// A chart repository; one in a registry has no artifact.
    Repository { spec: Box<HelmRepositorySpec>, artifact: Option<Box<Artifact>> },
    /// A folder or an archive in the artifact of another source.
    Tree(Box<Artifact>),
}

impl Origin {
    /// The artifact of the source.
    pub(super) fn artifact(&self) -> Option<&Artifact> {
        match self {
            Origin::Repository { artifact, .. } => artifact.as_deref(),
            Origin::Tree(artifact) => Some(artifact),
        }
    }
}

impl HelmCharts {
    /// The source of a chart, which must have an artifact if it is to have one.
    pub(super) fn origin(&self, object: &HelmChart) -> Result<Origin, Failure> {
        match object.spec.source_ref.kind.as_str() {
            "HelmRepository" => {
                let repository = get(&self.helm_repositories, object)?;
                let spec = Box::new(repository.spec.clone());
                if spec.type_() == HelmRepositoryType::Oci {
                    return Ok(Origin::Repository { spec, artifact: None });
                }
                let artifact =
                    artifact(object, repository.status.as_ref().and_then(|s| s.artifact.as_ref()))?;
                Ok(Origin::Repository { spec, artifact: Some(artifact) })
            }
            "GitRepository" => tree(&self.git_repositories, object),
            "Bucket" => tree(&self.buckets, object),
            kind => Err(Failure::stalled(
                "UnsupportedSourceKind",
                format!(
                    "failed to get source: unsupported source kind '{kind}', must be one of: HelmRepository, GitRepository, Bucket"
                ),
            )),
        }
    }
}

fn tree<S: Source>(cache: &Cache<S>, object: &HelmChart) -> Result<Origin, Failure> {
    let source = get(cache, object)?;
    artifact(object, source.status().and_then(S::artifact)).map(Origin::Tree)
}

fn get<S: Source>(cache: &Cache<S>, object: &HelmChart) -> Result<std::sync::Arc<S>, Failure> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), &object.spec.source_ref.name);
    cache.get(&ObjectKey::new(&namespace, name)).ok_or_else(|| {
        let kind = S::plural(&());
        let message = format!("failed to get source: {kind}.{} \"{name}\" not found", S::group(&()));
        Failure::fetch("SourceUnavailable", message)
    })
}

fn artifact(object: &HelmChart, artifact: Option<&Artifact>) -> Result<Box<Artifact>, Failure> {
    artifact.map(|artifact| Box::new(artifact.clone())).ok_or_else(|| no_artifact(object))
}

/// It may come; its coming is watched for.
pub(super) fn no_artifact(object: &HelmChart) -> Failure {
    let source = &object.spec.source_ref;
    let message = format!("no artifact available for {} source '{}'", source.kind, source.name);
    Failure::new(FETCH_FAILED_CONDITION, "NoSourceArtifact", Retry::Dependency, message)
}

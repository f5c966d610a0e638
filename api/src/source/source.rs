use super::{Bucket, ExternalArtifact, GitRepository, HelmChart, HelmRepository, OCIRepository};
use crate::meta::{Artifact, Reconcilable};

/// A kind that makes artifacts.
pub trait Source: Reconcilable {
    /// The last artifact.
    fn artifact(&self) -> Option<&Artifact>;
}

macro_rules! impl_source {
    ($($kind:ty),+) => {
        $(impl Source for $kind {
            fn artifact(&self) -> Option<&Artifact> {
                self.status.as_ref()?.artifact.as_ref()
            }
        })+
    };
}

impl_source!(Bucket, ExternalArtifact, GitRepository, HelmChart, HelmRepository, OCIRepository);

//! Unpacked artifacts, shared by all Kustomizations that build from the same one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sluice_api::meta::Artifact;
use sluice_artifact::Fetched;
use sluice_artifact::fetch::{FetchError, Options};
use tempfile::TempDir;

/// How many artifacts are kept although nobody builds from them at the moment.
const KEPT: usize = 16;

/// Fetches and unpacks each artifact once. What nobody has asked for lately is removed from the disk.
pub(crate) struct Artifacts(Fetched<Unpacked>);

/// An unpacked artifact. Its directory goes when the last one lets go of it.
pub(crate) struct Unpacked(TempDir);

impl Unpacked {
    /// The root of the content. Nobody may write there.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Artifacts {
    /// A store in the directory for temporary files.
    pub(crate) fn new(retries: u32) -> Result<Self, Box<dyn std::error::Error>> {
        let mut options = Options::default();
        options.retries = retries;
        Ok(Self(Fetched::new("kustomization-", KEPT, &options)?))
    }

    /// The content of an artifact. Those who ask at the same time wait for one download.
    pub(crate) async fn get(&self, artifact: &Artifact) -> Result<Arc<Unpacked>, FetchError> {
        self.0.of_content(&artifact.url, &artifact.digest, |content| Ok(Unpacked(content))).await
    }

    /// For how long the server of an artifact has not answered.
    pub(crate) fn silent_for(&self, artifact: &Artifact) -> Duration {
        self.0.silent_for(&artifact.url)
    }
}

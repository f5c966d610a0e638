//! Charts from artifacts, loaded once for all HelmReleases that install the same one.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_api::meta::Artifact;
use sluice_artifact::Fetched;
use sluice_artifact::fetch::{FetchError, Options};
use sluice_helm::chart::{Metadata, load_archive};
use sluice_runtime::ObjectKey;

/// How many charts are kept although nobody installs them at the moment.
const KEPT: usize = 8;

/// Why a chart cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChartError {
    /// The artifact cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The artifact is no chart.
    #[error("{0}")]
    Load(String),
}

/// Address and digest.
type Key = (String, String);

/// What tells a chart from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Label {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The version of the software inside.
    pub(crate) app_version: String,
}

impl Label {
    fn of(metadata: &Metadata) -> Self {
        let Metadata { name, version, app_version, .. } = metadata;
        Self { name: name.clone(), version: version.clone(), app_version: app_version.clone() }
    }
}

/// Fetches and loads each chart once.
pub(crate) struct Charts {
    fetched: Fetched<sluice_helm::Chart>,
    /// What the chart was that an object read last: one that is installed already need not be fetched again.
    labels: Mutex<HashMap<ObjectKey, (Key, Label)>>,
}

impl Charts {
    /// A store in the directory for temporary files.
    pub(crate) fn new(retries: u32, timeout: Duration) -> Result<Self, Box<dyn std::error::Error>> {
        let mut options = Options::default();
        options.retries = retries;
        options.read_timeout = timeout;
        Ok(Self { fetched: Fetched::new("charts-", KEPT, &options)?, labels: Mutex::default() })
    }

    /// The chart of an artifact. Those who ask at the same time wait for one download.
    pub(crate) async fn get(&self, artifact: &Artifact) -> Result<Arc<sluice_helm::Chart>, ChartError> {
        self.fetched.of_archive(&artifact.url, &artifact.digest, load).await
    }

    /// What the chart of an artifact is. Fetched unless the same object has read it before.
    pub(crate) async fn label(&self, whose: &ObjectKey, artifact: &Artifact) -> Result<Label, ChartError> {
        let key = key(artifact);
        if let Some((known, label)) = self.labels().get(whose)
            && *known == key
        {
            return Ok(label.clone());
        }
        let label = Label::of(&self.get(artifact).await?.metadata);
        self.labels().insert(whose.clone(), (key, label.clone()));
        Ok(label)
    }

    /// The object is gone.
    pub(crate) fn forget(&self, whose: &ObjectKey) {
        self.labels().remove(whose);
    }

    fn labels(&self) -> MutexGuard<'_, HashMap<ObjectKey, (Key, Label)>> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long the server of an artifact has not answered.
    pub(crate) fn silent_for(&self, artifact: &Artifact) -> Duration {
        self.fetched.silent_for(&artifact.url)
    }
}

fn load(mut archive: File) -> Result<sluice_helm::Chart, ChartError> {
    let mut bytes = Vec::new();
    archive.read_to_end(&mut bytes).map_err(|error| ChartError::Load(error.to_string()))?;
    let mut chart = load_archive(&bytes).map_err(|error| ChartError::Load(error.to_string()))?;
    // Only packaging needs the files as they were stored.
    forget_raw(&mut chart);
    Ok(chart)
}

fn key(artifact: &Artifact) -> Key {
    (artifact.url.clone(), artifact.digest.clone())
}

fn forget_raw(chart: &mut sluice_helm::Chart) {
    chart.raw = Vec::new();
    chart.subcharts.iter_mut().for_each(forget_raw);
}

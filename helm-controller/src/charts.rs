//! Charts from artifacts, loaded once for all HelmReleases that install the same one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_api::meta::Artifact;
use sluice_artifact::Fetcher;
use sluice_artifact::fetch::{FetchError, Options};
use sluice_helm::chart::{Metadata, load_archive};
use sluice_runtime::ObjectKey;
use tempfile::TempDir;
use tokio::sync::OnceCell;

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

/// Address and digest: knowing a digest is not enough to get at what others fetched.
type Key = (String, String);
type Slot = Arc<OnceCell<Arc<sluice_helm::Chart>>>;

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
    fetcher: Fetcher,
    /// For artifacts of Flux's source-watcher, when debugging outside of the cluster.
    watcher_fetcher: Option<Fetcher>,
    directory: TempDir,
    recent: Mutex<VecDeque<(Key, Slot)>>,
    /// What the chart was that an object read last: one that is installed already need not be fetched again.
    labels: Mutex<HashMap<ObjectKey, (Key, Label)>>,
}

impl Charts {
    /// A store in the directory for temporary files.
    pub(crate) fn new(retries: u32, timeout: Duration) -> Result<Self, Box<dyn std::error::Error>> {
        let fetcher = |host: Option<String>| {
            let mut options = Options::default();
            options.retries = retries;
            options.read_timeout = timeout;
            options.host = host;
            Fetcher::new(options)
        };
        let host = |name| std::env::var(name).ok().filter(|host| !host.is_empty());
        Ok(Self {
            fetcher: fetcher(host("SOURCE_CONTROLLER_LOCALHOST"))?,
            watcher_fetcher: host("SOURCE_WATCHER_LOCALHOST").map(|host| fetcher(Some(host))).transpose()?,
            directory: tempfile::Builder::new().prefix("charts-").tempdir()?,
            recent: Mutex::default(),
            labels: Mutex::default(),
        })
    }

    /// The chart of an artifact. Those who ask at the same time wait for one download.
    pub(crate) async fn get(&self, artifact: &Artifact) -> Result<Arc<sluice_helm::Chart>, ChartError> {
        self.slot(key(artifact)).get_or_try_init(|| self.fetch(artifact)).await.cloned()
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
        self.fetcher_of(artifact).silent_for(&artifact.url)
    }

    fn fetcher_of(&self, artifact: &Artifact) -> &Fetcher {
        match &self.watcher_fetcher {
            Some(fetcher) if artifact.url.contains("//source-watcher") => fetcher,
            _ => &self.fetcher,
        }
    }

    fn slot(&self, key: Key) -> Slot {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recent.iter().position(|(known, _)| *known == key).and_then(|at| recent.remove(at));
        let entry = known.unwrap_or_else(|| (key, Slot::default()));
        let slot = entry.1.clone();
        recent.push_back(entry);
        while recent.len() > KEPT {
            recent.pop_front();
        }
        slot
    }

    async fn fetch(&self, artifact: &Artifact) -> Result<Arc<sluice_helm::Chart>, ChartError> {
        let io_error = |source| FetchError::Io { url: artifact.url.clone(), source };
        let directory = tempfile::Builder::new().tempdir_in(self.directory.path()).map_err(io_error)?;
        let path = directory.path().join("chart.tgz");
        self.fetcher_of(artifact).fetch_file(&artifact.url, &artifact.digest, &path).await?;
        let load = move || {
            let bytes = std::fs::read(&path).map_err(|error| ChartError::Load(error.to_string()))?;
            drop(directory);
            let mut chart = load_archive(&bytes).map_err(|error| ChartError::Load(error.to_string()))?;
            // Only packaging needs the files as they were stored.
            forget_raw(&mut chart);
            Ok(Arc::new(chart))
        };
        tokio::task::spawn_blocking(load)
            .await
            .unwrap_or_else(|error| Err(ChartError::Load(error.to_string())))
    }
}

fn key(artifact: &Artifact) -> Key {
    (artifact.url.clone(), artifact.digest.clone())
}

fn forget_raw(chart: &mut sluice_helm::Chart) {
    chart.raw = Vec::new();
    chart.subcharts.iter_mut().for_each(forget_raw);
}

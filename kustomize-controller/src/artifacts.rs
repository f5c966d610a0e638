//! Unpacked artifacts, shared by all Kustomizations that build from the same one.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_api::meta::Artifact;
use sluice_artifact::Fetcher;
use sluice_artifact::fetch::{FetchError, Options};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// How many artifacts are kept although nobody builds from them at the moment.
const KEPT: usize = 16;

/// Fetches and unpacks each artifact once. What nobody has asked for lately is removed from the disk.
pub(crate) struct Artifacts {
    fetcher: Fetcher,
    /// For artifacts of Flux's source-watcher, when debugging outside of the cluster.
    watcher_fetcher: Option<Fetcher>,
    directory: TempDir,
    recent: Mutex<Recent>,
}

/// An unpacked artifact. Its directory goes when the last one lets go of it.
pub(crate) struct Unpacked(TempDir);

impl Unpacked {
    /// The root of the content. Nobody may write there.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

type Slot = Arc<OnceCell<Arc<Unpacked>>>;

/// Address and digest: knowing a digest is not enough to get at what others fetched.
type Key = (String, String);

#[derive(Default)]
struct Recent {
    slots: HashMap<Key, Slot>,
    order: VecDeque<Key>,
}

impl Artifacts {
    /// A store in the directory for temporary files.
    pub(crate) fn new(retries: u32) -> Result<Self, Box<dyn std::error::Error>> {
        let fetcher = |host: Option<String>| {
            let mut options = Options::default();
            options.retries = retries;
            options.host = host;
            Fetcher::new(options)
        };
        let host = |name| std::env::var(name).ok().filter(|host| !host.is_empty());
        Ok(Self {
            fetcher: fetcher(host("SOURCE_CONTROLLER_LOCALHOST"))?,
            watcher_fetcher: host("SOURCE_WATCHER_LOCALHOST").map(|host| fetcher(Some(host))).transpose()?,
            directory: tempfile::Builder::new().prefix("kustomization-").tempdir()?,
            recent: Mutex::default(),
        })
    }

    /// The content of an artifact. Those who ask at the same time wait for one download.
    pub(crate) async fn get(&self, artifact: &Artifact) -> Result<Arc<Unpacked>, FetchError> {
        let slot = self.slot((artifact.url.clone(), artifact.digest.clone()));
        slot.get_or_try_init(|| self.fetch(artifact)).await.cloned()
    }

    /// For how long the server of an artifact has not answered.
    pub(crate) fn silent_for(&self, artifact: &Artifact) -> std::time::Duration {
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
        if let Some(at) = recent.order.iter().position(|known| *known == key) {
            recent.order.remove(at);
        }
        recent.order.push_back(key.clone());
        while recent.order.len() > KEPT {
            if let Some(oldest) = recent.order.pop_front() {
                recent.slots.remove(&oldest);
            }
        }
        recent.slots.entry(key).or_default().clone()
    }

    async fn fetch(&self, artifact: &Artifact) -> Result<Arc<Unpacked>, FetchError> {
        let io_error = |source| FetchError::Io { url: artifact.url.clone(), source };
        let directory = tempfile::Builder::new().tempdir_in(self.directory.path()).map_err(io_error)?;
        self.fetcher_of(artifact).fetch(&artifact.url, &artifact.digest, directory.path()).await?;
        Ok(Arc::new(Unpacked(directory)))
    }
}

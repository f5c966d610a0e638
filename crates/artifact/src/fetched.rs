//! What was made of artifacts, shared by all who need the same one.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::fetch::{FetchError, Fetcher, Options};

/// Address and digest: knowing a digest is not enough to get at what others fetched.
type Key = (String, String);
type Slot<T> = Arc<OnceCell<Arc<T>>>;

/// Fetches each artifact once, and keeps what was made of the last ones.
///
/// What comes from several addresses with the same digest is in memory once, but fetched from each: who may not read an
/// address gets nothing by it.
pub struct Fetched<T> {
    fetcher: Fetcher,
    /// For artifacts of Flux's source-watcher, when debugging outside of the cluster.
    watcher_fetcher: Option<Fetcher>,
    directory: TempDir,
    kept: usize,
    recent: Mutex<VecDeque<(Key, Slot<T>)>>,
    alive: Mutex<HashMap<String, Weak<T>>>,
}

impl<T> std::fmt::Debug for Fetched<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Fetched").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Fetched<T> {
    /// Keeps what was made of the last `kept` artifacts, although nobody may use it at the moment. Files lie in a directory of
    /// its own, whose name begins with `prefix`, in the one for temporary files. `SOURCE_CONTROLLER_LOCALHOST` and
    /// `SOURCE_WATCHER_LOCALHOST` name hosts to use in the place of those in addresses.
    ///
    /// # Errors
    ///
    /// No directory can be made, or no HTTP client.
    pub fn new(prefix: &str, kept: usize, options: &Options) -> Result<Self, Box<dyn Error>> {
        let fetcher = |host: Option<String>| {
            let mut options = options.clone();
            options.host = host.or(options.host);
            Fetcher::new(options)
        };
        let host = |name| std::env::var(name).ok().filter(|host| !host.is_empty());
        Ok(Self {
            fetcher: fetcher(host("SOURCE_CONTROLLER_LOCALHOST"))?,
            watcher_fetcher: host("SOURCE_WATCHER_LOCALHOST").map(|host| fetcher(Some(host))).transpose()?,
            directory: tempfile::Builder::new().prefix(prefix).tempdir()?,
            kept,
            recent: Mutex::default(),
            alive: Mutex::default(),
        })
    }

    /// What `make` makes of the directory with the content of an artifact. Those who ask at the same time wait for one
    /// download.
    pub async fn of_content<E: From<FetchError>>(
        &self,
        url: &str,
        digest: &str,
        make: impl FnOnce(TempDir) -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let fetch = async {
            let directory = self.directory(url)?;
            self.fetcher_of(url).fetch(url, digest, directory.path()).await?;
            self.one(digest, || make(directory))
        };
        self.slot(url, digest).get_or_try_init(|| fetch).await.cloned()
    }

    /// What `make` makes of the archive of an artifact, in a thread of its own. Those who ask at the same time wait for one
    /// download.
    pub async fn of_archive<E: From<FetchError> + Send + 'static>(
        &self,
        url: &str,
        digest: &str,
        make: impl FnOnce(File) -> Result<T, E> + Send + 'static,
    ) -> Result<Arc<T>, E> {
        let fetch = async {
            let archive = self.fetcher_of(url).fetch_file(url, digest).await?;
            if let Some(known) = self.known(digest) {
                return Ok(known);
            }
            let made = tokio::task::spawn_blocking(move || make(archive)).await;
            let made = made.map_err(|error| io_error(url, io::Error::other(error)))??;
            self.one(digest, || Ok(made))
        };
        self.slot(url, digest).get_or_try_init(|| fetch).await.cloned()
    }

    /// For how long the server of an artifact has not answered.
    pub fn silent_for(&self, url: &str) -> Duration {
        self.fetcher_of(url).silent_for(url)
    }

    fn fetcher_of(&self, url: &str) -> &Fetcher {
        match &self.watcher_fetcher {
            Some(fetcher) if url.contains("//source-watcher") => fetcher,
            _ => &self.fetcher,
        }
    }

    fn directory(&self, url: &str) -> Result<TempDir, FetchError> {
        tempfile::Builder::new().tempdir_in(self.directory.path()).map_err(|source| io_error(url, source))
    }

    fn slot(&self, url: &str, digest: &str) -> Slot<T> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recent.iter().position(|((at, of), _)| at == url && of == digest);
        let known = known.and_then(|place| recent.remove(place));
        let entry = known.unwrap_or_else(|| ((url.to_owned(), digest.to_owned()), Slot::default()));
        let slot = entry.1.clone();
        recent.push_back(entry);
        while recent.len() > self.kept {
            recent.pop_front();
        }
        slot
    }

    /// What was made of the same bytes and is still used.
    fn known(&self, digest: &str) -> Option<Arc<T>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).get(digest).and_then(Weak::upgrade)
    }

    /// What was made of these bytes already, or what `make` makes of them.
    fn one<E>(&self, digest: &str, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = alive.get(digest).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let made = Arc::new(make()?);
        alive.retain(|_, known| known.strong_count() > 0);
        alive.insert(digest.to_owned(), Arc::downgrade(&made));
        Ok(made)
    }
}

fn io_error(url: &str, source: io::Error) -> FetchError {
    FetchError::Io { url: url.to_owned(), source }
}

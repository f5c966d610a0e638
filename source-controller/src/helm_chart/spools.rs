//! The artifacts of trees whose charts are being built. Many charts of one source wake at one commit, or are created one
//! after the other: the artifact is read once for all of them, and what they need of it is kept for those to come.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use sluice_api::meta::Artifact;
use sluice_artifact::extract::Options;
use sluice_artifact::spool::{Scope, Spool};
use sluice_artifact::storage::{Integrity, Location};
use sluice_artifact::{Digest, Storage};
use sluice_runtime::errors::chain;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::failure;
use crate::source::{Failure, blocking};

/// What nobody has used for so long is dropped; that is seen to as often.
const KEPT: Duration = Duration::from_secs(30);
/// So many artifacts are kept at once.
const MOST_KEPT: usize = 4;

/// The artifacts that are open.
pub(super) struct Spools {
    storage: Arc<Storage>,
    state: Mutex<State>,
    reads: Counter,
}

#[derive(Default)]
struct State {
    /// By digest. Whoever holds the lock of a slot may be reading the artifact.
    slots: HashMap<String, Arc<AsyncMutex<Weak<Spool>>>>,
    /// The last used is the last.
    kept: Vec<Kept>,
    /// Whether somebody drops what is not used.
    watched: bool,
}

/// An artifact for charts to come.
struct Kept {
    spool: Arc<Spool>,
    used: Instant,
}

/// What somebody needs of an artifact.
pub(super) enum Need<F> {
    /// A chart: files and folders, and those of all charts that are to be built from the artifact.
    Chart { paths: Vec<PathBuf>, others: F },
    /// Another place, on which a chart depends.
    Place(PathBuf),
}

impl Spools {
    pub(super) fn new(storage: Arc<Storage>, reads: Counter) -> Arc<Self> {
        Arc::new(Spools { storage, state: Mutex::default(), reads })
    }

    /// An artifact that has what is needed; `None` if the storage does not have it.
    pub(super) async fn open<F>(
        self: &Arc<Self>,
        artifact: &Artifact,
        need: Need<F>,
    ) -> Result<Option<Arc<Spool>>, Failure>
    where
        F: FnOnce() -> Vec<PathBuf>,
    {
        let Ok(location) = Location::parse(&artifact.path) else { return Ok(None) };
        let Ok(digest) = artifact.digest.parse::<Digest>() else { return Ok(None) };
        let slot = self.slot(&artifact.digest);
        let mut open = slot.lock().await;
        let known = open.upgrade();
        let paths = match &need {
            Need::Chart { paths, .. } => paths.as_slice(),
            Need::Place(path) => std::slice::from_ref(path),
        };
        if let Some(spool) = known.clone().filter(|spool| paths.iter().all(|path| spool.covers(path))) {
            self.keep(&spool);
            return Ok(Some(spool));
        }
        let scope = match need {
            Need::Chart { paths, others } if known.is_none() => Scope::of(paths.into_iter().chain(others())),
            // What is needed was not foreseen, so there may be more of that.
            _ => Scope::Whole,
        };
        let (storage, reads) = (self.storage.clone(), self.reads.clone());
        let read = blocking(move || read(&storage, &location, &digest, scope, &reads)).await?;
        let Some(spool) = read.map(Arc::new) else { return Ok(None) };
        *open = Arc::downgrade(&spool);
        self.keep(&spool);
        Ok(Some(spool))
    }

    fn slot(&self, digest: &str) -> Arc<AsyncMutex<Weak<Spool>>> {
        let mut state = self.state();
        // Those that nobody has open, or is about to open.
        state.slots.retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|spool| spool.strong_count() > 0)
        });
        state.slots.entry(digest.to_owned()).or_default().clone()
    }

    /// Keeps an artifact that is used now.
    fn keep(self: &Arc<Self>, spool: &Arc<Spool>) {
        let mut state = self.state();
        state.kept.retain(|kept| !Arc::ptr_eq(&kept.spool, spool));
        if state.kept.len() >= MOST_KEPT {
            state.kept.remove(0);
        }
        state.kept.push(Kept { spool: spool.clone(), used: Instant::now() });
        if !std::mem::replace(&mut state.watched, true) {
            tokio::spawn(Self::drop_unused(Arc::downgrade(self)));
        }
    }

    async fn drop_unused(spools: Weak<Self>) {
        loop {
            tokio::time::sleep(KEPT).await;
            let Some(spools) = spools.upgrade() else { return };
            let mut state = spools.state();
            state.kept.retain(|kept| kept.used.elapsed() < KEPT);
            if state.kept.is_empty() {
                state.watched = false;
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(
    storage: &Storage,
    location: &Location,
    digest: &Digest,
    scope: Scope,
    reads: &Counter,
) -> Result<Option<Spool>, Failure> {
    if !matches!(storage.verify(location, digest), Ok(Integrity::Intact)) {
        return Ok(None);
    }
    let untar = |error: &(dyn std::error::Error + 'static)| {
        failure::unknown(&format!("failed to untar artifact: {}", chain(error)))
    };
    let file = File::open(storage.path(location)).map_err(|error| untar(&error))?;
    reads.inc();
    Spool::read(BufReader::new(file), scope, &Options::artifact()).map(Some).map_err(|error| untar(&error))
}

#[cfg(test)]
mod tests {
    use sluice_artifact::storage::Retention;
    use sluice_artifact::{Algorithm, Archive};

    use super::*;

    async fn chart(spools: &Arc<Spools>, artifact: &Artifact, name: &str, others: &[&str]) -> Arc<Spool> {
        let others = || others.iter().map(PathBuf::from).collect();
        let opened = spools.open(artifact, Need::Chart { paths: vec![PathBuf::from(name)], others }).await;
        let spool = opened.unwrap_or_else(|failure| panic!("{}", failure.message)).expect("an artifact");
        assert_eq!(spool.content(&PathBuf::from(name).join("f")).unwrap(), name.as_bytes());
        spool
    }

    #[tokio::test]
    async fn an_artifact_is_read_once_for_all_who_use_it_soon() {
        let folder = tempfile::tempdir().unwrap();
        let retention = Retention::default();
        let storage = Storage::open(folder.path(), "http://s", Algorithm::Sha256, retention).unwrap();
        let location = Location::new("GitRepository", "ns", "app", "r.tar.gz").unwrap();
        let published = storage.publish::<std::io::Error, _>(&location, |out| {
            let mut archive = Archive::new(out);
            for name in ["a", "b", "c", "library"] {
                archive.file(format!("{name}/f").as_bytes(), false, name.len() as u64, name.as_bytes())?;
            }
            archive.finish().map(drop)
        });
        let artifact = crate::source::artifact(published.unwrap(), "r".to_owned());
        let counter = Counter::default();
        let spools = Spools::new(Arc::new(storage), counter.clone());
        let is_open = || spools.slot(&artifact.digest).try_lock().unwrap().strong_count() > 0;

        let first = chart(&spools, &artifact, "a", &["b"]).await;
        assert!(!first.covers(&PathBuf::from("library")), "more is kept than charts need");
        drop(first);
        drop(chart(&spools, &artifact, "b", &[]).await);
        assert_eq!(counter.get(), 1, "it was not kept for the other");
        let place = PathBuf::from("library");
        let whole = spools.open(&artifact, Need::<fn() -> _>::Place(place.clone())).await;
        let whole = whole.ok().flatten().expect("an artifact");
        assert_eq!(whole.content(&place.join("f")).unwrap(), b"library");
        drop(whole);
        drop(chart(&spools, &artifact, "c", &[]).await);
        assert_eq!((counter.get(), is_open()), (2, true), "the second reading was for all of it");

        tokio::time::pause();
        tokio::time::sleep(3 * KEPT).await;
        assert!(!is_open(), "it is kept though nobody uses it");
        tokio::time::resume();
        drop(chart(&spools, &artifact, "a", &[]).await);
        assert_eq!(counter.get(), 3);

        let gone = Artifact { path: "gitrepository/ns/app/none.tar.gz".to_owned(), ..artifact.clone() };
        let opened = spools.open(&gone, Need::<fn() -> _>::Place(place)).await;
        assert!(opened.is_ok_and(|opened| opened.is_none()));
    }
}

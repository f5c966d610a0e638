//! What helm does to a release, done in this process: install, upgrade, roll back, test, uninstall.
//!
//! Nothing here knows of HelmReleases or conditions: an action takes plain options and a [`Session`], and what it wrote
//! to the storage can be read from the session afterwards, whether it went well or not.

mod apply;
mod crds;
mod delete;
mod hooks;
mod install;
mod log;
mod manager;
mod merge;
mod render;
mod rollback;
mod schemas;
mod storage;
mod test;
mod turn;
mod uninstall;
mod upgrade;
mod wait;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use sluice_helm::release::{Moment, Packed, RecordError, Release};
use sluice_releases::ManifestError;
use sluice_runtime::apply::Cluster;
use sluice_runtime::expressions::HealthRules;
use tokio_util::sync::CancellationToken;

pub(crate) use crds::{CrdPolicy, Crds, apply as apply_crds, of_chart as crds_of_chart};
pub(crate) use install::{Install, install};
pub(crate) use log::Log;
pub(crate) use render::{Chart, RenderOptions};
pub(crate) use rollback::{Rollback, rollback};
pub(crate) use sluice_releases::CapabilitiesCache;
pub(crate) use storage::{Revision, Storage};
pub(crate) use test::{TestFilter, test};
pub(crate) use turn::{Turn, Turns};
pub(crate) use uninstall::{Uninstall, Uninstalled, uninstall};
pub(crate) use upgrade::{Upgrade, upgrade};
pub(crate) use wait::Waiting;

/// The field manager of everything that is applied.
pub(crate) const FIELD_MANAGER: &str = "helm-controller";

/// Why an action failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The records cannot be read or written.
    #[error("{0}")]
    Storage(String),
    /// The server that keeps the records could not be reached, or had no time.
    #[error("{0}")]
    Away(String),
    /// The chart does not render.
    #[error("{0}")]
    Render(String),
    /// What was rendered cannot be made into objects.
    #[error("unable to build kubernetes objects from release manifest: {0}")]
    Manifest(#[from] ManifestError),
    /// The release is not in a state for this action.
    #[error("{0}")]
    State(String),
    /// The server refused an object.
    #[error("{0}")]
    Apply(String),
    /// Objects did not become ready, or did not go.
    #[error("{0}")]
    Wait(String),
    /// A hook failed.
    #[error("{0}")]
    Hook(String),
    /// Something newer came, and the wait was given up for it.
    #[error("wait canceled: a new reconciliation was triggered")]
    Superseded,
    /// The process is to end, and the wait was given up for that.
    #[error("wait canceled: the controller is shutting down")]
    Stopped,
}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        Self::Storage(error.to_string())
    }
}

impl Error {
    /// The same error with text before it.
    fn within(self, prefix: &str) -> Self {
        match self {
            Self::Superseded => Self::Superseded,
            Self::Stopped => Self::Stopped,
            Self::Hook(text) => Self::Hook(format!("{prefix}{text}")),
            other => Self::State(format!("{prefix}{other}")),
        }
    }
}

/// How objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// By server-side apply.
    Server,
    /// By patches that are computed here.
    Client,
}

/// Something to wait for.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// What all actions on one release need.
pub(crate) struct Session<'a> {
    /// Where the objects live.
    pub(crate) cluster: &'a Cluster,
    /// Who asks.
    pub(crate) client: &'a Client,
    /// The records.
    pub(crate) storage: &'a Storage,
    /// What an event of a failure tells.
    pub(crate) log: &'a Log,
    /// Rules of health beyond the usual.
    pub(crate) rules: &'a HealthRules,
    /// Whether objects are ready by the rules of Helm 3, and `rules` do not count.
    pub(crate) legacy: bool,
    /// Cancelled when a wait for objects is to be given up.
    pub(crate) superseded: CancellationToken,
    /// Cancelled when the process is to end: no wait goes on.
    stop: CancellationToken,
    turn: tokio::sync::Mutex<Turn>,
    written: Mutex<Vec<Packed>>,
    stored: Mutex<Option<Revision>>,
    /// The revisions of a release that were seen when the action was chosen, until it begins.
    seen: Mutex<Option<(String, Vec<Revision>)>>,
    /// Whether a change of a revision could not be recorded because the server was away.
    unrecorded: AtomicBool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        client: &'a Client,
        storage: &'a Storage,
        log: &'a Log,
        rules: &'a HealthRules,
        (superseded, stop): (CancellationToken, CancellationToken),
        turn: Turn,
    ) -> Self {
        let turn = tokio::sync::Mutex::new(turn);
        Self {
            cluster,
            client,
            storage,
            log,
            rules,
            legacy: false,
            superseded,
            stop,
            turn,
            written: Mutex::default(),
            stored: Mutex::default(),
            seen: Mutex::default(),
            unrecorded: AtomicBool::new(false),
        }
    }

    /// Whether the process is to end: what fails now failed for that, and nothing new is to be begun.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Whether the action was broken off by what has nothing to do with the release: the process is to end, or the server
    /// was away when the record was to tell how it stands. What fails then is no failure of the release: it is found as it
    /// was recorded last, as after a crash, and the action is done again.
    pub(crate) fn is_broken_off(&self) -> bool {
        self.is_stopped() || self.unrecorded.load(Ordering::Relaxed)
    }

    /// Waits for something without keeping others from working, at most until the process is to end. In a box, as it is
    /// what hundreds hold at the same time.
    pub(crate) async fn idle<T>(&self, work: Boxed<'_, T>) -> Result<T, Error> {
        let mut turn = self.turn.lock().await;
        turn.give_up();
        let result = self.stop.run_until_cancelled(work).await.unwrap_or(Err(Error::Stopped));
        turn.take_again().await;
        result
    }

    /// Records a new revision.
    pub(crate) async fn create(&self, release: &Release) -> Result<(), Error> {
        self.note_stored(self.storage.create(release).await?);
        Ok(())
    }

    /// Records a change of a revision.
    pub(crate) async fn update(&self, release: &Release) -> Result<(), Error> {
        let updated = self.storage.update(release).await;
        if matches!(updated, Err(Error::Away(_))) {
            self.unrecorded.store(true, Ordering::Relaxed);
        }
        self.note_stored(updated?);
        Ok(())
    }

    /// Notes how a revision stands, whether it is in the storage or not.
    pub(crate) fn note(&self, release: &Release) {
        match Packed::of(release) {
            Ok(packed) => self.note_packed(packed),
            Err(error) => self.log.push(format!("error: {error}")),
        }
    }

    fn note_stored(&self, (packed, revision): (Packed, Revision)) {
        self.note_packed(packed);
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.as_ref().is_none_or(|known| known.version <= revision.version) {
            *stored = Some(revision);
        }
    }

    /// The newest revision that was written, as it lies in the storage.
    pub(crate) fn stored(&self) -> Option<Revision> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes which revisions of a release there are, so that the action that comes next need not ask.
    pub(crate) fn note_seen(&self, name: &str, revisions: Vec<Revision>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.to_owned(), revisions));
    }

    /// All revisions of the release that an action begins with, oldest first.
    pub(crate) async fn revisions(&self, name: &str) -> Result<Vec<Revision>, Error> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        match seen {
            Some((seen, revisions)) if seen == name => Ok(revisions),
            _ => self.storage.revisions(name).await,
        }
    }

    fn note_packed(&self, packed: Packed) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.iter_mut().find(|known| known.version() == packed.version()) {
            Some(known) => *known = packed,
            None => written.push(packed),
        }
    }

    /// The revisions that were written since the last call, as they are now, oldest first.
    pub(crate) fn take_written(&self) -> Vec<Release> {
        let mut written = std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        written.sort_by_key(Packed::version);
        written.iter().filter_map(|packed| packed.open().ok()).collect()
    }

    /// Waits for something that does not take the release, which lies packed so long: many wait at the same time.
    pub(crate) async fn without<T>(&self, release: &mut Release, wait: Boxed<'_, T>) -> Result<T, Error> {
        let version = release.version;
        self.note_packed(Packed::of(release)?);
        *release = Release::default();
        let result = wait.await;
        let opened = {
            let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.iter().find(|known| known.version() == version).map(Packed::open)
        };
        *release = opened.transpose()?.unwrap_or_default();
        result
    }
}

/// The present as records have it.
fn now() -> Moment {
    jiff::Timestamp::now().into()
}

/// What actions on objects have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    /// How long each wait and hook may take.
    pub(crate) timeout: Duration,
    /// Whether hooks run.
    pub(crate) hooks: bool,
    /// What is waited for.
    pub(crate) waiting: Waiting,
}

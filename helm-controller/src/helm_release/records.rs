//! The last revision of each release, as it was read: as long as its Secret is the same, nothing is read again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_helm::release::Release;
use sluice_runtime::apply::Cluster;

use crate::action::{Error, Revision, Storage};

/// Namespace of the records and name of the release.
type Key = (String, String);

struct Known {
    cluster: usize,
    newest: Revision,
    release: Arc<Release>,
}

/// Revisions that were read.
#[derive(Default)]
pub(crate) struct Records(Mutex<HashMap<Key, Known>>);

impl Records {
    /// The latest revision that can be read.
    pub(crate) async fn last(
        &self,
        cluster: &Arc<Cluster>,
        storage: &Storage,
        key: &Key,
    ) -> Result<Option<Arc<Release>>, Error> {
        let revisions = storage.revisions(&key.1).await?;
        let Some(newest) = revisions.last() else {
            self.forget(key);
            return Ok(None);
        };
        let cluster = Arc::as_ptr(cluster) as usize;
        if let Some(known) = self.lock().get(key)
            && known.cluster == cluster
            && known.newest == *newest
        {
            return Ok(Some(known.release.clone()));
        }
        let Some(mut release) = storage.last_of(&revisions).await? else { return Ok(None) };
        slim(&mut release);
        let release = Arc::new(release);
        let known = Known { cluster, newest: newest.clone(), release: release.clone() };
        self.lock().insert(key.clone(), known);
        Ok(Some(release))
    }

    /// Forgets a release.
    pub(crate) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what only actions need, which read the record themselves.
fn slim(release: &mut Release) {
    release.chart.templates = Vec::new();
    release.chart.files = Vec::new();
    release.chart.schema = None;
    release.chart.values = None;
    release.chart.lock = None;
}

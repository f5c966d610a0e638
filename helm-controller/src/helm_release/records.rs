//! The last revision of each release, as it was read: as long as its Secret is the same, nothing is read again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_api::helm::Snapshot;
use sluice_helm::release::Release;
use sluice_runtime::ObjectKey;
use sluice_runtime::apply::Cluster;

use super::{digest, history};
use crate::action::{Error, Revision, Storage};

/// The last revision of a release.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// What is recorded, without what only actions need, which read the record themselves.
    pub(crate) release: Release,
    /// Whether it is what the newest snapshot of the status names; the error: its digest cannot be read. Digests of older
    /// forms cannot be computed any more, and fit.
    pub(crate) fits: Result<bool, String>,
}

impl Record {
    /// Looks whether a release is what a snapshot names.
    pub(crate) fn of(release: Release, newest: Option<&Snapshot>) -> Self {
        let fits = match newest {
            Some(newest) if newest.api_version == history::API_VERSION => {
                digest::is_of_release(&newest.digest, &release, &newest.oci_digest)
            }
            _ => Ok(true),
        };
        Self { release, fits }
    }
}

/// A release, and with whose rights it is read.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) cluster: &'a Arc<Cluster>,
    pub(crate) storage: &'a Storage,
    /// Namespace of the records and name of the release.
    pub(crate) name: (&'a str, &'a str),
}

struct Known {
    cluster: usize,
    name: (String, String),
    newest: Revision,
    /// The digests of the snapshot that it was compared with.
    snapshot: Option<(String, String)>,
    /// Whether the manifest was kept.
    manifest: bool,
    record: Arc<Record>,
}

impl Known {
    fn at(
        place: Place<'_>,
        revision: Revision,
        newest: Option<&Snapshot>,
        manifest: bool,
        record: Arc<Record>,
    ) -> Self {
        Self {
            cluster: Arc::as_ptr(place.cluster) as usize,
            name: (place.name.0.to_owned(), place.name.1.to_owned()),
            newest: revision,
            snapshot: newest.map(digests),
            manifest,
            record,
        }
    }
}

fn digests(snapshot: &Snapshot) -> (String, String) {
    (snapshot.digest.clone(), snapshot.oci_digest.clone())
}

/// Revisions that were read, by the object that asked.
#[derive(Default)]
pub(crate) struct Records(Mutex<HashMap<ObjectKey, Known>>);

impl Records {
    /// The latest revision that can be read, and all that there are. `newest`: the snapshot to compare it with; `manifest`:
    /// whether its objects are wanted, which are most of it.
    pub(crate) async fn last(
        &self,
        whose: &ObjectKey,
        place: Place<'_>,
        newest: Option<&Snapshot>,
        manifest: bool,
    ) -> Result<(Option<Arc<Record>>, Vec<Revision>), Error> {
        let revisions = place.storage.revisions(place.name.1).await?;
        let Some(last) = revisions.last() else {
            self.forget(whose);
            return Ok((None, revisions));
        };
        if let Some(record) = self.known(whose, place, last, newest, manifest) {
            return Ok((Some(record), revisions));
        }
        let Some(release) = place.storage.last_of(&revisions).await? else { return Ok((None, revisions)) };
        let mut record = Record::of(release, newest);
        slim(&mut record.release, manifest);
        let record = Arc::new(record);
        let known = Known::at(place, last.clone(), newest, manifest, record.clone());
        self.lock().insert(whose.clone(), known);
        Ok((Some(record), revisions))
    }

    /// A revision, where it is the one that was read or written last.
    pub(crate) fn known(
        &self,
        whose: &ObjectKey,
        place: Place<'_>,
        revision: &Revision,
        newest: Option<&Snapshot>,
        manifest: bool,
    ) -> Option<Arc<Record>> {
        let known = self.lock();
        let known = known.get(whose)?;
        let is_it = known.cluster == Arc::as_ptr(place.cluster) as usize
            && (known.name.0.as_str(), known.name.1.as_str()) == place.name
            && known.newest == *revision
            && known.snapshot == newest.map(digests)
            && (known.manifest || !manifest);
        is_it.then(|| known.record.clone())
    }

    /// Notes what was just written, which the next look need not read then. `newest`: the snapshot that was made of it.
    pub(crate) fn note(
        &self,
        whose: &ObjectKey,
        place: Place<'_>,
        (revision, mut release): (Revision, Release),
        newest: &Snapshot,
        manifest: bool,
    ) {
        slim(&mut release, manifest);
        let record = Arc::new(Record { release, fits: Ok(true) });
        let known = Known::at(place, revision, Some(newest), manifest, record);
        self.lock().insert(whose.clone(), known);
    }

    /// The object is gone, or its release.
    pub(crate) fn forget(&self, whose: &ObjectKey) {
        self.lock().remove(whose);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slim(release: &mut Release, manifest: bool) {
    release.chart.templates = Vec::new();
    release.chart.files = Vec::new();
    release.chart.schema = None;
    release.chart.values = None;
    release.chart.lock = None;
    release.hooks = Vec::new();
    if !manifest {
        release.manifest = String::new();
    }
}

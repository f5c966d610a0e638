//! Making an artifact of the objects, of which only those are read that changed.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use sluice_api::source::Bucket;
use sluice_artifact::extract::{Options, extract};
use sluice_artifact::storage::Location;
use sluice_artifact::{Algorithm, Rules, Storage, archive};
use sluice_bucket::{Known, Previous, fetch};
use sluice_runtime::ObjectKey;

use super::{Buckets, IGNORE_FILE, Stored, Upstream, failure};
use crate::source::{Context, Draft, Failure, artifact, blocking, publish};

impl Buckets {
    /// Reads what changed and writes the artifact.
    pub(super) async fn act(
        &self,
        context: &Context<Bucket>,
        object: &Arc<Bucket>,
        draft: &Draft<Bucket>,
        upstream: Upstream,
        algorithm: Algorithm,
    ) -> Result<Stored, Failure> {
        let Upstream { store, mut index, ignore_file, deadline } = upstream;
        let (storage, spec) = (&context.shared.storage, &object.spec);
        let disk = |error: std::io::Error| Failure::disk("DirectoryCreationFailed", error.to_string());
        let scratch = tempfile::tempdir().map_err(disk)?;
        let (root, old) = (scratch.path().join("root"), scratch.path().join("old"));
        for folder in [&root, &old] {
            std::fs::create_dir(folder).map_err(disk)?;
        }
        let key = ObjectKey::of(&**object);
        let previous = self.previous(storage, &key, draft, old).await;
        let work = fetch(&store, &mut index, previous.as_ref(), &root);
        let read = tokio::time::timeout_at(deadline, work).await.map_err(|_| failure::timeout(spec))?;
        let read = read.map_err(|error| failure::fetching(spec, &error))?;
        tracing::debug!(read, objects = index.len(), "read objects");
        if let Some(content) = ignore_file {
            std::fs::write(root.join(IGNORE_FILE), content).map_err(disk)?;
        }
        // Objects may have changed since they were listed.
        let revision = index.revision(algorithm);
        let hex = revision.split_once(':').map_or(revision.as_str(), |(_, hex)| hex);
        let file = format!("{hex}.tar.gz");
        let written = publish(storage, &**object, &file, Some("latest.tar.gz"), move |out| {
            let rules = Rules::default();
            archive::write_directory(&root, &rules, out).map(drop).map_err(|error| Failure::archive(&error))
        });
        let (published, url) = written.await?;
        let known = (published.digest.to_string(), Arc::new(index.known()));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, known);
        Ok(Stored { artifact: artifact(published, revision), url, count: index.len() })
    }

    /// The files of the stored artifact, if it is known what they were made of.
    async fn previous(
        &self,
        storage: &Arc<Storage>,
        key: &ObjectKey,
        draft: &Draft<Bucket>,
        root: PathBuf,
    ) -> Option<Previous> {
        let current = draft.status.artifact.as_ref()?;
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let (digest, known) = known.get(key)?;
            (*digest == current.digest).then(|| Known::clone(known))?
        };
        let path = storage.path(&Location::parse(&current.path).ok()?);
        let target = root.clone();
        let unpacked = blocking(move || {
            let file = BufReader::with_capacity(64 * 1024, File::open(path).ok()?);
            extract(file, &target, &Options::artifact()).ok()
        });
        unpacked.await.map(|_| Previous { root, known })
    }
}

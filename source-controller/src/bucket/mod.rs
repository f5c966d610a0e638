//! Bucket: the objects of a bucket become an artifact.

mod act;
mod azure;
mod failure;
mod login;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_api::meta::{Artifact, SUCCEEDED_REASON};
use sluice_api::source::{Bucket, BucketStatus};
use sluice_artifact::ignore::Patterns;
use sluice_artifact::{Digest, Rules};
use sluice_bucket::{Index, Known, Store};
use sluice_runtime::controller::Next;
use sluice_runtime::{Controller, ObjectKey};
use tokio::time::Instant;

use crate::Shared;
use crate::source::{Context, Draft, Failure, Fetch, Sources, Success, impl_source};

impl_source!(Bucket, BucketStatus, url);

/// The object with the patterns of what is ignored.
const IGNORE_FILE: &str = ".sourceignore";
/// Larger files of patterns are an error.
const MAX_IGNORE_FILE: usize = 1 << 20;

/// Runs the controller until the manager stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let controller = Controller::<Bucket>::new(&shared.manager, shared.flags.concurrent);
    let fetch = Buckets { known: Mutex::default() };
    let sources = Sources::new(shared, &controller, fetch);
    controller.run(sources).await;
}

/// What the kind works with.
struct Buckets {
    /// Which objects the stored artifacts were made of, with the digest of the artifact.
    known: Mutex<HashMap<ObjectKey, (String, Arc<Known>)>>,
}

/// What a run came to.
enum Outcome {
    /// The bucket has what the artifact has.
    Kept,
    /// A new artifact.
    Stored(Box<Stored>),
}

/// A new artifact.
struct Stored {
    artifact: Artifact,
    url: String,
    /// How many objects it is made of.
    count: usize,
}

/// What a bucket has, as far as it is wanted.
struct Upstream {
    store: Store,
    index: Index,
    /// The content of the object with the patterns, which is a file of the artifact too.
    ignore_file: Option<Vec<u8>>,
    deadline: Instant,
}

impl Fetch for Buckets {
    type Object = Bucket;
    type Outcome = Outcome;

    async fn intercept(&self, _: &Context<Bucket>, object: &Arc<Bucket>) -> kube::Result<Option<Next>> {
        if object.metadata.deletion_timestamp.is_some() {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&ObjectKey::of(&**object));
        }
        Ok(None)
    }

    async fn attempt(
        &self,
        context: &Context<Bucket>,
        object: &Arc<Bucket>,
        draft: &mut Draft<Bucket>,
    ) -> kube::Result<Result<Outcome, Failure>> {
        let upstream = match self.observe(&context.shared, object).await {
            Ok(upstream) => upstream,
            Err(failure) => return Ok(Err(failure)),
        };
        // What is stored is compared in the algorithm that it was named by.
        let current = draft.status.artifact.as_ref().map(|artifact| artifact.revision.as_str());
        let algorithm = current.and_then(|revision| revision.parse::<Digest>().ok());
        let algorithm =
            algorithm.map_or(context.shared.flags.artifact_digest_algo, |digest| digest.algorithm());
        let revision = upstream.index.revision(algorithm);
        if current == Some(&revision) {
            draft.reached();
            return Ok(Ok(Outcome::Kept));
        }
        if draft.fetched(&revision) {
            context.write(object, &draft.status).await?;
        }
        let stored = self.act(context, object, draft, upstream, context.shared.flags.artifact_digest_algo);
        Ok(stored.await.map(|stored| Outcome::Stored(Box::new(stored))))
    }

    fn forget(&self, key: &ObjectKey) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn succeed(object: &Bucket, success: &mut Success<'_, Bucket>, outcome: Outcome) {
        // Either way the artifact holds what the patterns leave.
        success.status.observed_ignore.clone_from(&object.spec.ignore);
        match outcome {
            Outcome::Kept => success.keep("stored artifact: bucket is unchanged"),
            Outcome::Stored(stored) => {
                let Stored { artifact, url, count } = *stored;
                let name = &object.spec.bucket_name;
                let message = format!("stored artifact with {count} fetched files from '{name}' bucket");
                success.store(artifact, url, "NewArtifact", message);
            }
        }
        success.in_storage(SUCCEEDED_REASON, |artifact| {
            format!("stored artifact: revision '{}'", artifact.revision)
        });
    }
}

impl Buckets {
    /// Logs in and lists.
    async fn observe(&self, shared: &Shared, object: &Bucket) -> Result<Upstream, Failure> {
        let (spec, deadline) = (&object.spec, Instant::now() + object.spec.timeout().to_std());
        let work = async {
            let store = login::store(shared, object).await?;
            let listing = store.list(&spec.prefix).await.map_err(|error| failure::listing(spec, &error))?;
            // A list of everything tells whether there are patterns.
            let perhaps = !spec.prefix.is_empty() || listing.get(IGNORE_FILE).is_some();
            let ignore_file = if perhaps {
                let read = store.get(IGNORE_FILE, MAX_IGNORE_FILE).await;
                read.map_err(|error| failure::fetching(spec, &error))?
            } else {
                None
            };
            let mut patterns = Patterns::new();
            patterns.read(b"", ignore_file.as_deref().unwrap_or_default());
            patterns.read(b"", spec.ignore.as_deref().unwrap_or_default().as_bytes());
            let rules = Rules::only(patterns);
            let index = listing.index(|key| key == IGNORE_FILE || rules.ignores(key.as_bytes(), false));
            Ok(Upstream { store, index, ignore_file, deadline })
        };
        tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| Err(failure::timeout(spec)))
    }
}

//! Writing an artifact into the storage.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::sync::Arc;

use jiff::Timestamp;
use sluice_api::meta::{Artifact, Time};
use sluice_artifact::Storage;
use sluice_artifact::storage::{Location, Published, Sink};
use sluice_runtime::ObjectKey;

use super::{Failure, Source, blocking};

/// Has `content` write the file of an object, on a thread where it may block. `link`: the name of the link to the
/// latest artifact; its address comes back with the artifact.
pub(crate) async fn publish<K: Source>(
    storage: &Arc<Storage>,
    object: &K,
    file: &str,
    link: Option<&'static str>,
    content: impl FnOnce(&mut BufWriter<Sink>) -> Result<(), Failure> + Send + 'static,
) -> Result<(Published, String), Failure> {
    let ObjectKey { namespace, name } = ObjectKey::of(object);
    let location = Location::new(&K::kind(&()), &namespace, &name, file);
    let location = location.map_err(|error| Failure::path(&error))?;
    let storage = storage.clone();
    blocking(move || {
        let published = storage.publish(&location, content).map_err(Failure::publish)?;
        // Without the link all is well but for those who look for the latest by hand.
        let url = link.and_then(|name| {
            let linked = storage.link(&location, name);
            linked.inspect_err(|error| tracing::warn!(%error, "cannot link the latest artifact")).ok()
        });
        Ok((published, url.unwrap_or_default()))
    })
    .await
}

/// What the status says of a file that was written.
pub(crate) fn artifact(published: Published, revision: String) -> Artifact {
    let time = Timestamp::try_from(published.time).unwrap_or_else(|_| Timestamp::now());
    Artifact {
        digest: published.digest.to_string(),
        last_update_time: Time(Timestamp::from_second(time.as_second()).unwrap_or(time)),
        metadata: BTreeMap::new(),
        path: published.path,
        revision,
        size: i64::try_from(published.size).ok(),
        url: published.url,
    }
}

//! Objects of a manifest away from the cluster.

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use kube::api::PropagationPolicy;
use sluice_helm::manifest::uninstall_rank;
use sluice_releases::{Item, ManifestError, parse};
use sluice_runtime::apply::{ObjectId, Requests, Resource, Tracked};

use super::{FIELD_MANAGER, Session};

/// How many objects of one kind are deleted at the same time.
const CONCURRENCY: usize = 8;

/// The objects of a manifest in the order of their deletion. Kinds that the server has no more are left out: their
/// objects went with them.
pub(crate) async fn deletable(
    session: &Session<'_>,
    manifest: &str,
    namespace: &str,
) -> Result<Vec<Item>, ManifestError> {
    let mut objects = parse(manifest)?;
    objects.sort_by(|a, b| uninstall_rank(a.kind()).cmp(&uninstall_rank(b.kind())));
    let mut items = Vec::with_capacity(objects.len());
    for object in objects {
        match sluice_releases::resolve(session.cluster, vec![object], namespace).await {
            Ok(found) => items.extend(found),
            Err(error) => session.log.push(format!("warning: {error}")),
        }
    }
    Ok(items)
}

/// Deletes objects, kind after kind. Gives those that were deleted and what went wrong.
pub(crate) async fn delete_all(
    session: &Session<'_>,
    items: Vec<Item>,
    propagation: PropagationPolicy,
) -> (Vec<Tracked>, Vec<String>) {
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for group in items.chunk_by(|a, b| a.object.kind() == b.object.kind()) {
        let deletions: Vec<BoxFuture<'_, Result<Tracked, String>>> = group
            .iter()
            .filter(|item| {
                if item.is_kept() {
                    session.log.push(format!("resource policy keeps {}", item.id));
                }
                !item.is_kept()
            })
            .map(|item| {
                let propagation = propagation.clone();
                let deletion = async move { delete(session, &item.resource, &item.id, propagation).await };
                deletion.map(|done| done.map(|()| tracked(item))).boxed()
            })
            .collect::<Vec<_>>();
        let mut deletions = stream::iter(deletions).buffered(CONCURRENCY);
        while let Some(result) = deletions.next().await {
            match result {
                Ok(gone) => deleted.push(gone),
                Err(error) => errors.push(error),
            }
        }
    }
    (deleted, errors)
}

/// An object as it is waited for.
pub(crate) fn tracked(item: &Item) -> Tracked {
    Tracked { id: item.id.clone(), version: item.object.version().to_owned() }
}

/// Deletes one object, whoever made it.
pub(crate) async fn delete(
    session: &Session<'_>,
    resource: &Resource,
    id: &ObjectId,
    propagation: PropagationPolicy,
) -> Result<(), String> {
    let requests = Requests { client: session.client, field_manager: FIELD_MANAGER };
    match requests.delete_named(resource, (&id.namespace, &id.name), "", propagation).await {
        Err(error) if !error.is_not_found() => Err(format!("failed to delete {id}: {error}")),
        _ => Ok(()),
    }
}

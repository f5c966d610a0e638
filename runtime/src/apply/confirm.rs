//! Asking the server whether everything is as it was left, where the watches may be behind.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt as _, stream};
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::GroupVersionKind;

use super::fingerprint::fingerprint;
use super::{Cluster, Ledger, ObjectId};
use crate::errors;

/// How many objects a request asks for.
const PAGE: u32 = 500;
/// How many kinds are asked for at once.
const CONCURRENCY: usize = 4;

impl Ledger {
    /// Asks the server about all objects that the ledger knows, with one list of metadata for each kind, and forgets those
    /// that are not as they were left or could not be asked for: the next apply looks at them. Returns whether all are as
    /// they were left.
    ///
    /// `selector` selects the owner's objects by their labels.
    pub async fn confirm(&mut self, cluster: &Cluster, selector: &str) -> bool {
        let kinds: BTreeSet<_> = self
            .entries()
            .map(|(id, known)| (id.group.clone(), known.version.clone(), id.kind.clone()))
            .collect();
        let kinds = kinds.into_iter().map(|(group, version, kind)| GroupVersionKind { group, version, kind });
        let lists: Vec<_> = stream::iter(kinds)
            .map(|kind| async move {
                list(cluster, &kind, selector).await.unwrap_or_else(|error| {
                    tracing::warn!(
                        kind = kind.kind,
                        error,
                        "cannot ask for applied objects, looking at each"
                    );
                    Vec::new()
                })
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        let found: HashMap<ObjectId, u64> = lists.into_iter().flatten().collect();
        self.retain(|id, known| found.get(id) == Some(&known.fingerprint))
    }
}

/// The objects of a kind, with their fingerprints.
async fn list(
    cluster: &Cluster,
    kind: &GroupVersionKind,
    selector: &str,
) -> Result<Vec<(ObjectId, u64)>, String> {
    let resource =
        cluster.resolve(&kind.api_version(), &kind.kind).await.map_err(|error| error.to_string())?;
    let api = Api::<DynamicObject>::all_with(cluster.client().clone(), &resource.api);
    let mut params = ListParams::default().labels(selector).limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = api.list_metadata(&params).await.map_err(|error| errors::describe(&error))?;
        found.extend(page.items.into_iter().map(|object| {
            let id = ObjectId {
                namespace: object.metadata.namespace.clone().unwrap_or_default(),
                name: object.metadata.name.clone().unwrap_or_default(),
                group: kind.group.clone(),
                kind: kind.kind.clone(),
            };
            (id, fingerprint(&object.metadata))
        }));
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params = params.continue_token(&token),
            _ => return Ok(found),
        }
    }
}

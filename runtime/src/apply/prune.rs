//! Deleting what an owner no longer wants.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::time::Instant;

use super::cluster::Requests;
use super::error::Refusal;
use super::order::compare;
use super::{Action, Change, Cluster, Object, ObjectId, Resource, Tracked};

/// Deletes objects from one cluster with the rights of `client`.
pub struct Pruner<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Who asks.
    pub client: &'a Client,
    /// Prefix of labels and annotations, such as `kustomize.toolkit.fluxcd.io`.
    pub group: &'a str,
    /// The owner's name, as the label `<group>/name` has it.
    pub owner_name: &'a str,
    /// The owner's namespace, as the label `<group>/namespace` has it.
    pub owner_namespace: &'a str,
}

/// What became of a deletion.
pub struct Pruned {
    /// What was done, in order.
    pub changes: Vec<Change>,
    /// Objects of which nobody knows whether they are gone: they stay in the inventory.
    pub survivors: Vec<Tracked>,
    /// Why some are not gone.
    pub error: Option<String>,
}

impl Pruner<'_> {
    /// Deletes all objects that still belong to the owner, in the reverse of the order in which they are applied.
    pub async fn delete_all(&self, mut objects: Vec<Tracked>) -> Pruned {
        objects.sort_by(|a, b| compare(&b.id, &a.id));
        let mut pruned = Pruned { changes: Vec::new(), survivors: Vec::new(), error: None };
        let mut errors = String::new();
        for tracked in objects {
            let action = match self.delete(&tracked).await {
                Ok(action) => action,
                Err(error) => {
                    errors.push_str(&error);
                    errors.push(';');
                    pruned.survivors.push(tracked.clone());
                    Action::Unknown
                }
            };
            pruned.changes.push(Change { tracked, action });
        }
        if !errors.is_empty() {
            pruned.error = Some(format!("delete failed, errors: {errors}"));
        }
        pruned
    }

    fn requests(&self) -> Requests<'_> {
        Requests { client: self.client, field_manager: "" }
    }

    /// An object, in the version that is served now. Nothing where it is gone, or its kind is.
    async fn find(&self, tracked: &Tracked) -> Result<Option<(Arc<Resource>, Object)>, Refusal> {
        let ObjectId { namespace, name, group, kind } = &tracked.id;
        let mut fresh = false;
        loop {
            let served = self.cluster.served(&tracked.api_version(), group, kind).await?;
            let Some(resource) = served else { return Ok(None) };
            match self.requests().get(&resource, namespace, name).await {
                Ok(live) => return Ok(Some((resource, live))),
                // What is known of the kind is out of date.
                Err(refusal) if refusal.is_unserved() && !fresh => {
                    self.cluster.forget_group(group);
                    fresh = true;
                }
                Err(refusal) if refusal.is_not_found() => return Ok(None),
                Err(refusal) => return Err(refusal),
            }
        }
    }

    async fn delete(&self, tracked: &Tracked) -> Result<Action, String> {
        let id = &tracked.id;
        let query_failed = |error: Refusal| format!("{id} query failed: {error}");
        let Some((resource, live)) = self.find(tracked).await.map_err(query_failed)? else {
            return Ok(Action::Deleted);
        };
        let key = |name: &str| format!("{}/{name}", self.group);
        let owned = live.tag("labels", &key("name")) == self.owner_name
            && live.tag("labels", &key("namespace")) == self.owner_namespace;
        let kept = live.is_marked(&key("prune"), "disabled")
            || live.is_marked(&key("reconcile"), "disabled")
            || live.is_marked(&key("ssa"), "Ignore");
        if !owned || kept {
            return Ok(Action::Skipped);
        }
        if live.metadata("deletionTimestamp").is_some() {
            return Ok(Action::Deleted);
        }
        match self.requests().delete(&resource, &live).await {
            Ok(()) => Ok(Action::Deleted),
            Err(error) => Err(format!("{id} delete failed: {error}")),
        }
    }

    /// Waits until deleted objects are gone. The error names the first that is not.
    pub async fn wait_for_termination(&self, changes: &[Change], timeout: Duration) -> Result<(), String> {
        let deadline = Instant::now() + timeout;
        let mut pause = Duration::from_millis(100);
        for change in changes.iter().filter(|change| change.action == Action::Deleted) {
            let id = &change.tracked.id;
            loop {
                let found = self.find(&change.tracked).await;
                match found {
                    Ok(None) => break,
                    Ok(Some(_)) if Instant::now() < deadline => {}
                    Ok(Some(_)) => return Err(format!("{id} termination timeout: it is still there")),
                    Err(error) => return Err(format!("{id} termination timeout: {error}")),
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
        Ok(())
    }
}

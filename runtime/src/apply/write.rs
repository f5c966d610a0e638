//! Writing what was decided, and waiting for what the next stage needs.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use sluice_kstatus::Status;
use tokio::time::Instant;

use super::applier::{Applier, Item};
use super::decide::{Decision, Step};
use super::ledger::Known;
use super::observe::{fingerprint_of, version_number};
use super::{Action, Change, Error, Ledger, Object, ObjectId, Resource, health};

/// What came of a step, by its place in the stage.
type Written = (usize, Result<(Action, Object), Error>);

impl Applier<'_> {
    /// Writes what was decided: kind after kind, the objects of a kind side by side.
    pub(super) async fn write_stage(
        &self,
        items: Vec<Item>,
        decisions: Vec<Decision>,
        wait: bool,
        ledger: &mut Ledger,
    ) -> Result<Vec<Change>, (Vec<Change>, Error)> {
        let mut results: Vec<Option<(Action, Option<Object>)>> = Vec::new();
        let mut steps = Vec::new();
        for (index, decision) in decisions.into_iter().enumerate() {
            match decision {
                Decision::Leave(action, live) => results.push(Some((action, live))),
                Decision::LeaveKnown(action) => results.push(Some((action, None))),
                Decision::Apply(step) => {
                    results.push(None);
                    steps.push((index, step));
                }
            }
        }
        let known_before: Vec<bool> = results.iter().map(|r| matches!(r, Some((_, None)))).collect();
        let mut failure = None;
        for group in steps.chunk_by(|(a, _), (b, _)| same_kind(&items[*a].id, &items[*b].id)) {
            let writes: Vec<BoxFuture<'_, Written>> = group
                .iter()
                .map(|(index, step)| self.write(&items[*index], step).map(|result| (*index, result)).boxed())
                .collect();
            let written = stream::iter(writes)
                .buffer_unordered(self.options.concurrency.max(1))
                .collect::<Vec<_>>()
                .await;
            let mut errors = Vec::new();
            for (index, result) in written {
                match result {
                    Ok((action, object)) => results[index] = Some((action, Some(object))),
                    Err(error) => {
                        if error.is_perhaps_written() {
                            results[index] = Some((Action::Unknown, None));
                        }
                        errors.push((index, error));
                    }
                }
            }
            errors.sort_by_key(|(index, _)| *index);
            failure = Error::of(errors.into_iter().map(|(_, error)| error).collect());
            if failure.is_some() {
                break;
            }
        }
        let mut not_ready = Vec::new();
        let mut changes = Vec::new();
        for ((item, result), unseen) in items.into_iter().zip(results).zip(known_before) {
            let Some((action, live)) = result else {
                ledger.set(item.id, None);
                continue;
            };
            changes.push(Change::new(item.id.clone(), item.object.version(), action));
            if let Some(live) = live {
                if wait && health::judge(&live.clone().into_value()).0 != Status::Current {
                    not_ready.push((item.id.clone(), item.resource.clone()));
                }
                if action.is_change()
                    && let Some((group, kind)) = item.object.defines()
                {
                    self.cluster.define(group, kind);
                }
                let known = fingerprint_of(&live).map(|fingerprint| Known {
                    digest: item.digest,
                    fingerprint,
                    resource_version: version_number(Some(live.resource_version())),
                    version: item.object.version().to_owned(),
                    skipped: action == Action::Skipped,
                    watch: self.cluster.observer.managed(&item.resource),
                });
                ledger.set(item.id, known);
            } else if !unseen {
                ledger.set(item.id, None);
            }
        }
        if let Some(error) = failure {
            return Err((changes, error));
        }
        match self.ready(not_ready).await {
            Ok(()) => Ok(changes),
            Err(error) => Err((changes, error)),
        }
    }

    async fn write(&self, item: &Item, step: &Step) -> Result<(Action, Object), Error> {
        let Item { resource, id, .. } = item;
        let requests = self.requests();
        if let Some(old) = &step.recreate {
            self.remove(resource, id, old).await?;
        }
        if !step.clean.is_empty() {
            requests
                .json_patch(resource, &step.payload, &step.clean)
                .await
                .map_err(|error| Error::Cleanup { id: id.clone(), cause: error.to_string() })?;
        }
        match requests.apply(resource, &step.payload, false).await {
            Ok(answer) => {
                let changed = version_number(Some(answer.resource_version())) != step.before;
                let action =
                    step.action.unwrap_or(if changed { Action::Configured } else { Action::Unchanged });
                Ok((action, answer))
            }
            Err(refusal) if step.unchecked => {
                // Nothing has been written: what is left is the long way, which also knows how to recreate.
                match self.compare(item).await? {
                    Decision::Apply(step) if step.recreate.is_some() => {
                        Box::pin(self.write(item, &step)).await
                    }
                    _ => Err(Error::dry_run(id, &refusal)),
                }
            }
            Err(refusal) => Err(Error::apply(id, &refusal)),
        }
    }

    /// Deletes an object that is to be made anew, and waits until it is gone.
    async fn remove(&self, resource: &Resource, id: &ObjectId, old: &Object) -> Result<(), Error> {
        let failed = |cause: String| Error::Recreate { id: id.clone(), cause };
        let requests = self.requests();
        match requests.delete(resource, old).await {
            Err(error) if !error.is_not_found() => return Err(failed(error.to_string())),
            _ => {}
        }
        self.await_removal(resource, id, old).await
    }

    /// Waits until an object that was deleted is gone.
    pub(super) async fn await_removal(
        &self,
        resource: &Resource,
        id: &ObjectId,
        old: &Object,
    ) -> Result<(), Error> {
        let failed = |cause: String| Error::Recreate { id: id.clone(), cause };
        let requests = self.requests();
        let deadline = Instant::now() + self.options.stage_timeout;
        let mut pause = Duration::from_millis(50);
        loop {
            match requests.find(resource, old.namespace(), old.name()).await {
                Ok(None) => return Ok(()),
                Ok(Some(found)) if found.uid() != old.uid() => return Ok(()),
                Ok(Some(_)) if Instant::now() >= deadline => {
                    return Err(failed("it is still there; a finalizer may hold it".to_owned()));
                }
                Ok(Some(_)) => {}
                Err(error) => return Err(failed(error.to_string())),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Waits until the objects of a first stage are ready. That takes moments: a few questions beat a watch.
    async fn ready(&self, mut pending: Vec<(ObjectId, Arc<Resource>)>) -> Result<(), Error> {
        let deadline = Instant::now() + self.options.stage_timeout;
        let mut pause = Duration::from_millis(25);
        while !pending.is_empty() {
            let mut open = Vec::new();
            let mut lines = Vec::new();
            for (id, resource) in pending {
                let (status, detail) = match self.requests().find(&resource, &id.namespace, &id.name).await {
                    Ok(Some(object)) => health::judge(&object.into_value()),
                    Ok(None) => (Status::NotFound, String::new()),
                    Err(error) => (Status::Unknown, error.to_string()),
                };
                if status != Status::Current {
                    let detail =
                        if status == Status::Unknown { format!(": {detail}") } else { String::new() };
                    lines.push((status, format!("{id} status: '{status}'{detail}")));
                    open.push((id, resource));
                }
            }
            let failed = |wanted: fn(Status) -> bool| {
                lines
                    .iter()
                    .filter(|(s, _)| wanted(*s))
                    .map(|(_, line)| line.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            if !lines.is_empty() && lines.iter().all(|(status, _)| *status == Status::Failed) {
                let lines = failed(|status| status == Status::Failed);
                return Err(Error::NotReady(format!("failed early due to stalled resources: [{lines}]")));
            }
            if Instant::now() >= deadline && !open.is_empty() {
                let lines = failed(|_| true);
                return Err(Error::NotReady(format!("timeout waiting for: [{lines}]")));
            }
            pending = open;
            if !pending.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
        Ok(())
    }
}

fn same_kind(a: &ObjectId, b: &ObjectId) -> bool {
    a.kind == b.kind && a.group == b.group
}

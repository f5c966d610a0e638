//! Waiting until objects are ready, by watches, while others work.

mod legacy;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sluice_kstatus::Status;
use sluice_releases::Item;
use sluice_runtime::apply::health::{self, Expectation, Patience};
use sluice_runtime::apply::{Action, Change, Judge, Pruner, Tracked};

use super::apply::Written;
use super::{Error, Session};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Hooks only.
    Hooks,
    /// All objects but Jobs.
    Objects,
    /// All objects.
    ObjectsAndJobs,
}

/// Waits until what was written is ready.
pub(crate) async fn ready(
    session: &Session<'_>,
    written: &[Written],
    waiting: Waiting,
    timeout: Duration,
) -> Result<(), Error> {
    if waiting == Waiting::Hooks {
        return Ok(());
    }
    let is_job = |item: &Item| item.id.group == "batch" && item.id.kind == "Job";
    let is_paused = |item: &Item| {
        item.id.kind == "Deployment"
            && item.object.fields().get("spec").and_then(|spec| spec.get("paused"))
                == Some(&Value::Bool(true))
    };
    let vanishes = |item: &Item| {
        is_job(item)
            && item
                .object
                .fields()
                .get("spec")
                .is_some_and(|spec| spec.get("ttlSecondsAfterFinished").is_some())
    };
    let expectations: Vec<_> = written
        .iter()
        .filter(|written| !is_paused(&written.item))
        .filter(|written| waiting == Waiting::ObjectsAndJobs || !is_job(&written.item))
        .map(|written| Expectation {
            id: written.item.id.clone(),
            api_version: written.item.object.api_version().to_owned(),
            written: written.version,
            managed: true,
            may_vanish: vanishes(&written.item),
            judge: judge_of(session, &written.item),
        })
        .collect();
    let patience = Patience { timeout, fail_fast: true };
    let wait = health::wait(session.cluster, session.client, expectations, patience);
    session
        .idle(async {
            tokio::select! {
                result = wait => result.map_err(Error::Wait),
                () = session.superseded.cancelled() => Err(Error::Superseded),
            }
        })
        .await
}

fn judge_of(session: &Session<'_>, item: &Item) -> Option<Judge> {
    if session.legacy { Some(Arc::new(legacy::judge)) } else { session.rules.judge(&item.id) }
}

/// Waits until a hook has ended, one way or the other. Kinds that do not end are ready at once.
pub(crate) async fn ended(
    session: &Session<'_>,
    item: &Item,
    version: u64,
    timeout: Duration,
) -> Result<(), Error> {
    let judge: Judge = match (item.id.group.as_str(), item.id.kind.as_str()) {
        ("batch", "Job") => Arc::new(job),
        ("", "Pod") => Arc::new(pod),
        _ => return Ok(()),
    };
    let expectation = Expectation {
        id: item.id.clone(),
        api_version: item.object.api_version().to_owned(),
        written: version,
        managed: false,
        may_vanish: false,
        judge: Some(judge),
    };
    let patience = Patience { timeout, fail_fast: false };
    let wait = health::wait(session.cluster, session.client, vec![expectation], patience);
    session.idle(async { wait.await.map_err(Error::Wait) }).await
}

fn job(object: &Value) -> (Status, String) {
    let has = |type_: &str| {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        conditions.is_some_and(|conditions| {
            conditions.iter().any(|condition| condition["type"] == type_ && condition["status"] == "True")
        })
    };
    let suspended = object.pointer("/spec/suspend") == Some(&Value::Bool(true));
    match (has("Failed"), has("Complete") || suspended) {
        (true, _) => (Status::Failed, "the Job has failed".to_owned()),
        (_, true) => (Status::Current, String::new()),
        _ => (Status::InProgress, "the Job runs".to_owned()),
    }
}

fn pod(object: &Value) -> (Status, String) {
    match object.pointer("/status/phase").and_then(Value::as_str) {
        Some("Succeeded") => (Status::Current, String::new()),
        Some("Failed") => (Status::Failed, "the Pod has failed".to_owned()),
        _ => (Status::InProgress, "the Pod runs".to_owned()),
    }
}

/// Waits until objects are gone.
pub(crate) async fn gone(session: &Session<'_>, items: &[Item], timeout: Duration) -> Result<(), Error> {
    let changes: Vec<_> = items
        .iter()
        .map(|item| Change {
            tracked: Tracked { id: item.id.clone(), version: item.object.version().to_owned() },
            action: Action::Deleted,
        })
        .collect();
    let pruner = Pruner {
        cluster: session.cluster,
        client: session.client,
        group: sluice_api::helm::GROUP,
        owner_name: "",
        owner_namespace: "",
    };
    session.idle(async { pruner.wait_for_termination(&changes, timeout).await.map_err(Error::Wait) }).await
}

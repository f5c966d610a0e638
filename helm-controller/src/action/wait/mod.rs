//! Waiting until objects are ready, by watches, while others work.

mod legacy;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sluice_kstatus::Status;
use sluice_releases::Item;
use sluice_runtime::apply::health::{self, Expectation, Patience};
use sluice_runtime::apply::{Action, Change, Judge, ObjectId, Pruner, Tracked};

use super::apply::{Written, is_job};
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
    let expectations: Vec<_> = written
        .iter()
        .filter(|written| !written.paused)
        .filter(|written| waiting == Waiting::ObjectsAndJobs || !is_job(&written.id))
        .map(|written| Expectation {
            id: written.id.clone(),
            api_version: written.api_version.clone(),
            written: written.version,
            managed: true,
            may_vanish: written.vanishes,
            judge: judge_of(session, &written.id),
        })
        .collect();
    let patience = Patience { timeout, fail_fast: true };
    let wait = health::wait(session.cluster, session.client, expectations, patience);
    session
        .idle(Box::pin(async {
            tokio::select! {
                result = wait => result.map_err(Error::Wait),
                () = session.superseded.cancelled() => Err(Error::Superseded),
            }
        }))
        .await
}

fn judge_of(session: &Session<'_>, id: &ObjectId) -> Option<Judge> {
    if session.legacy { Some(Arc::new(legacy::judge)) } else { session.rules.judge(id) }
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
    session.idle(Box::pin(async { wait.await.map_err(Error::Wait) })).await
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
pub(crate) async fn gone(
    session: &Session<'_>,
    objects: Vec<Tracked>,
    timeout: Duration,
) -> Result<(), Error> {
    let changes: Vec<_> =
        objects.into_iter().map(|tracked| Change { tracked, action: Action::Deleted }).collect();
    let pruner = Pruner {
        cluster: session.cluster,
        client: session.client,
        group: sluice_api::helm::GROUP,
        owner_name: "",
        owner_namespace: "",
    };
    let gone = async { pruner.wait_for_termination(&changes, timeout).await.map_err(Error::Wait) };
    session.idle(Box::pin(gone)).await
}

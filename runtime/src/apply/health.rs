//! Waiting until objects are healthy, without polling and without holding anything but a task.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use serde_json::Value;
use sluice_kstatus::Status;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::cluster::Requests;
use super::observe::{Judge, KindWatch, Seen, now};
use super::{Cluster, ObjectId};

/// How often things are looked at that no watch tells of: kinds that are not known, and Pods.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How many objects are so many that changes are gathered before all are looked at again, and for how long.
const MANY: usize = 64;
const SETTLE: Duration = Duration::from_millis(50);

/// The status of an object as the controllers of Flux see it, and by the library of rules for kinds it misjudges.
pub fn judge(object: &Value) -> (Status, String) {
    let general = match sluice_kstatus::assess(object, now()) {
        Ok(assessment) => (assessment.status, assessment.message),
        Err(error) => (Status::Unknown, error.to_string()),
    };
    super::library::judge(object, &general).unwrap_or(general)
}

/// An object to wait for.
#[derive(Clone)]
pub struct Expectation {
    /// The object.
    pub id: ObjectId,
    /// Its `apiVersion`.
    pub api_version: String,
    /// The version that was written last: what is older does not count. 0 where nothing is known.
    pub written: u64,
    /// Whether it carries the label of managed objects, so that the shared watch shows it.
    pub managed: bool,
    /// A Job that is deleted when it is done: its absence is a success.
    pub may_vanish: bool,
    /// Rules other than the usual.
    pub judge: Option<Judge>,
}

/// How to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long.
    pub timeout: Duration,
    /// Whether to give up as soon as one object has failed.
    pub fail_fast: bool,
}

/// Waits for a set of objects. The error is the text behind `health check failed after <time>: `.
pub async fn wait(
    cluster: &Cluster,
    client: &Client,
    expectations: Vec<Expectation>,
    patience: Patience,
) -> Result<(), String> {
    if expectations.is_empty() {
        return Ok(());
    }
    let deadline = Instant::now() + patience.timeout;
    let notify = Arc::new(Notify::new());
    let item = |expected| Item { expected, state: State::Unresolved(None), notify: notify.clone() };
    let mut items: Vec<_> = expectations.into_iter().map(item).collect();
    loop {
        let mut unresolved = false;
        for item in &mut items {
            if matches!(item.state, State::Watched(_)) {
                continue;
            }
            // What takes longer counts as not resolved. Boxed, as below: hundreds wait at once, and requests are large.
            let _ = tokio::time::timeout_at(deadline, Box::pin(item.resolve(cluster, client))).await;
            if let State::Hopeless(error) = &item.state {
                return Err(error.clone());
            }
            unresolved |= matches!(item.state, State::Unresolved(_));
        }
        let mut statuses: Vec<_> = items.iter().map(Item::status).collect();
        let mut owns_pods = false;
        for (item, status) in items.iter().zip(&mut statuses) {
            if status.0 == Status::InProgress && item.owns_pods() {
                owns_pods = true;
                if let Some(failed) = Box::pin(item.failed_pods(cluster, client)).await {
                    *status = (Status::Failed, failed);
                }
            }
        }
        let any = |wanted: Status| statuses.iter().any(|(status, _)| *status == wanted);
        let settled = statuses.iter().all(|(status, _)| matches!(status, Status::Current | Status::Failed));
        if settled || patience.fail_fast && any(Status::Failed) {
            if !any(Status::Failed) {
                return Ok(());
            }
            return Err(report("failed early due to stalled resources", &items, &statuses, |s| {
                s == Status::Failed
            }));
        }
        // No watch tells of new kinds, or of the Pods of a workload.
        let look_again = Instant::now() + LOOK_AGAIN;
        let wake_at = if unresolved || owns_pods { deadline.min(look_again) } else { deadline };
        tokio::select! {
            () = notify.notified() => {
                // Of many objects several change in one moment: one look tells of all.
                if items.len() > MANY {
                    tokio::time::sleep_until(deadline.min(Instant::now() + SETTLE)).await;
                }
            }
            () = tokio::time::sleep_until(wake_at) => {
                if Instant::now() >= deadline {
                    return Err(report("timeout waiting for", &items, &statuses, |s| s != Status::Current));
                }
            }
        }
    }
}

/// The status of objects at this moment, as far as shared watches show it.
pub(crate) fn is_current(watch: &KindWatch, id: &ObjectId) -> bool {
    watch.get(&id.namespace, &id.name).is_some_and(|seen| seen.status == Status::Current)
}

fn report(
    what: &str,
    items: &[Item],
    statuses: &[(Status, String)],
    shown: impl Fn(Status) -> bool,
) -> String {
    let lines: Vec<_> = items
        .iter()
        .zip(statuses)
        .filter(|(_, (status, _))| shown(*status))
        .map(|(item, (status, error))| match error.as_str() {
            "" => format!("{} status: '{status}'", item.expected.id),
            error => format!("{} status: '{status}': {error}", item.expected.id),
        })
        .collect();
    format!("{what}: [{}]", lines.join(", "))
}

struct Item {
    expected: Expectation,
    state: State,
    /// Woken by what is watched.
    notify: Arc<Notify>,
}

impl Drop for Item {
    fn drop(&mut self) {
        if let State::Watched(watch) = &self.state {
            watch.leave(&self.expected.id.namespace, &self.expected.id.name, &self.notify);
        }
    }
}

enum State {
    /// The kind is not known to the server, or cannot be watched.
    Unresolved(Option<String>),
    /// There is no such object, whatever happens.
    Hopeless(String),
    Watched(Arc<KindWatch>),
}

impl Item {
    async fn resolve(&mut self, cluster: &Cluster, client: &Client) {
        let State::Unresolved(error) = &mut self.state else { return };
        let Expectation { id, api_version, managed, judge: own, .. } = &self.expected;
        let resource = match cluster.resolve(api_version, &id.kind).await {
            Ok(resource) => resource,
            Err(refusal) => {
                *error = Some(refusal.to_string());
                return;
            }
        };
        if resource.namespaced && id.namespace.is_empty() {
            let group = if id.group.is_empty() { String::new() } else { format!(".{}", id.group) };
            self.state = State::Hopeless(format!(
                "resource {}{group} {} is namespace scoped, but namespace is not set",
                id.kind, id.name
            ));
            return;
        }
        let shared = (own.is_none() && *managed).then(|| cluster.observer.managed(&resource));
        // Where the shared watch is not allowed, one on the object alone may be.
        let watch = match shared {
            Some(shared) if shared.started().await => shared,
            _ => {
                let rules = own.clone().unwrap_or_else(|| Arc::new(judge));
                let single = cluster.observer.single(client, &resource, &id.namespace, &id.name, rules);
                if !single.started().await {
                    *error = single.error();
                    return;
                }
                single
            }
        };
        watch.notify(&id.namespace, &id.name, &self.notify);
        self.state = State::Watched(watch);
    }

    /// Whether failed Pods of the object make it fail as well.
    fn owns_pods(&self) -> bool {
        let id = &self.expected.id;
        id.group == "apps" && matches!(id.kind.as_str(), "StatefulSet" | "ReplicaSet")
    }

    /// How many Pods of the object have failed, if any, in words.
    async fn failed_pods(&self, cluster: &Cluster, client: &Client) -> Option<String> {
        let Expectation { id, api_version, .. } = &self.expected;
        let requests = Requests { client, field_manager: "" };
        let resource = cluster.resolve(api_version, &id.kind).await.ok()?;
        let owner = requests.get(&resource, &id.namespace, &id.name).await.ok()?;
        let labels = owner.fields().get("spec")?.get("selector")?.get("matchLabels")?.as_object()?;
        let labels: Vec<_> =
            labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
        let pods = requests
            .list(&*cluster.resolve("v1", "Pod").await.ok()?, &id.namespace, &labels.join(","))
            .await
            .ok()?;
        let failed = pods.iter().filter(|pod| {
            let status = sluice_kstatus::assess(pod, now()).map(|assessment| assessment.status);
            status == Ok(Status::Failed) && !sluice_kstatus::is_unschedulable(pod)
        });
        match failed.count() {
            0 => None,
            count => Some(format!("{count} pods have failed")),
        }
    }

    /// The status, and what to add to it in a report.
    fn status(&self) -> (Status, String) {
        let watch = match &self.state {
            State::Unresolved(error) => return (Status::Unknown, error.clone().unwrap_or_default()),
            State::Hopeless(error) => return (Status::Unknown, error.clone()),
            State::Watched(watch) => watch,
        };
        let Expectation { id, written, may_vanish, .. } = &self.expected;
        match watch.get(&id.namespace, &id.name) {
            None if *may_vanish => (Status::Current, String::new()),
            None => match watch.error() {
                Some(error) => (Status::Unknown, error),
                None => (Status::NotFound, String::new()),
            },
            // Older than what was written: not what is waited for.
            Some(Seen { resource_version, .. }) if resource_version < *written => {
                (Status::InProgress, String::new())
            }
            Some(Seen { status: Status::Unknown, message, .. }) => (Status::Unknown, message.into()),
            Some(Seen { status, .. }) => (status, String::new()),
        }
    }
}

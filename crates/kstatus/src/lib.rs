//! The status of a Kubernetes object from its JSON: is it rolled out, on the way, failed, going away?
//!
//! [`compute`] gives the answers of the kstatus library that Flux uses, oddities included; [`assess`] is what its
//! controllers ask: the same with another rule for Jobs, where a running one is not yet done. Both are pure: they read
//! one object and a clock that the caller passes in. They never talk to a cluster, and an object of any shape, however
//! broken, gets a status or an [`Error`].

mod field;
mod generic;
mod job;
mod pod;
mod workload;

use field::Conditions;
use jiff::Timestamp;
use serde_json::Value;

/// How far an object has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// On its way to what its spec says.
    InProgress,
    /// Stuck: it will not get there without a change.
    Failed,
    /// What its spec says.
    Current,
    /// Marked for deletion.
    Terminating,
    /// Not there.
    NotFound,
    /// It cannot be told.
    Unknown,
}

impl Status {
    /// The name as it stands in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Current => "Current",
            Self::Terminating => "Terminating",
            Self::NotFound => "NotFound",
            Self::Unknown => "Unknown",
        }
    }

    /// The status of a set: one failure fails it, one unknown makes it unknown, and all have to be as wished.
    pub fn aggregate(statuses: impl IntoIterator<Item = Self>, wished: Self) -> Self {
        let mut unknown = false;
        let mut all = true;
        for status in statuses {
            match status {
                Self::Failed => return Self::Failed,
                Self::Unknown => unknown = true,
                other => all &= other == wished,
            }
        }
        match (unknown, all) {
            (true, _) => Self::Unknown,
            (false, true) => wished,
            (false, false) => Self::InProgress,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A status with its explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The status.
    pub status: Status,
    /// What people read.
    pub message: String,
    /// The standard condition that the object would carry: `Reconciling` while in progress, `Stalled` when failed.
    pub condition: Option<StandardCondition>,
}

/// A condition whose presence means that something is not as it should be; its status is always `True`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandardCondition {
    /// `Reconciling` or `Stalled`.
    pub type_: &'static str,
    /// Programmatic identifier.
    pub reason: String,
    /// What people read.
    pub message: String,
}

impl Assessment {
    fn current(message: impl Into<String>) -> Self {
        Self { status: Status::Current, message: message.into(), condition: None }
    }

    fn in_progress(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::with_condition(Status::InProgress, "Reconciling", reason.into(), message.into())
    }

    fn failed(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::with_condition(Status::Failed, "Stalled", reason.into(), message.into())
    }

    fn with_condition(status: Status, type_: &'static str, reason: String, message: String) -> Self {
        let condition = StandardCondition { type_, reason, message: message.clone() };
        Self { status, message, condition: Some(condition) }
    }
}

/// The object has a shape that no rule can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// The status by the rules of the kstatus library.
pub fn compute(object: &Value, now: Timestamp) -> Result<Assessment, Error> {
    if let Some(assessment) = generic::standard(object)? {
        return Ok(assessment);
    }
    let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let group = match api_version.matches('/').count() {
        0 => "",
        1 => api_version.split('/').next().unwrap_or_default(),
        _ => return generic::ready(object),
    };
    match (group, kind) {
        ("", "Secret" | "ConfigMap") | ("batch", "CronJob") => {
            Ok(Assessment::current("Resource is always ready"))
        }
        ("policy", "PodDisruptionBudget") => Ok(Assessment::current("AllowedDisruptions has been computed.")),
        ("", "Service") => Ok(generic::service(object)),
        ("", "PersistentVolumeClaim") => Ok(generic::persistent_volume_claim(object)),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => generic::custom_resource_definition(object),
        ("", "Pod") => pod::pod(object, now),
        ("batch", "Job") => job::stock(object),
        ("apps" | "extensions", "Deployment") => workload::deployment(object),
        ("apps" | "extensions", "ReplicaSet") => workload::replica_set(object),
        ("apps" | "extensions", "DaemonSet") => workload::daemon_set(object),
        ("apps", "StatefulSet") => Ok(workload::stateful_set(object)),
        _ => generic::ready(object),
    }
}

/// The status as Flux's controllers see it: a Job that runs is in progress, and one that is suspended is current.
pub fn assess(object: &Value, now: Timestamp) -> Result<Assessment, Error> {
    let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if api_version.starts_with("batch/") && object.get("kind").and_then(Value::as_str) == Some("Job") {
        return job::run_to_completion(object);
    }
    compute(object, now)
}

/// Whether a Pod is unschedulable, which does not count against the workload that made it.
pub fn is_unschedulable(pod: &Value) -> bool {
    Conditions::read(pod).is_ok_and(|conditions| {
        conditions.find("PodScheduled", "False").is_some_and(|it| it.reason == "Unschedulable")
    })
}

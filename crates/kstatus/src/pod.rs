//! Pods.

use crate::field::{Conditions, nested, not_a_list, string_or};
use crate::{Assessment, Error};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How long a Pod may be unschedulable before it counts as failed: the cluster may be growing.
const SCHEDULE_WINDOW: SignedDuration = SignedDuration::from_secs(15);

pub(crate) fn pod(object: &Value, now: Timestamp) -> Result<Assessment, Error> {
    let conditions = Conditions::read(object)?;
    match string_or(object, &["status", "phase"], "") {
        "Succeeded" => Ok(Assessment::current("Pod has completed successfully")),
        "Failed" => Ok(Assessment::current("Pod has completed, but not successfully")),
        "Running" => {
            if conditions.find("Ready", "True").is_some() {
                return Ok(Assessment::current("Pod is Ready"));
            }
            let crashing = crash_looping(object)?;
            if crashing.is_empty() {
                return Ok(Assessment::in_progress("PodRunningNotReady", "Pod is running but is not Ready"));
            }
            let message = format!("Containers in CrashLoop state: {}", crashing.join(","));
            Ok(Assessment::failed("ContainerCrashLooping", message))
        }
        "Pending" => {
            let unschedulable =
                conditions.find("PodScheduled", "False").is_some_and(|it| it.reason == "Unschedulable");
            if !unschedulable {
                return Ok(Assessment::in_progress("PodPending", "Pod is in the Pending phase"));
            }
            let created = string_or(object, &["metadata", "creationTimestamp"], "").parse::<Timestamp>();
            let young = created.is_ok_and(|created| now.duration_since(created) < SCHEDULE_WINDOW);
            Ok(if young {
                Assessment::in_progress("PodNotScheduled", "Pod has not been scheduled")
            } else {
                Assessment::failed("PodUnschedulable", "Pod could not be scheduled")
            })
        }
        "" => Ok(Assessment::in_progress("PodNotObserved", "Pod phase not available")),
        phase => Err(Error(format!("unknown phase {phase}"))),
    }
}

/// The names of the containers (not the init containers) that wait after a crash.
fn crash_looping(object: &Value) -> Result<Vec<&str>, Error> {
    let path = ["status", "containerStatuses"];
    let items = match nested(object, &path)? {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(not_a_list(&path, other)),
    };
    // The reference crashes on each of these faults.
    let malformed = || Error(".status.containerStatuses is malformed".to_owned());
    let mut names = Vec::new();
    for item in items {
        let container = item.as_object().ok_or_else(malformed)?;
        let Some(name) = container.get("name") else { continue };
        let name = name.as_str().ok_or_else(malformed)?;
        let mut value = item;
        for step in ["state", "waiting", "reason"] {
            let Some(next) = value.as_object().ok_or_else(malformed)?.get(step) else {
                value = &Value::Null;
                break;
            };
            value = next;
            if value.is_null() {
                return Err(malformed());
            }
        }
        match value {
            Value::Null => {}
            Value::String(reason) if reason == "CrashLoopBackOff" => names.push(name),
            Value::String(_) => {}
            _ => return Err(malformed()),
        }
    }
    Ok(names)
}

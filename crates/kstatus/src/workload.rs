//! Controllers of Pods: Deployment, StatefulSet, ReplicaSet, DaemonSet.

use crate::field::{Conditions, integer, integer_or, looking_up, string_or};
use crate::{Assessment, Error};
use serde_json::Value;

/// A deadline of this many seconds means none.
const NO_DEADLINE: i64 = i32::MAX as i64;

/// A status count, 0 where there is none.
fn count(object: &Value, name: &str) -> i64 {
    integer_or(object, &["status", name], 0)
}

/// In progress while fewer are counted than wanted.
fn fewer(reason: &str, label: &str, counted: i64, wanted: i64) -> Option<Assessment> {
    (wanted > counted).then(|| Assessment::in_progress(reason, format!("{label}: {counted}/{wanted}")))
}

/// In progress while there are more Pods than wanted.
fn extra(replicas: i64, wanted: i64) -> Option<Assessment> {
    (replicas > wanted).then(|| {
        Assessment::in_progress(
            "ExtraPods",
            format!("Pending termination: {}", replicas.saturating_sub(wanted)),
        )
    })
}

pub(crate) fn deployment(object: &Value) -> Result<Assessment, Error> {
    let deadline = integer_or(object, &["spec", "progressDeadlineSeconds"], NO_DEADLINE);
    let mut progressing = deadline == NO_DEADLINE;
    let mut available = false;
    for condition in Conditions::read(object)?.iter() {
        match condition.type_ {
            "Progressing" if condition.reason == "ProgressDeadlineExceeded" => {
                let mut failed = Assessment::failed(condition.reason, condition.message);
                "Progress deadline exceeded".clone_into(&mut failed.message);
                return Ok(failed);
            }
            "Progressing" => {
                progressing |= condition.status == "True" && condition.reason == "NewReplicaSetAvailable";
            }
            "Available" => available |= condition.status == "True",
            _ => {}
        }
    }
    let wanted = integer_or(object, &["spec", "replicas"], 1);
    let replicas = count(object, "replicas");
    let updated = count(object, "updatedReplicas");
    let missing = fewer("LessReplicas", "Replicas", replicas, wanted)
        .or_else(|| fewer("LessUpdated", "Updated", updated, wanted))
        .or_else(|| extra(replicas, wanted))
        .or_else(|| fewer("LessAvailable", "Available", count(object, "availableReplicas"), updated))
        .or_else(|| fewer("LessReady", "Ready", count(object, "readyReplicas"), wanted));
    Ok(match missing {
        Some(missing) => missing,
        None if !progressing => Assessment::in_progress("ReplicaSetNotAvailable", "ReplicaSet not Available"),
        None if !available => Assessment::in_progress("DeploymentNotAvailable", "Deployment not Available"),
        None => Assessment::current(format!("Deployment is available. Replicas: {replicas}")),
    })
}

pub(crate) fn replica_set(object: &Value) -> Result<Assessment, Error> {
    if Conditions::read(object)?.find("ReplicaFailure", "True").is_some() {
        return Ok(Assessment::in_progress("ReplicaFailure", "Replica Failure condition. Check Pods"));
    }
    let wanted = integer_or(object, &["spec", "replicas"], 1);
    let replicas = count(object, "replicas");
    Ok(fewer("LessLabelled", "Labelled", count(object, "fullyLabeledReplicas"), wanted)
        .or_else(|| fewer("LessAvailable", "Available", count(object, "availableReplicas"), wanted))
        .or_else(|| fewer("LessReady", "Ready", count(object, "readyReplicas"), wanted))
        .or_else(|| extra(replicas, wanted))
        .unwrap_or_else(|| Assessment::current(format!("ReplicaSet is available. Replicas: {replicas}"))))
}

pub(crate) fn stateful_set(object: &Value) -> Assessment {
    if string_or(object, &["spec", "updateStrategy", "type"], "") == "OnDelete" {
        return Assessment::current("StatefulSet is using the ondelete update strategy");
    }
    let wanted = integer_or(object, &["spec", "replicas"], 1);
    let replicas = count(object, "replicas");
    let missing = fewer("LessReplicas", "Replicas", replicas, wanted)
        .or_else(|| fewer("LessReady", "Ready", count(object, "readyReplicas"), wanted))
        .or_else(|| extra(replicas, wanted));
    if let Some(missing) = missing {
        return missing;
    }
    let partition = integer_or(object, &["spec", "updateStrategy", "rollingUpdate", "partition"], -1);
    if partition != -1 {
        let updated = count(object, "updatedReplicas");
        return fewer("PartitionRollout", "updated", updated, wanted.saturating_sub(partition))
            .unwrap_or_else(|| {
                Assessment::current(format!("Partition rollout complete. updated: {updated}"))
            });
    }
    if let Some(missing) = fewer("LessCurrent", "current", count(object, "currentReplicas"), wanted) {
        return missing;
    }
    if string_or(object, &["status", "currentRevision"], "")
        != string_or(object, &["status", "updateRevision"], "")
    {
        return Assessment::in_progress("RevisionMismatch", "Waiting for updated revision to match current");
    }
    Assessment::current(format!("All replicas scheduled as expected. Replicas: {replicas}"))
}

pub(crate) fn daemon_set(object: &Value) -> Result<Assessment, Error> {
    let kind = string_or(object, &["kind"], "");
    // Its controller always writes both, so their absence means that it has not seen the object yet.
    for (path, reason) in [
        (["metadata", "generation"], "NoGeneration"),
        (["status", "observedGeneration"], "NoObservedGeneration"),
    ] {
        let dotted = path.join(".");
        if integer(object, &path).map_err(looking_up(&dotted))?.is_none() {
            return Ok(Assessment::in_progress(reason, format!("{kind} {dotted} not found")));
        }
    }
    let desired = integer_or(object, &["status", "desiredNumberScheduled"], -1);
    if desired == -1 {
        return Ok(Assessment::in_progress("NoDesiredNumber", "Missing .status.desiredNumberScheduled"));
    }
    Ok(fewer("LessCurrent", "Current", count(object, "currentNumberScheduled"), desired)
        .or_else(|| fewer("LessUpdated", "Updated", count(object, "updatedNumberScheduled"), desired))
        .or_else(|| fewer("LessAvailable", "Available", count(object, "numberAvailable"), desired))
        .or_else(|| fewer("LessReady", "Ready", count(object, "numberReady"), desired))
        .unwrap_or_else(|| {
            Assessment::current(format!("All replicas scheduled as expected. Replicas: {desired}"))
        }))
}

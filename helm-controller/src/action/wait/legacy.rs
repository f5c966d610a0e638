//! When objects are ready by the rules of Helm 3: Pods enough, Services with addresses, claims that are bound. Everything
//! else is ready as soon as it is there.

use serde_json::Value;
use sluice_kstatus::Status;

/// Whether an object is ready. Nothing but a Job fails.
pub(super) fn judge(object: &Value) -> (Status, String) {
    let group = object["apiVersion"]
        .as_str()
        .and_then(|version| version.split_once('/'))
        .map_or("", |(group, _)| group);
    let kind = object["kind"].as_str().unwrap_or_default();
    let verdict = match (group, kind) {
        ("", "Pod") => expect(has_condition(object, "Ready", "True"), "the Pod is not ready"),
        ("", "PersistentVolumeClaim") => {
            expect(object["status"]["phase"] == "Bound", "the claim is not bound")
        }
        ("", "Service") => service(object),
        ("", "ReplicationController") | ("apps", "ReplicaSet") => replicas(object),
        ("apps", "Deployment") => deployment(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => expect(
            has_condition(object, "Established", "True") || has_condition(object, "NamesAccepted", "False"),
            "the definition is not established",
        ),
        ("batch", "Job") => return job(object),
        _ => Ok(()),
    };
    match verdict {
        Ok(()) => (Status::Current, String::new()),
        Err(reason) => (Status::InProgress, reason),
    }
}

fn expect(good: bool, otherwise: &str) -> Result<(), String> {
    if good { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn has_condition(object: &Value, type_: &str, status: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == type_ && condition["status"] == status)
}

fn number(object: &Value, pointer: &str, otherwise: i64) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(otherwise)
}

fn observed(object: &Value) -> Result<(), String> {
    let generation = number(object, "/metadata/generation", 0);
    expect(number(object, "/status/observedGeneration", 0) == generation, "the change was not seen yet")
}

/// A number of `of`, or a percentage of it.
fn share(value: Option<&Value>, of: i64, round_up: bool) -> Option<i64> {
    let value = value?;
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let percent: i64 = value.as_str()?.strip_suffix('%')?.parse().ok()?;
    let whole = percent.checked_mul(of)?;
    Some(if round_up { (whole + 99).div_euclid(100) } else { whole.div_euclid(100) })
}

fn service(object: &Value) -> Result<(), String> {
    let spec = &object["spec"];
    if spec["type"] == "ExternalName" {
        return Ok(());
    }
    expect(
        spec["clusterIP"].as_str().is_some_and(|address| !address.is_empty()),
        "the Service has no address",
    )?;
    let some = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    let balanced = spec["type"] != "LoadBalancer"
        || some(&spec["externalIPs"])
        || object["status"]["loadBalancer"]["ingress"].is_array();
    expect(balanced, "the load balancer has no address")
}

/// Pods that are ready are as many as there are to be: Helm asks each Pod.
fn replicas(object: &Value) -> Result<(), String> {
    observed(object)?;
    let (all, ready) = (number(object, "/status/replicas", 0), number(object, "/status/readyReplicas", 0));
    expect(ready >= all, &format!("{ready} of {all} Pods are ready"))
}

fn deployment(object: &Value) -> Result<(), String> {
    observed(object)?;
    let wanted = number(object, "/spec/replicas", 1);
    let strategy = &object["spec"]["strategy"];
    let mut unavailable = 0;
    if strategy["type"] == "RollingUpdate" && wanted > 0 {
        let rolling = &strategy["rollingUpdate"];
        let surge = share(rolling.get("maxSurge"), wanted, true).unwrap_or(0);
        unavailable = share(rolling.get("maxUnavailable"), wanted, false).unwrap_or(0);
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
    }
    let expected = wanted - unavailable.min(wanted);
    // Helm asks the new ReplicaSet. Of the Pods that are ready, no more than all old ones are none of the new.
    let old = number(object, "/status/replicas", 0) - number(object, "/status/updatedReplicas", 0);
    let ready = (number(object, "/status/readyReplicas", 0) - old).max(0);
    expect(ready >= expected, &format!("{ready} of at least {expected} new Pods are ready"))
}

fn daemon_set(object: &Value) -> Result<(), String> {
    observed(object)?;
    let strategy = &object["spec"]["updateStrategy"];
    if strategy["type"] != "RollingUpdate" {
        return Ok(());
    }
    let desired = number(object, "/status/desiredNumberScheduled", 0);
    let updated = number(object, "/status/updatedNumberScheduled", 0);
    expect(updated == desired, &format!("{updated} of {desired} Pods are updated"))?;
    let unavailable =
        share(strategy["rollingUpdate"].get("maxUnavailable"), desired, true).unwrap_or(desired);
    let (ready, expected) = (number(object, "/status/numberReady", 0), desired - unavailable);
    expect(ready >= expected, &format!("{ready} of at least {expected} Pods are ready"))
}

fn stateful_set(object: &Value) -> Result<(), String> {
    observed(object)?;
    if object["spec"]["updateStrategy"]["type"] != "RollingUpdate" {
        return Ok(());
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition", 0);
    let wanted = number(object, "/spec/replicas", 1);
    let updated = number(object, "/status/updatedReplicas", 0);
    expect(updated >= wanted - partition, &format!("{updated} of {} Pods are updated", wanted - partition))?;
    let ready = number(object, "/status/readyReplicas", 0);
    expect(ready == wanted, &format!("{ready} of {wanted} Pods are ready"))?;
    let status = &object["status"];
    expect(
        partition != 0 || status["currentRevision"] == status["updateRevision"],
        "the new revision is not the current one",
    )
}

fn job(object: &Value) -> (Status, String) {
    let failed = number(object, "/status/failed", 0);
    if failed > number(object, "/spec/backoffLimit", 6) {
        return (Status::Failed, "the Job has failed".to_owned());
    }
    let succeeded = number(object, "/status/succeeded", 0);
    match object.pointer("/spec/completions").and_then(Value::as_i64) {
        Some(wanted) if succeeded < wanted => {
            (Status::InProgress, format!("{succeeded} of {wanted} completions"))
        }
        _ => (Status::Current, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(object: Value) -> Status {
        judge(&object).0
    }

    #[test]
    fn a_deployment_needs_new_pods_less_those_that_may_be_missing() {
        let deployment = |rolling: Value, status: Value| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 2},
                   "spec": {"replicas": 4, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}, "status": status})
        };
        let seen = |replicas: i64, updated: i64, ready: i64| json!({"observedGeneration": 2, "replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready});
        let quarter = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
        assert_eq!(status(deployment(quarter.clone(), seen(4, 4, 3))), Status::Current);
        assert_eq!(status(deployment(quarter.clone(), seen(4, 4, 2))), Status::InProgress);
        // Five Pods of which two are old: at most three of the four that are ready are new.
        assert_eq!(
            status(deployment(json!({"maxUnavailable": 0, "maxSurge": 1}), seen(5, 3, 4))),
            Status::InProgress
        );
        assert_eq!(
            status(deployment(json!({"maxUnavailable": 0, "maxSurge": 0}), seen(4, 4, 3))),
            Status::Current
        );
        let mut old = deployment(quarter, seen(4, 4, 4));
        old["status"]["observedGeneration"] = 1.into();
        assert_eq!(status(old), Status::InProgress);
    }

    #[test]
    fn what_has_no_rule_is_ready_and_a_job_can_fail() {
        assert_eq!(status(json!({"apiVersion": "v1", "kind": "ConfigMap"})), Status::Current);
        assert_eq!(
            status(
                json!({"apiVersion": "x.example/v1", "kind": "Y", "status": {"conditions": [{"type": "Ready", "status": "False"}]}})
            ),
            Status::Current
        );
        let job = |status: Value| json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"completions": 2, "backoffLimit": 0}, "status": status});
        assert_eq!(status(job(json!({"succeeded": 1}))), Status::InProgress);
        assert_eq!(status(job(json!({"succeeded": 2}))), Status::Current);
        assert_eq!(status(job(json!({"failed": 1}))), Status::Failed);
        let claim = |phase: &str| json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": phase}});
        assert_eq!((status(claim("Pending")), status(claim("Bound"))), (Status::InProgress, Status::Current));
    }

    #[test]
    fn services_need_addresses_and_sets_their_pods() {
        let service = |spec: Value, status: Value| json!({"apiVersion": "v1", "kind": "Service", "spec": spec, "status": status});
        assert_eq!(status(service(json!({"type": "ExternalName"}), json!({}))), Status::Current);
        assert_eq!(
            status(service(json!({"type": "ClusterIP", "clusterIP": "10.0.0.1"}), json!({}))),
            Status::Current
        );
        assert_eq!(
            status(service(
                json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"}),
                json!({"loadBalancer": {}})
            )),
            Status::InProgress
        );
        let set = |partition: i64, status: Value| {
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 1}, "status": status,
                   "spec": {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}}})
        };
        let seen = json!({"observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": 3, "currentRevision": "a", "updateRevision": "b"});
        assert_eq!(status(set(2, seen.clone())), Status::Current);
        assert_eq!(status(set(0, seen)), Status::InProgress);
        let daemons = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"generation": 1},
            "spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}},
            "status": {"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 2}});
        assert_eq!(status(daemons), Status::Current);
    }
}

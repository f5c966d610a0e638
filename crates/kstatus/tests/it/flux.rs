use serde_json::{Value, json};
use sluice_kstatus::{Status, assess, compute, is_unschedulable};

fn job(spec: Value, status: Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": spec, "status": status})
}

fn status(object: &Value) -> Status {
    assess(object, jiff::Timestamp::UNIX_EPOCH).unwrap().status
}

#[test]
fn a_running_job_is_in_progress_and_a_suspended_one_is_current() {
    let started = json!({"startTime": "2024-01-01T00:00:00Z", "active": 1});
    assert_eq!(status(&job(json!({}), started.clone())), Status::InProgress);
    assert_eq!(status(&job(json!({"suspend": true}), started)), Status::Current);
    let done = |type_: &str| job(json!({}), json!({"conditions": [{"type": type_, "status": "True"}]}));
    assert_eq!(status(&done("Complete")), Status::Current);
    assert_eq!(status(&done("Failed")), Status::Failed);
}

#[test]
fn the_rule_for_jobs_comes_before_the_standard_conditions() {
    let mut stalled = job(json!({}), json!({"conditions": [{"type": "Stalled", "status": "True"}]}));
    assert_eq!(status(&stalled), Status::InProgress);
    stalled["kind"] = "Other".into();
    assert_eq!(status(&stalled), Status::Failed);
}

#[test]
fn a_set_is_as_bad_as_its_worst_member() {
    use Status::{Current, Failed, InProgress, Unknown};
    let aggregate = |statuses: &[Status]| Status::aggregate(statuses.iter().copied(), Current);
    assert_eq!(aggregate(&[]), Current);
    assert_eq!(aggregate(&[Current, Current]), Current);
    assert_eq!(aggregate(&[Current, InProgress]), InProgress);
    assert_eq!(aggregate(&[Current, InProgress, Unknown]), Unknown);
    assert_eq!(aggregate(&[Unknown, Failed]), Failed);
}

#[test]
fn an_unschedulable_pod_is_recognised() {
    let pod = |reason: &str| json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": reason}]}});
    assert!(is_unschedulable(&pod("Unschedulable")));
    assert!(!is_unschedulable(&pod("SchedulingGated")));
    assert!(!is_unschedulable(&json!({"status": 5})));
}

#[test]
fn scalars_instead_of_objects_are_no_panic() {
    for object in [Value::Null, json!(5), json!([]), json!("x")] {
        let _ = compute(&object, jiff::Timestamp::UNIX_EPOCH);
    }
}

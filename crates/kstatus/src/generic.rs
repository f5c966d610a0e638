//! Rules for objects of any kind, and for the kinds with a rule of a few lines.

use crate::field::{Conditions, integer, looking_up, string, string_or};
use crate::{Assessment, Error, Status};
use serde_json::Value;

/// What every object may say about itself: deletion, generation, and the standard conditions.
pub(crate) fn standard(object: &Value) -> Result<Option<Assessment>, Error> {
    let deletion = string(object, &["metadata", "deletionTimestamp"])
        .map_err(looking_up("metadata.deletionTimestamp"))?
        .is_some_and(|time| !time.is_empty());
    if deletion {
        let message = "Resource scheduled for deletion".to_owned();
        return Ok(Some(Assessment { status: Status::Terminating, message, condition: None }));
    }
    let generation =
        integer(object, &["metadata", "generation"]).map_err(looking_up("metadata.generation"))?;
    if let Some(generation) = generation {
        let observed = integer(object, &["status", "observedGeneration"])
            .map_err(looking_up("status.observedGeneration"))?;
        if let Some(observed) = observed
            && observed != generation
        {
            let kind = string_or(object, &["kind"], "");
            return Ok(Some(Assessment::in_progress(
                "LatestGenerationNotObserved",
                format!("{kind} generation is {generation}, but latest observed generation is {observed}"),
            )));
        }
    }
    for condition in Conditions::read(object)?.iter() {
        match (condition.type_, condition.status) {
            ("Reconciling", "True") => {
                return Ok(Some(Assessment::in_progress(condition.reason, condition.message)));
            }
            ("Stalled", "True") => return Ok(Some(Assessment::failed(condition.reason, condition.message))),
            _ => {}
        }
    }
    Ok(None)
}

/// The condition `Ready`, the last resort: absent means current.
pub(crate) fn ready(object: &Value) -> Result<Assessment, Error> {
    for condition in Conditions::read(object)?.iter().filter(|condition| condition.type_ == "Ready") {
        match condition.status {
            "True" => return Ok(Assessment::current("Resource is Ready")),
            "False" | "Unknown" => return Ok(Assessment::in_progress(condition.reason, condition.message)),
            _ => {}
        }
    }
    Ok(Assessment::current("Resource is current"))
}

/// A Service: a load balancer needs a cluster address; the outer address is not waited for.
pub(crate) fn service(object: &Value) -> Assessment {
    let balanced = string_or(object, &["spec", "type"], "ClusterIP") == "LoadBalancer";
    if balanced && string_or(object, &["spec", "clusterIP"], "").is_empty() {
        Assessment::in_progress("NoIPAssigned", "ClusterIP not set. Service type: LoadBalancer")
    } else {
        Assessment::current("Service is ready")
    }
}

pub(crate) fn persistent_volume_claim(object: &Value) -> Assessment {
    match string_or(object, &["status", "phase"], "unknown") {
        "Bound" => Assessment::current("PVC is Bound"),
        phase => Assessment::in_progress("NotBound", format!("PVC is not Bound. phase: {phase}")),
    }
}

/// Conditions are judged in the order of the list.
pub(crate) fn custom_resource_definition(object: &Value) -> Result<Assessment, Error> {
    for condition in Conditions::read(object)?.iter() {
        match (condition.type_, condition.status) {
            ("NamesAccepted", "False") => return Ok(Assessment::failed(condition.reason, condition.message)),
            ("Established", "False") if condition.reason != "Installing" => {
                return Ok(Assessment::failed(condition.reason, condition.message));
            }
            ("Established", "True") => return Ok(Assessment::current("CRD is established")),
            _ => {}
        }
    }
    Ok(Assessment::in_progress("Installing", "Install in progress"))
}

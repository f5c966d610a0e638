//! Waiting for objects by watching them.

use std::ops::ControlFlow;

use anyhow::{Context, Result, anyhow, bail};
use futures::StreamExt;
use jiff::Timestamp;
use kube::api::{Api, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watch_object};
use sluice_api::meta::{DEPENDENCY_NOT_READY_REASON, PROGRESSING_WITH_RETRY_REASON};
use sluice_kstatus::{Assessment, Status};

use crate::app::App;
use crate::commands::reconcile::source_of;
use crate::failure;
use crate::kinds::Kind;
use crate::object::Object;

/// The state of an object by its status.
pub(crate) fn assess(object: &Object) -> Result<Assessment> {
    Ok(sluice_kstatus::compute(&object.0, Timestamp::now())?)
}

/// Watches one object until `seen` breaks with a value. `seen` gets nothing where there is no object; what it continues
/// with is shown as the state of the matter and told when the time is over.
pub(crate) async fn watch<T>(
    app: &App,
    api: Api<DynamicObject>,
    name: &str,
    mut seen: impl FnMut(Option<DynamicObject>) -> Result<ControlFlow<T, String>>,
    mut show: impl FnMut(&str),
) -> Result<T> {
    let mut states = std::pin::pin!(watch_object(api, name).default_backoff());
    let mut last = String::from("nothing was heard of it");
    let work = async {
        while let Some(state) = states.next().await {
            match state {
                Ok(object) => match seen(object)? {
                    ControlFlow::Break(value) => return Ok(value),
                    ControlFlow::Continue(state) => last = state,
                },
                Err(error) if is_final(&error) => return Err(error.into()),
                Err(error) => last = failure::text(&error.into()),
            }
            show(&last);
        }
        bail!("the API server ended the watch")
    };
    match tokio::time::timeout_at(app.deadline, work).await {
        Ok(result) => result,
        Err(_) => {
            Err(anyhow!("timed out after {}: {last}", sluice_duration::format_std(app.globals.timeout)))
        }
    }
}

/// Whether asking again is of no use.
pub(crate) fn is_final(error: &watcher::Error) -> bool {
    matches!(failure::of_watch(error), Some(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404))
}

/// Waits until an object has seen to a request that came after `handled`, and is what its spec says.
pub(crate) async fn reconciled(
    app: &App,
    kind: &Kind,
    namespace: &str,
    name: &str,
    handled: &str,
    show: impl FnMut(&str),
) -> Result<Object> {
    let api = app.cluster().await?.api(kind, Some(namespace));
    let seen = |object: Option<DynamicObject>| {
        let Some(object) = object else { bail!("{} {name} was deleted", kind.kind) };
        let object = Object::from_server(object, kind);
        if object.last_handled() == handled {
            return Ok(ControlFlow::Continue(waiting_for_controller(&object)));
        }
        let assessment = assess(&object)?;
        Ok(match assessment.status {
            Status::Current => ControlFlow::Break(object),
            Status::InProgress if has_failed(&object) => ControlFlow::Break(object),
            Status::InProgress => ControlFlow::Continue(told(&object, &assessment)),
            _ => bail!("{}", assessment.message),
        })
    };
    watch(app, api, name, seen, show).await
}

/// What a wait makes of an attempt that failed and will be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It is the answer.
    FirstAttempt,
    /// The next one may succeed.
    UntilReady,
}

/// Waits until an object was seen by its controller in its present form and is ready.
pub(crate) async fn ready(
    app: &App,
    kind: &Kind,
    namespace: &str,
    name: &str,
    patience: Patience,
    mut show: impl FnMut(&str),
) -> Result<Object> {
    let api = app.cluster().await?.api(kind, Some(namespace));
    // A chart that is new is made at once with the release: whether it fails is seen at the chart.
    let mut source_is_fine = false;
    loop {
        let seen = |object: Option<DynamicObject>| {
            let Some(object) = object else { bail!("{} {name} was deleted", kind.kind) };
            let object = Object::from_server(object, kind);
            if patience == Patience::FirstAttempt && has_failed(&object) {
                let ready = object.ready();
                let message = ready.as_ref().map_or("it failed", |ready| ready.message).to_owned();
                match ready.is_some_and(|ready| ready.reason == SOURCE_NOT_READY) {
                    true if source_is_fine => return Ok(ControlFlow::Continue(message)),
                    true => return Ok(ControlFlow::Break(object)),
                    false => bail!("{message}"),
                }
            }
            let assessment = assess(&object).with_context(|| format!("{} {name}", kind.kind))?;
            if !kind.is_static(&object) && !was_observed(&object) {
                return Ok(ControlFlow::Continue(waiting_for_controller(&object)));
            }
            Ok(match assessment.status {
                Status::Current => ControlFlow::Break(object),
                Status::InProgress => ControlFlow::Continue(told(&object, &assessment)),
                _ => bail!("{}", assessment.message),
            })
        };
        let object = watch(app, api.clone(), name, seen, &mut show).await?;
        if patience == Patience::UntilReady || !has_failed(&object) {
            return Ok(object);
        }
        source_ready(app, kind, &object, &mut show).await?;
        source_is_fine = true;
    }
}

/// What a HelmRelease says while its chart is made, and when it cannot be.
const SOURCE_NOT_READY: &str = "SourceNotReady";

/// Waits until what an object comes from is ready, or has failed.
async fn source_ready(app: &App, kind: &Kind, object: &Object, show: impl FnMut(&str)) -> Result<()> {
    let (source, namespace, name) = source_of(kind, object)?;
    let api = app.cluster().await?.api(source, Some(&namespace));
    let seen = |found: Option<DynamicObject>| {
        let Some(found) = found else { bail!("{} '{namespace}/{name}' is not there", source.kind) };
        let found = Object::from_server(found, source);
        let failed = |why: &str| anyhow!("{} '{namespace}/{name}' is not ready: {why}", source.kind);
        if has_failed(&found) {
            return Err(failed(found.ready().map_or("it failed", |ready| ready.message)));
        }
        let assessment = assess(&found)?;
        if !source.is_static(&found) && !was_observed(&found) {
            return Ok(ControlFlow::Continue(waiting_for_controller(&found)));
        }
        match assessment.status {
            Status::Current => Ok(ControlFlow::Break(())),
            Status::InProgress => Ok(ControlFlow::Continue(told(&found, &assessment))),
            _ => Err(failed(&assessment.message)),
        }
    };
    watch(app, api, &name, seen, show).await
}

/// Whether the status speaks of the present spec.
pub(crate) fn was_observed(object: &Object) -> bool {
    let observed = object.number("/status/observedGeneration").unwrap_or_default();
    let Some(ready) = object.ready() else { return false };
    observed >= 1 && ready.observed_generation.unwrap_or(observed) == object.generation()
}

/// Whether the present spec was tried, and the attempt ended in a failure. The controller will try again; who asked
/// for this attempt wants to know now. A dependency that is not ready yet is no failure.
fn has_failed(object: &Object) -> bool {
    let Some(ready) = object.ready() else { return false };
    let observed = ready.observed_generation.or_else(|| object.number("/status/observedGeneration"));
    let ended = object
        .condition("Reconciling")
        .is_none_or(|condition| condition.reason == PROGRESSING_WITH_RETRY_REASON);
    ready.status == "False"
        && ready.reason != DEPENDENCY_NOT_READY_REASON
        && observed == Some(object.generation())
        && ended
}

fn waiting_for_controller(object: &Object) -> String {
    if let Some(ready) = object.ready().filter(|ready| ready.observed_generation == Some(object.generation()))
    {
        return ready.message.to_owned();
    }
    format!("{} {}/{} waits for its controller", object.kind(), object.namespace(), object.name())
}

/// What is known of an object on its way.
fn told(object: &Object, assessment: &Assessment) -> String {
    match object.condition("Reconciling").or_else(|| object.ready()) {
        Some(condition) if !condition.message.is_empty() => condition.message.to_owned(),
        _ => assessment.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_failed_attempt_is_told_from_one_under_way() {
        let object = |ready: &str, reason: &str, reconciling: Option<&str>| {
            let mut conditions =
                vec![json!({"type": "Ready", "status": ready, "reason": reason, "observedGeneration": 2})];
            conditions.extend(
                reconciling.map(|reason| json!({"type": "Reconciling", "status": "True", "reason": reason})),
            );
            Object(
                json!({"metadata": {"generation": 2}, "status": {"observedGeneration": -1, "conditions": conditions}}),
            )
        };
        assert!(has_failed(&object("False", "BuildFailed", Some("ProgressingWithRetry"))));
        assert!(has_failed(&object("False", "BuildFailed", None)));
        assert!(!has_failed(&object("False", "BuildFailed", Some("Progressing"))));
        assert!(!has_failed(&object("False", "DependencyNotReady", Some("ProgressingWithRetry"))));
        assert!(!has_failed(&object("Unknown", "Progressing", Some("ProgressingWithRetry"))));
    }

    #[test]
    fn a_status_counts_for_its_generation_only() {
        let object = |generation: i64, observed: i64, of_condition: Option<i64>| {
            let mut ready = json!({"type": "Ready", "status": "True"});
            if let Some(of_condition) = of_condition {
                ready["observedGeneration"] = of_condition.into();
            }
            Object(
                json!({"metadata": {"generation": generation}, "status": {"observedGeneration": observed, "conditions": [ready]}}),
            )
        };
        assert!(was_observed(&object(2, 2, None)));
        assert!(!was_observed(&object(2, 1, None)));
        assert!(was_observed(&object(2, 1, Some(2))));
        assert!(!was_observed(&object(2, 2, Some(1))));
        assert!(!was_observed(&Object(
            json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1}})
        )));
        assert!(!was_observed(&object(0, -1, Some(0))));
    }
}

//! Drift: whether the objects in the cluster are as the release made them, and putting them right.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};
use sluice_api::meta::ConditionStatus;
use sluice_helm::release::Release;
use sluice_releases::{Item, parse, resolve};
use sluice_runtime::Severity;
use sluice_runtime::apply::{IgnoreRules, Object, Requests, Takeover};

use super::release::{Request, tell as tell_event};
use super::run::Run;
use super::{Context, reason};
use crate::action::{FIELD_MANAGER, Session};

/// Label or annotation that leaves an object out: `disabled`.
const SWITCH: &str = "helm.toolkit.fluxcd.io/driftDetection";
/// How many objects are compared at once.
const CONCURRENCY: usize = 4;

/// How an object differs.
#[derive(Clone, Debug)]
enum Difference {
    Missing,
    Excluded,
    /// What an apply would make of it, as operations on what is there.
    Changed(Vec<Value>),
}

/// The objects that are not as they should be.
#[derive(Debug, Default)]
pub(crate) struct Drift(Vec<(Item, Difference)>);

impl Drift {
    /// Whether there is any. Objects that are left out do not count.
    pub(crate) fn is_any(&self) -> bool {
        self.0.iter().any(|(_, difference)| !matches!(difference, Difference::Excluded))
    }

    /// One line for each object.
    fn lines(&self) -> String {
        let line = |(item, difference): &(Item, Difference)| {
            let id = &item.id;
            match difference {
                Difference::Missing => format!("{id} removed"),
                Difference::Excluded => format!("{id} excluded"),
                Difference::Changed(operations) => {
                    let count =
                        |name: &str| operations.iter().filter(|operation| operation["op"] == name).count();
                    let (added, removed) = (count("add"), count("remove"));
                    let changed = count("replace");
                    format!("{id} changed ({added} additions, {changed} changes, {removed} removals)")
                }
            }
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// An object, and how it differs if it does.
type Look = (Item, Result<Option<Difference>, String>);

/// Compares the objects of a recorded release with the cluster.
pub(crate) async fn detect(
    context: &Arc<Context>,
    run: &Run,
    request: &Request,
    session: &Session<'_>,
    release: &Release,
) -> Result<Drift, String> {
    let detection = run.object.spec.drift_detection.clone().unwrap_or_default();
    let ignored = IgnoreRules::compile(&detection.ignore).map_err(|error| error.to_string())?;
    let objects = parse(&release.manifest).map_err(|error| error.to_string())?;
    let items = resolve(&request.identity.cluster, objects, &release.namespace)
        .await
        .map_err(|error| error.to_string())?;
    let looks: Vec<BoxFuture<'_, Look>> = items
        .into_iter()
        .map(|mut item| {
            item.own(&release.name, &release.namespace);
            let (ignored, takeover) = (&ignored, &context.settings.takeover);
            async move {
                let difference = compare(session, &item, ignored, takeover).await;
                (item, difference)
            }
            .boxed()
        })
        .collect();
    let mut drift = Drift::default();
    let mut errors = Vec::new();
    let mut looks = stream::iter(looks).buffered(CONCURRENCY);
    while let Some((item, difference)) = looks.next().await {
        match difference {
            Ok(None) => {}
            Ok(Some(difference)) => drift.0.push((item, difference)),
            Err(error) => errors.push(format!("{}: {}", item.id, without_values(&item, &error))),
        }
    }
    if errors.is_empty() || drift.is_any() {
        for error in &errors {
            tracing::error!(error, "cannot compare an object with the release");
        }
        return Ok(drift);
    }
    Err(request.redaction.apply(format!("unable to determine cluster state: {}", errors.join("; "))))
}

/// What the server says of an invalid Secret may hold its data.
fn without_values(item: &Item, error: &str) -> String {
    if item.object.is_secret() && error.contains("nvalid") {
        return error.rsplit_once(':').map_or(error, |(before, _)| before).to_owned();
    }
    error.to_owned()
}

async fn compare(
    session: &Session<'_>,
    item: &Item,
    ignored: &IgnoreRules,
    takeover: &Takeover,
) -> Result<Option<Difference>, String> {
    let requests = Requests { client: session.client, field_manager: FIELD_MANAGER };
    if item.object.is_marked(SWITCH, "disabled") {
        return Ok(Some(Difference::Excluded));
    }
    let found = requests.find(&item.resource, item.object.namespace(), item.object.name()).await;
    let Some(mut live) = found.map_err(|error| error.to_string())? else {
        return Ok(Some(Difference::Missing));
    };
    if live.is_marked(SWITCH, "disabled") || ignored.ignores_all(&live) {
        return Ok(Some(Difference::Excluded));
    }
    let operations = takeover.fields_patch(&live);
    if !operations.is_empty() {
        live = requests
            .json_patch(&item.resource, &live, &operations)
            .await
            .map_err(|error| format!("cannot take over fields: {error}"))?;
    }
    let params = PatchParams { dry_run: true, force: true, ..PatchParams::default() };
    let body = Patch::Apply(Value::Object(item.object.fields().clone()));
    let answer = requests.patch(&item.resource, &item.object, params, &body).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let (before, after) = (ignored.without_ignored(&live, &live), ignored.without_ignored(&live, &answer));
    let operations = differences(&before, &after);
    Ok((!operations.is_empty()).then_some(Difference::Changed(operations)))
}

/// The operations that make of a live object what an apply would: labels and annotations that it lacks, and all else but
/// the rest of the metadata and the status.
fn differences(live: &Object, wanted: &Object) -> Vec<Value> {
    let mut operations = Vec::new();
    for field in ["labels", "annotations"] {
        let empty = Map::new();
        let tags = |object: &Object| object.metadata(field).and_then(Value::as_object).cloned();
        let before = tags(live);
        let wanted = tags(wanted).unwrap_or_default();
        if before.is_none() && !wanted.is_empty() {
            operations.push(json!({"op": "add", "path": format!("/metadata/{field}"), "value": {}}));
        }
        let before = before.as_ref().unwrap_or(&empty);
        for (key, value) in &wanted {
            let path = format!("/metadata/{field}/{}", escaped(key));
            match before.get(key) {
                None => operations.push(json!({"op": "add", "path": path, "value": value})),
                Some(known) if known != value => {
                    operations.push(json!({"op": "replace", "path": path, "value": value}));
                }
                Some(_) => {}
            }
        }
    }
    let part = |object: &Object| {
        let fields = object.fields().iter().filter(|(key, _)| !matches!(key.as_str(), "metadata" | "status"));
        fields.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>()
    };
    maps("", &part(live), &part(wanted), &mut operations);
    operations
}

fn maps(path: &str, live: &Map<String, Value>, wanted: &Map<String, Value>, operations: &mut Vec<Value>) {
    for (key, value) in wanted {
        let path = format!("{path}/{}", escaped(key));
        match live.get(key) {
            None if is_void(value) => {}
            None => operations.push(json!({"op": "add", "path": path, "value": value})),
            Some(known) => values(&path, known, value, operations),
        }
    }
    for (key, value) in live.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        if !is_void(value) {
            operations.push(json!({"op": "remove", "path": format!("{path}/{}", escaped(key))}));
        }
    }
}

fn values(path: &str, live: &Value, wanted: &Value, operations: &mut Vec<Value>) {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => maps(path, live, wanted, operations),
        (Value::Array(live), Value::Array(wanted)) if live.len() == wanted.len() => {
            for (at, (live, wanted)) in live.iter().zip(wanted).enumerate() {
                values(&format!("{path}/{at}"), live, wanted, operations);
            }
        }
        (Value::Number(live), Value::Number(wanted)) if live.as_f64() == wanted.as_f64() => {}
        (live, wanted) if live == wanted || is_void(live) && is_void(wanted) => {}
        (_, wanted) => operations.push(json!({"op": "replace", "path": path, "value": wanted})),
    }
}

fn is_void(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Tells of drift.
pub(crate) fn tell(context: &Context, run: &mut Run, request: &Request, drift: &Drift) {
    let Some(release) = run.status.history.first().map(sluice_api::helm::Snapshot::full_release_name) else {
        return;
    };
    let message =
        format!("Cluster state of release {release} has drifted from the desired state:\n{}", drift.lines());
    let message = request.redaction.apply(message);
    let known = sluice_runtime::conditions::find(&run.status.conditions, reason::DRIFTED);
    let is_news = known.is_none_or(|known| known.message != message || known.status != ConditionStatus::True);
    run.set(reason::DRIFTED, ConditionStatus::True, reason::DRIFT_DETECTED, message.clone());
    // The same drift is told once, however often it is looked at.
    if is_news {
        tell_event(context, run, Severity::Error, reason::DRIFT_DETECTED, message, BTreeMap::new());
    }
}

/// Puts the objects right. What does not work is told; the next look finds it again.
pub(crate) async fn correct(
    context: &Context,
    run: &mut Run,
    request: &Request,
    session: &Session<'_>,
    drift: &Drift,
) {
    let requests = Requests { client: session.client, field_manager: FIELD_MANAGER };
    let (mut done, mut errors) = (Vec::new(), Vec::new());
    for (item, difference) in &drift.0 {
        let outcome = match difference {
            Difference::Excluded => continue,
            Difference::Missing => {
                let params = PatchParams { force: true, ..PatchParams::default() };
                let body = Patch::Apply(Value::Object(item.object.fields().clone()));
                requests.patch(&item.resource, &item.object, params, &body).await.map(|_| "created")
            }
            Difference::Changed(operations) => {
                requests.json_patch(&item.resource, &item.object, operations).await.map(|_| "patched")
            }
        };
        match outcome {
            Ok(what) => done.push(format!("{} {what}", item.id)),
            Err(error) => {
                errors.push(format!("{}: {}", item.id, without_values(item, &error.to_string())));
            }
        }
    }
    let release =
        run.status.history.first().map(sluice_api::helm::Snapshot::full_release_name).unwrap_or_default();
    let (done, errors) = (done.join("\n"), errors.join("\n"));
    if errors.is_empty() {
        let message = format!("Cluster state of release {release} has been corrected:\n{done}");
        tell_event(context, run, Severity::Info, reason::DRIFT_CORRECTED, message, BTreeMap::new());
        return;
    }
    let mut message = if done.is_empty() {
        format!("Failed to correct cluster state of release {release}:\n{errors}")
    } else {
        format!(
            "Failed to partially correct cluster state of release {release}:\n{errors}\n\nSuccessful corrections:\n{done}"
        )
    };
    message = request.redaction.apply(message);
    tell_event(context, run, Severity::Error, reason::DRIFT_CORRECTION_FAILED, message, BTreeMap::new());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_object::object;

    #[test]
    fn labels_are_added_fields_also_removed_and_status_does_not_count() {
        let live = object(json!({
            "metadata": {"labels": {"theirs": "1"}, "generation": 4},
            "spec": {"a": 1, "b": [1, 2], "gone": "x", "same": 1.0}, "status": {"x": 1},
        }));
        let wanted = object(json!({
            "metadata": {"labels": {"a/b": "1"}},
            "spec": {"a": 2, "b": [1, 3], "new": {}, "added": true, "same": 1},
        }));
        assert_eq!(
            differences(&live, &wanted),
            [
                json!({"op": "add", "path": "/metadata/labels/a~1b", "value": "1"}),
                json!({"op": "replace", "path": "/spec/a", "value": 2}),
                json!({"op": "add", "path": "/spec/added", "value": true}),
                json!({"op": "replace", "path": "/spec/b/1", "value": 3}),
                json!({"op": "remove", "path": "/spec/gone"}),
            ]
        );
        assert!(differences(&live, &live).is_empty());
    }
}

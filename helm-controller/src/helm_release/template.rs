//! The HelmChart that `spec.chart` is a template for.

use std::collections::BTreeMap;

use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_api::helm::{HelmChartTemplate, HelmRelease};
use sluice_api::source::HelmChart;
use sluice_releases::{NAME_LABEL, NAMESPACE_LABEL};
use sluice_runtime::{Failure, ObjectKey, Retry, Severity, errors};

use super::run::Run;
use super::{Context, reason};
use crate::action::FIELD_MANAGER;

/// The HelmChart of a template: named after the HelmRelease, in the namespace of its source.
pub(crate) fn key(object: &HelmRelease) -> Option<ObjectKey> {
    let chart = object.spec.chart.as_ref()?;
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    Some(ObjectKey::new(chart.spec.source_ref.namespace_or(own), format!("{own}-{name}")))
}

/// Brings the HelmChart to what the template says, and removes one that is not wanted any more.
pub(crate) async fn reconcile(context: &Context, run: &mut Run) -> Result<(), Failure> {
    let wanted = key(&run.object);
    let own = run.object.metadata.namespace.clone().unwrap_or_default();
    let known = recorded(&run.status.helm_chart);
    if let Some(old) = known
        && wanted.as_ref() != Some(&old)
    {
        delete(context, run, &old).await?;
    }
    let (Some(key), Some(template)) = (wanted, run.object.spec.chart.clone()) else { return Ok(()) };
    if context.settings.no_cross_namespace_refs && key.namespace != own {
        let source = &template.spec.source_ref;
        let message = format!(
            "cross-namespace references are not allowed: cannot access {} {}/{}",
            source.kind, key.namespace, source.name
        );
        // The reference is silent here; who wrote the object would look in vain for a reason.
        return Err(Failure::terminal(reason::ACCESS_DENIED, message).observed());
    }
    let object = helm_chart(&run.object, &template, &key);
    let api = Api::<HelmChart>::namespaced(context.manager.client.clone(), &key.namespace);
    let before = context.sources.chart(&key);
    if before.as_ref().is_some_and(|before| is_as_wanted(before, &object))
        && run.status.helm_chart == key.to_string()
    {
        return Ok(());
    }
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written = api.patch(&key.name, &params, &Patch::Apply(&object)).await.map_err(|error| {
        let message = format!("failed to run server-side apply: {}", errors::describe(&error));
        run.event(context, Severity::Trace, "HelmChartSyncErr", message.clone(), BTreeMap::new());
        Failure::quiet("", message, Retry::Backoff)
    })?;
    let (reason, word) = match &before {
        None => ("HelmChartCreated", "Created"),
        Some(before) if before.metadata.generation != written.metadata.generation => {
            ("HelmChartConfigured", "Configured")
        }
        Some(_) => ("", ""),
    };
    if !reason.is_empty() {
        let source = &template.spec.source_ref;
        let message = format!(
            "{word} HelmChart/{key} with SourceRef '{}/{}/{}'",
            source.kind, key.namespace, source.name
        );
        run.event(context, Severity::Trace, reason, message, BTreeMap::new());
    }
    run.status.helm_chart = key.to_string();
    Ok(())
}

/// Deletes the HelmChart that the status names.
pub(crate) async fn remove(context: &Context, run: &mut Run) -> Result<(), Failure> {
    match recorded(&run.status.helm_chart) {
        Some(key) => delete(context, run, &key).await,
        None => Ok(()),
    }
}

fn recorded(text: &str) -> Option<ObjectKey> {
    let (namespace, name) = text.split_once('/')?;
    Some(ObjectKey::new(namespace, name))
}

async fn delete(context: &Context, run: &mut Run, key: &ObjectKey) -> Result<(), Failure> {
    let own = run.object.metadata.namespace.as_deref().unwrap_or_default();
    if !(context.settings.no_cross_namespace_refs && key.namespace != own) {
        let api = Api::<HelmChart>::namespaced(context.manager.client.clone(), &key.namespace);
        match api.delete(&key.name, &DeleteParams::default()).await {
            Ok(_) => {
                let message = format!("deleted HelmChart '{key}'");
                run.event(context, Severity::Trace, "HelmChartDeleted", message, BTreeMap::new());
            }
            Err(error) if errors::is_not_found(&error) => {}
            Err(error) => {
                let message = format!("failed to delete HelmChart '{key}': {}", errors::describe(&error));
                return Err(Failure::quiet("", message, Retry::Backoff));
            }
        }
    }
    run.status.helm_chart.clear();
    Ok(())
}

/// The object to apply.
fn helm_chart(owner: &HelmRelease, template: &HelmChartTemplate, key: &ObjectKey) -> Value {
    let spec = &template.spec;
    let metadata = template.metadata.clone().unwrap_or_default();
    let mut labels = metadata.labels;
    for (label, value) in [(NAME_LABEL, &owner.metadata.name), (NAMESPACE_LABEL, &owner.metadata.namespace)] {
        labels.insert(label.to_owned(), value.clone().unwrap_or_default());
    }
    let mut object = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels},
        "spec": {
            "chart": spec.chart,
            "version": if spec.version.is_empty() { "*" } else { &spec.version },
            "sourceRef": {"kind": spec.source_ref.kind, "name": spec.source_ref.name},
            "interval": spec.interval.unwrap_or(owner.spec.interval),
            "reconcileStrategy": spec.reconcile_strategy.unwrap_or_default(),
        },
    });
    if !metadata.annotations.is_empty() {
        object["metadata"]["annotations"] = json!(metadata.annotations);
    }
    let old = Some(spec.values_file.clone()).filter(|file| !file.is_empty());
    let values_files: Vec<String> = old.into_iter().chain(spec.values_files.iter().cloned()).collect();
    if !values_files.is_empty() {
        object["spec"]["valuesFiles"] = json!(values_files);
    }
    if spec.ignore_missing_values_files {
        object["spec"]["ignoreMissingValuesFiles"] = true.into();
    }
    if let Some(verify) = &spec.verify {
        object["spec"]["verify"] = json!(verify);
    }
    object
}

/// Whether a live HelmChart has all that is wanted, so that nothing need be written.
fn is_as_wanted(live: &HelmChart, wanted: &Value) -> bool {
    let has = |field: &str, tags: &Option<BTreeMap<String, String>>| {
        let tag = |key: &str| tags.as_ref().and_then(|tags| tags.get(key)).map(String::as_str);
        let wanted = wanted["metadata"][field].as_object();
        wanted.into_iter().flatten().all(|(key, value)| tag(key) == value.as_str())
    };
    has("labels", &live.metadata.labels)
        && has("annotations", &live.metadata.annotations)
        && json!(live.spec) == wanted["spec"]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(chart: Value) -> HelmRelease {
        serde_json::from_value(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": "team"},
            "spec": {"interval": "5m", "chart": chart},
        }))
        .unwrap()
    }

    #[test]
    fn the_chart_is_named_after_both_and_lies_beside_its_source() {
        let object = release(json!({"spec": {
            "chart": "podinfo", "version": "6.x", "valuesFile": "a.yaml", "valuesFiles": ["b.yaml"],
            "sourceRef": {"kind": "HelmRepository", "name": "repo", "namespace": "sources"},
        }}));
        let key = key(&object).unwrap();
        assert_eq!(key.to_string(), "sources/team-app");
        let chart = helm_chart(&object, object.spec.chart.as_ref().unwrap(), &key);
        assert_eq!(
            chart["spec"],
            json!({
                "chart": "podinfo", "version": "6.x", "interval": "5m0s", "reconcileStrategy": "ChartVersion",
                "sourceRef": {"kind": "HelmRepository", "name": "repo"}, "valuesFiles": ["a.yaml", "b.yaml"],
            })
        );
        assert_eq!(
            chart["metadata"]["labels"],
            json!({
                "helm.toolkit.fluxcd.io/name": "app", "helm.toolkit.fluxcd.io/namespace": "team",
            })
        );
    }
}

//! The manifests of an installation: the chart that is part of this program, rendered.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use sluice_gotemplate::SystemHost;
use sluice_helm::chart::{File, load_files};
use sluice_helm::template::render_chart;
use sluice_helm::values::set_typed;
use sluice_helm::{TemplateOptions, Values};

use crate::documents;

/// The chart's files by their names.
static CHART: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/chart.rs"));

/// The name of the release; labels do not depend on it.
const RELEASE: &str = "sluice";
/// Labels that only make sense for an installation by helm.
const HELM_LABELS: [&str; 2] = ["app.kubernetes.io/managed-by", "helm.sh/chart"];

/// Adds settings, each as `key=value`, to the chart's values.
pub(crate) fn with_settings(mut values: Values, settings: &[String]) -> Result<Values> {
    for setting in settings {
        set_typed(setting, &mut values).with_context(|| format!("--set {setting} cannot be read"))?;
    }
    Ok(values)
}

/// The objects of an installation in the order of their application.
pub(crate) fn render(namespace: &str, values: &Values) -> Result<Vec<Value>> {
    let files = CHART.iter().map(|(name, data)| File::new(*name, *data)).collect();
    let mut chart = load_files(files).context("the chart of this program cannot be read")?;
    let options = TemplateOptions {
        release_name: RELEASE.into(),
        namespace: namespace.into(),
        include_crds: true,
        no_hooks: true,
        ..TemplateOptions::default()
    };
    let version = chart.metadata.app_version.clone();
    let rendered = render_chart(&mut chart, values, &options, &mut SystemHost, None)?;
    let mut objects = documents::read_all(&rendered.text(&options)?)?;
    let made = |object: &Value| object["kind"] == "Namespace" && object["metadata"]["name"] == namespace;
    if !objects.iter().any(made) {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/warn": "restricted",
                         "pod-security.kubernetes.io/warn-version": "latest"}},
        }));
    }
    for object in &mut objects {
        label(object, namespace, &version);
    }
    // Definitions and the namespace come first.
    objects.sort_by_key(|object| !is_first(object));
    Ok(objects)
}

/// The definitions of the chart.
pub(crate) fn definitions() -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for (_, content) in CHART.iter().filter(|(name, _)| name.starts_with("crds/")) {
        found.extend(documents::read_all(std::str::from_utf8(content).context("a definition is no text")?)?);
    }
    Ok(found)
}

/// Whether an object must be there before the others.
pub(crate) fn is_first(object: &Value) -> bool {
    matches!(object["kind"].as_str(), Some("Namespace" | "CustomResourceDefinition"))
}

/// The labels by which an installation is found again.
fn label(object: &mut Value, namespace: &str, version: &str) {
    let component = match object.pointer("/spec/group").and_then(Value::as_str) {
        Some("source.toolkit.fluxcd.io" | "source.extensions.fluxcd.io") => Some("source-controller"),
        Some("kustomize.toolkit.fluxcd.io") => Some("kustomize-controller"),
        Some("helm.toolkit.fluxcd.io") => Some("helm-controller"),
        Some("notification.toolkit.fluxcd.io") => Some("notification-controller"),
        Some("image.toolkit.fluxcd.io") => Some("image-controller"),
        _ => None,
    };
    let labels = &mut object["metadata"]["labels"];
    if !labels.is_object() {
        *labels = Value::Object(Map::new());
    }
    for label in HELM_LABELS {
        if let Some(labels) = labels.as_object_mut() {
            labels.remove(label);
        }
    }
    labels["app.kubernetes.io/instance"] = namespace.into();
    labels["app.kubernetes.io/part-of"] = "flux".into();
    labels["app.kubernetes.io/version"] = format!("v{}", version.trim_start_matches('v')).into();
    if let Some(component) = component {
        labels["app.kubernetes.io/component"] = component.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_has_definitions_first_and_labels_everywhere() {
        let objects = render("gitops", &Values::new()).unwrap();
        let first = objects.iter().position(|object| !is_first(object)).unwrap();
        assert!(objects[first..].iter().all(|object| !is_first(object)));
        assert!(objects.iter().any(
            |object| object["kind"] == "Deployment" && object["metadata"]["name"] == "source-controller"
        ));
        for object in &objects {
            let labels = &object["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/part-of"], "flux", "{object}");
            assert_eq!(labels["app.kubernetes.io/instance"], "gitops");
            assert!(labels.get("helm.sh/chart").is_none());
        }
        let crd = objects
            .iter()
            .find(|object| object["metadata"]["name"] == crate::kinds::KUSTOMIZATION.crd())
            .unwrap();
        assert_eq!(crd["metadata"]["labels"]["app.kubernetes.io/component"], "kustomize-controller");
    }
}

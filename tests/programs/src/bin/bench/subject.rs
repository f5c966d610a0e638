//! What is measured: Kustomizations, or HelmReleases with a chart from the same Git repository.

use crate::objects::{name, three, upgraded};
use crate::{HELM, KUSTOMIZE};
use anyhow::Result;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_programs::flux;
use sluice_tests::{Repository, condition};

/// What many objects of are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Kustomizations,
    HelmReleases,
}

impl Subject {
    pub(crate) fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Kustomizations => (KUSTOMIZE, "Kustomization"),
            Self::HelmReleases => (HELM, "HelmRelease"),
        }
    }

    /// The controller, and its name in the report.
    pub(crate) fn controller(self) -> (&'static str, &'static str) {
        match self {
            Self::Kustomizations => ("kustomize-controller", "kustomize"),
            Self::HelmReleases => ("helm-controller", "helm"),
        }
    }

    /// What Flux's figures call it.
    pub(crate) fn kind_of_flux(self) -> flux::Kind {
        match self {
            Self::Kustomizations => flux::Kind::Kustomizations,
            Self::HelmReleases => flux::Kind::HelmReleases,
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Kustomizations => "Kustomizations of a Deployment, a Service and a ConfigMap, wait: true",
            Self::HelmReleases => {
                "HelmReleases of a Deployment, a Service and a ConfigMap, each with a HelmChart from Git"
            }
        }
    }

    /// Writes what a version consists of.
    pub(crate) fn write(self, repository: &Repository, version: &str) -> Result<()> {
        match self {
            Self::Kustomizations => crate::objects::write(repository, version),
            Self::HelmReleases => write_chart(repository, version),
        }
    }

    /// The objects of the install.
    pub(crate) fn objects(self, count: usize) -> Vec<String> {
        match self {
            Self::Kustomizations => crate::objects::kustomizations(count).collect(),
            Self::HelmReleases => (0..count).map(helm_release).collect(),
        }
    }

    /// Whether an object is ready with what a commit made of a version.
    pub(crate) fn is_done(self, object: &DynamicObject, commit: &str, version: &str) -> bool {
        match self {
            Self::Kustomizations => upgraded(object, commit),
            Self::HelmReleases => {
                let newest = &object.data["status"]["history"][0];
                newest["chartVersion"] == version
                    && newest["status"] == "deployed"
                    && condition(object, "Ready") == Some("True")
                    && condition(object, "Reconciling").is_none()
            }
        }
    }
}

fn write_chart(repository: &Repository, version: &str) -> Result<()> {
    let metadata = format!("apiVersion: v2\nname: app\nversion: {version}\nappVersion: {version}\n");
    repository.write("charts/app/Chart.yaml", metadata)?;
    repository.write("charts/app/values.yaml", "replicas: 1\nannotations: {}\nlabels: {tier: web}\n")?;
    repository.write(
        "charts/app/templates/_helpers.tpl",
        "{{- define \"app.labels\" -}}\nhelm.sh/chart: {{ printf \"%s-%s\" .Chart.Name .Chart.Version | replace \"+\" \"_\" }}\n\
         app.kubernetes.io/instance: {{ .Release.Name }}\n{{- with .Values.labels }}\n{{ toYaml . }}\n{{- end }}\n{{- end }}\n",
    )?;
    for (file, mut object) in ["deployment", "service", "configmap"].into_iter().zip(three(version)) {
        object["metadata"]["labels"] = json!("LABELS");
        let labels = "{{- include \"app.labels\" . | nindent 4 }}";
        let text = yaml(&object, 0).replace("labels: \"LABELS\"", &format!("labels:\n    {labels}"));
        repository.write(&format!("charts/app/templates/{file}.yaml"), text)?;
    }
    Ok(())
}

/// Block YAML with scalars as JSON has them: as templates are written.
fn yaml(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let nested = |value: &Value| match value {
        Value::Object(map) if !map.is_empty() => format!("\n{}", yaml(value, indent + 2)),
        Value::Array(list) if !list.is_empty() => format!("\n{}", yaml(value, indent + 2)),
        other => format!(" {other}\n"),
    };
    let mut text = String::new();
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                text.extend([pad.as_str(), key, ":", &nested(value)]);
            }
        }
        Value::Array(list) => {
            for value in list {
                text.extend([pad.as_str(), "-", &nested(value)]);
            }
        }
        other => text.extend([pad.as_str(), &other.to_string(), "\n"]),
    }
    text
}

fn helm_release(index: usize) -> String {
    let source = json!({"kind": "GitRepository", "name": "app"});
    json!({
        "apiVersion": HELM, "kind": "HelmRelease", "metadata": {"name": name(index)},
        "spec": {
            "interval": "1h", "timeout": "5m", "releaseName": "app", "targetNamespace": name(index), "storageNamespace": name(index),
            "chart": {"spec": {"chart": "./charts/app", "sourceRef": source}},
            "values": {"replicas": 1, "annotations": {"number": index.to_string()}},
        },
    })
    .to_string()
}

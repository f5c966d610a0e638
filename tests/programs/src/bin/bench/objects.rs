//! What is applied.

use crate::{KUSTOMIZE, SOURCE};
use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use sluice_tests::{Repository, condition};

pub(crate) fn name(index: usize) -> String {
    format!("app-{index}")
}

pub(crate) fn write(repository: &Repository, version: &str) -> Result<()> {
    repository
        .write("app/kustomization.yaml", "resources: [deployment.yaml, service.yaml, configmap.yaml]\n")?;
    for (file, object) in
        ["deployment.yaml", "service.yaml", "configmap.yaml"].into_iter().zip(three(version))
    {
        repository.write(&format!("app/{file}"), serde_json::to_string_pretty(&object)?)?;
    }
    Ok(())
}

/// A Deployment, a Service and a ConfigMap of the usual size.
pub(crate) fn three(version: &str) -> [Value; 3] {
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": 9898}, "initialDelaySeconds": 5, "timeoutSeconds": 5});
    let container = json!({
        "name": "app", "image": format!("ghcr.io/example/app:{version}"), "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 9898, "protocol": "TCP"}, {"name": "metrics", "containerPort": 9797, "protocol": "TCP"}],
        "command": ["./app", "--port=9898", "--port-metrics=9797", "--level=info"],
        "env": [{"name": "COLOUR", "value": "#34577c"}],
        "envFrom": [{"configMapRef": {"name": "app"}}],
        "livenessProbe": probe("/healthz"), "readinessProbe": probe("/readyz"),
        "resources": {"limits": {"cpu": "2", "memory": "512Mi"}, "requests": {"cpu": "1m", "memory": "16Mi"}},
    });
    let labels = json!({"app": "app"});
    [
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": {
            "minReadySeconds": 0, "revisionHistoryLimit": 2, "progressDeadlineSeconds": 60,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": {"prometheus.io/scrape": "true"}}, "spec": {"containers": [container]}},
        }}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app"}, "spec": {
            "type": "ClusterIP", "selector": labels, "ports": [{"name": "http", "port": 9898, "protocol": "TCP", "targetPort": "http"}],
        }}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}, "data": {"VERSION": version, "GREETING": "hello"}}),
    ]
}

pub(crate) fn git_repository(url: &str) -> String {
    json!({
        "apiVersion": SOURCE, "kind": "GitRepository", "metadata": {"name": "app"},
        "spec": {"interval": "1h", "url": url, "ref": {"branch": "main"}},
    })
    .to_string()
}

pub(crate) fn kustomizations(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|index| {
        json!({
            "apiVersion": KUSTOMIZE, "kind": "Kustomization", "metadata": {"name": name(index)},
            "spec": {
                "interval": "1h", "path": "./app", "prune": true, "wait": true, "timeout": "5m",
                "targetNamespace": name(index), "sourceRef": {"kind": "GitRepository", "name": "app"},
            },
        })
        .to_string()
    })
}

/// Whether a Kustomization is ready at the commit.
pub(crate) fn upgraded(object: &DynamicObject, commit: &str) -> bool {
    object.data["status"]["lastAppliedRevision"].as_str().is_some_and(|revision| revision.ends_with(commit))
        && condition(object, "Ready") == Some("True")
}

pub(crate) async fn patch(api: &Api<DynamicObject>, name: String, patch: &Value) -> Result<()> {
    api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// The three objects of each namespace.
pub(crate) fn deployments(count: usize, prefix: &str) -> impl Iterator<Item = (String, [Value; 3])> {
    (0..count).map(move |index| (format!("{prefix}-{index}"), three("1.0.0")))
}

pub(crate) async fn create(
    client: &kube::Client,
    (namespace, [deployment, service, map]): (String, [Value; 3]),
) -> Result<()> {
    let parameters = PostParams::default();
    let (deployment, service, map): (Deployment, Service, ConfigMap) =
        (serde_json::from_value(deployment)?, serde_json::from_value(service)?, serde_json::from_value(map)?);
    Api::namespaced(client.clone(), &namespace).create(&parameters, &map).await?;
    Api::namespaced(client.clone(), &namespace).create(&parameters, &service).await?;
    Api::namespaced(client.clone(), &namespace).create(&parameters, &deployment).await?;
    Ok(())
}

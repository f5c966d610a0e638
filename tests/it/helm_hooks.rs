//! Hooks beyond their order and their failures.

use crate::helm::{HELM, helm_ops, of};
use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use serde_json::json;
use sluice_tests::{TestChart, wait};

/// A Job before each installation and upgrade and a Pod after it, which leave the end of their names to the server.
fn chart() -> TestChart {
    TestChart::new("generated", "1.0.0")
        .file("values.yaml", "text: first\nplain: false\n")
        .file(
            "templates/hooks.yaml",
            "apiVersion: batch/v1
kind: Job
metadata:
  generateName: {{ .Release.Name }}-before-
  labels: {case: generated}
  annotations: {helm.sh/hook: \"pre-install,pre-upgrade\", helm.sh/hook-delete-policy: hook-succeeded}
spec:
  template:
    metadata: {annotations: {test.sluice.dev/pod: complete}}
    spec: {restartPolicy: Never, containers: [{name: hook, image: example.com/hook}]}
---
apiVersion: v1
kind: Pod
metadata:
  generateName: {{ .Release.Name }}-after-
  labels: {case: generated}
  annotations: {helm.sh/hook: \"post-install,post-upgrade\", test.sluice.dev/pod: complete}
spec: {restartPolicy: Never, containers: [{name: hook, image: example.com/hook}]}
",
        )
        .file(
            "templates/config.yaml",
            "apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
data: {text: {{ .Values.text }}}
{{- if .Values.plain }}
---
apiVersion: v1
kind: ConfigMap
metadata: {generateName: {{ .Release.Name }}-}
{{- end }}
",
        )
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_may_leave_their_names_to_chance() -> Result<()> {
    helm_ops("helm-hooks", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &chart()).await?;
        let hooks = ListParams::default().labels("case=generated");
        let (jobs, pods) = (ops.api("batch/v1", "Job").await?, ops.api("v1", "Pod").await?);
        // With either client, and by either way of writing objects: the field is accepted, and all clients live for long.
        for (name, persistent, method) in [("server", true, "enabled"), ("client", false, "disabled")] {
            let spec = |text: &str| {
                json!({"persistentClient": persistent, "values": {"text": text},
                       "install": {"serverSideApply": method == "enabled"}, "upgrade": {"serverSideApply": method}})
            };
            ops.release(name, spec("first")).await?;
            ops.ready(name, 1).await?;
            ops.release(name, spec("second")).await?;
            ops.ready(name, 2).await?;
            ensure!(ops.records(name).await? == of(&[(1, "superseded"), (2, "deployed")]), "{name}");
            let object = ops.get(HELM, "HelmRelease", name).await?;
            ensure!(object.data["spec"]["persistentClient"] == persistent, "{}", object.data["spec"]);
            ensure!(jobs.list(&hooks).await?.items.is_empty(), "{name}: a Job that succeeded was to go");
            let names: Vec<_> =
                pods.list(&hooks).await?.into_iter().filter_map(|pod| pod.metadata.name).collect();
            let own: Vec<_> =
                names.iter().filter(|pod| pod.starts_with(&format!("{name}-after-"))).collect();
            ensure!(own.len() == 2, "{name}: a Pod for each revision, not {names:?}");
        }
        // Anything else would be made anew by each upgrade.
        ops.release("server", json!({"values": {"plain": true}})).await?;
        let failed = ops.until("server", "Ready", "False", "UpgradeFailed").await?;
        let text = crate::helm::message(&failed, "Ready");
        ensure!(text.contains("ConfigMap has metadata.generateName \"server-\""), "{text}");
        let config = ops.get("v1", "ConfigMap", "server-config").await?;
        ensure!(config.data["data"]["text"] == "second", "the release was touched");
        for name in ["server", "client"] {
            ops.delete(HELM, "HelmRelease", name).await?;
            wait::gone(&ops.api(HELM, "HelmRelease").await?, name).await.context(name)?;
        }
        Ok(())
    })
    .await
}

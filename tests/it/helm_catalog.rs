//! Charts in the way of well-known ones, with all that these do, through the life of a release.

use crate::helm::{HELM, HelmOps, SOURCE, helm_ops, message};
use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use serde_json::{Value, json};
use sluice_tests::{Registry, TestChart, condition, wait, workspace};

/// The engine's cases of this name are installed: hooks, definitions, StatefulSets with claims, DaemonSets, roles, objects
/// that are kept; and one with subcharts.
const CATALOG: [&str; 19] = [
    "airflow-web",
    "consul-client",
    "dex",
    "drone-like",
    "external-dns",
    "gitea",
    "grafana-like",
    "harbor-core",
    "haproxy",
    "jaeger",
    "keycloak-like",
    "kube-state-metrics",
    "loki-single",
    "nats",
    "oauth2-proxy",
    "podinfo",
    "tempo",
    "umbrella",
    "vector",
];

/// A chart of a subchart, the same by another name, one that is switched off, and a library; with what only some charts
/// have: budgets, scaling, a look into the cluster.
fn umbrella() -> TestChart {
    let metadata = "apiVersion: v2
name: umbrella
version: 3.2.1
dependencies:
- {name: web, version: 1.x, condition: web.enabled}
- {name: web, version: 1.x, alias: admin, condition: admin.enabled}
- {name: tools, version: 0.x}
- {name: spare, version: 0.x, condition: spare.enabled}
";
    let web = "{{- $name := printf \"%s-%s\" .Release.Name .Chart.Name }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include \"tools.labels\" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ $name }}}}
  template:
    metadata:
      labels: {app: {{ $name }}}
      annotations: {region: {{ .Values.global.region }}}
    spec: {containers: [{name: web, image: example.com/web}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: {{ $name }}}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: {{ $name }}}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: {{ $name }}}
spec:
  minReplicas: 1
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
---
apiVersion: v1
kind: Secret
metadata: {name: {{ $name }}-token}
data:
{{- with lookup \"v1\" \"Secret\" .Release.Namespace (printf \"%s-token\" $name) }}
  token: {{ .data.token }}
{{- else }}
  token: {{ randAlphaNum 16 | b64enc }}
{{- end }}
";
    TestChart::new("umbrella", "3.2.1")
        .file("Chart.yaml", metadata)
        .file("values.yaml", "global: {region: north}\nweb: {replicas: 2}\nspare: {enabled: false}\n")
        .file("templates/NOTES.txt", "{{ .Release.Name }} in {{ .Values.global.region }}\n")
        .file(
            "templates/config.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {region: {{ .Values.global.region }}}\n",
        )
        .file("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.4.0\n")
        .file("charts/web/values.yaml", "replicas: 1\nenabled: true\n")
        .file("charts/web/templates/all.yaml", web)
        .file("charts/tools/Chart.yaml", "apiVersion: v2\nname: tools\nversion: 0.1.0\ntype: library\n")
        .file(
            "charts/tools/templates/_labels.tpl",
            "{{- define \"tools.labels\" }}\nchart: {{ .Chart.Name }}-{{ .Chart.Version }}\n{{- end }}\n",
        )
        .file("charts/spare/Chart.yaml", "apiVersion: v2\nname: spare\nversion: 0.1.0\n")
        .file("charts/spare/templates/bad.yaml", "{{ fail \"nobody asked for it\" }}\n")
}

fn chart(name: &str) -> Result<TestChart> {
    if name == "umbrella" {
        return Ok(umbrella());
    }
    let file = workspace().join(format!("crates/helm/tests/cases/{name}.chart"));
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let chart = TestChart::folded(&text)?;
    // The engine's cases are content with a stub.
    let stub = "crds/crd.yaml";
    if !chart.has(stub) {
        return Ok(chart);
    }
    let plural = format!("{name}s");
    let versions = json!([{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]);
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.catalog.sluice.test")},
        "spec": {"group": "catalog.sluice.test", "names": {"kind": "X".to_owned() + &name.replace('-', ""), "plural": plural},
                 "scope": "Namespaced", "versions": versions},
    });
    Ok(chart.file(stub, &definition.to_string()))
}

/// Volumes for the claims of StatefulSets: nobody makes any here.
fn volumes(prefix: &str, count: usize) -> String {
    (0..count)
        .map(|index| {
            json!({
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("{prefix}-{index}"), "labels": {"catalog": prefix}},
                "spec": {"capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/nowhere"},
                         "persistentVolumeReclaimPolicy": "Retain"},
            })
            .to_string()
        })
        .collect::<Vec<_>>()
        .join("\n---\n")
}

/// A StatefulSet whose Pods start one after the other goes on waiting for the Pod that is never ready, also when its
/// template is the older one again: Kubernetes wants somebody to delete that Pod ("forced rollback" in its documentation).
async fn repair_stateful_sets(ops: &HelmOps) -> Result<()> {
    let (sets, pods) = (ops.api("apps/v1", "StatefulSet").await?, ops.api("v1", "Pod").await?);
    let releases = ops.api(HELM, "HelmRelease").await?;
    for set in sets.list(&ListParams::default().labels(OURS)).await? {
        let release = set.metadata.labels.as_ref().and_then(|labels| labels.get(OURS)).context("no label")?;
        wait::until(&releases, release, "failed at the third revision", |object| {
            object.data["status"]["history"][0]["version"] == 3
        })
        .await?;
        let name = set.metadata.name.as_deref().context("no name")?;
        wait::until(&sets, name, "rolled back", |set| !is_unready(&set.data["spec"]["template"])).await?;
        for pod in pods.list(&ListParams::default()).await? {
            let owner = pod.metadata.owner_references.iter().flatten().next();
            let is_of_the_set = owner.is_some_and(|owner| Some(&owner.uid) == set.metadata.uid.as_ref());
            if is_of_the_set && is_unready(&serde_json::to_value(&pod)?) {
                ops.delete("v1", "Pod", pod.metadata.name.as_deref().context("no name")?).await?;
            }
        }
    }
    Ok(())
}

/// Whether this Pod, or what comes of this template, never gets ready.
fn is_unready(pod: &Value) -> bool {
    pod["metadata"]["annotations"]["test.sluice.dev/pod"] == "unready"
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_of_public_shape_live_from_install_to_uninstall() -> Result<()> {
    helm_ops("helm-catalog", &["--min-retry-delay=50ms", "--concurrent=4"], async |ops| {
        ops.apply(&volumes(&ops.namespace, 16)).await?;
        let spec = |name: &str, round: &str, more: Value| {
            let mut spec = json!({
                "timeout": "2m", "releaseName": name, "chartRef": {"kind": "OCIRepository", "name": name},
                "commonMetadata": {"labels": {"round": round}},
                "upgrade": {"timeout": "2m", "remediation": {"retries": 0, "remediateLastFailure": true}},
            });
            for (key, value) in more.as_object().into_iter().flatten() {
                spec[key] = value.clone();
            }
            spec
        };
        for name in CATALOG {
            ops.chart(name, &chart(name)?).await?;
            ops.release(name, spec(name, "one", json!({}))).await?;
        }
        for name in CATALOG {
            ops.ready(name, 1).await.with_context(|| name)?;
        }
        for name in CATALOG {
            ops.release(name, spec(name, "two", json!({"values": {"podAnnotations": {"round": "two"}}})))
                .await?;
        }
        for name in CATALOG {
            ops.ready(name, 2).await.with_context(|| name)?;
        }
        let token = async || -> Result<Value> {
            Ok(ops.get("v1", "Secret", "umbrella-admin-token").await?.data["data"]["token"].clone())
        };
        let first = token().await?;
        // Pods that are never ready: back to the second revision.
        let patch = json!({
            "apiVersion": "apps/v1", "kind": "Any", "metadata": {"name": "any"},
            "spec": {"template": {"metadata": {"annotations": {"test.sluice.dev/pod": "unready"}}}},
        });
        let unready = json!([{"kustomize": {"patches": [
            {"target": {"kind": "Deployment|StatefulSet|DaemonSet"}, "patch": patch.to_string()},
        ]}}]);
        for name in CATALOG {
            let mut failing = spec(name, "three", json!({"postRenderers": unready}));
            failing["upgrade"]["timeout"] = "5s".into();
            failing["rollback"] = json!({"timeout": "2m"});
            ops.release(name, failing).await?;
        }
        repair_stateful_sets(ops).await?;
        for name in CATALOG {
            let stalled =
                ops.until(name, "Stalled", "True", "RetriesExceeded").await.with_context(|| name)?;
            let status = &stalled.data["status"];
            ensure!(
                condition(&stalled, "Remediated") == Some("True"),
                "{name}: {}",
                message(&stalled, "Ready")
            );
            ensure!(
                status["history"][0]["version"] == 4 && status["history"][0]["status"] == "deployed",
                "{name}: {status}"
            );
        }
        ensure!(token().await? == first, "the chart found nothing in the cluster");
        // What was made is there as the second revision has it.
        for (kind, version) in
            [("Deployment", "apps/v1"), ("StatefulSet", "apps/v1"), ("Service", "v1"), ("ConfigMap", "v1")]
        {
            let list = ops.api(version, kind).await?.list(&ListParams::default().labels(OURS)).await?;
            ensure!(!list.items.is_empty(), "no {kind}");
            for object in list {
                let labels = object.metadata.labels.clone().unwrap_or_default();
                ensure!(
                    labels.get("round").is_some_and(|round| round == "two"),
                    "{kind} {:?}: {labels:?}",
                    object.metadata.name
                );
            }
        }
        let program = crate::charts::helm().await?;
        let kubeconfig = ops.plane.facts().controllers.display().to_string();
        let arguments = [
            "list",
            "--output",
            "json",
            "--max",
            "100",
            "--kubeconfig",
            &kubeconfig,
            "--namespace",
            &ops.namespace,
        ];
        let list: Value = serde_json::from_str(&Registry::run(&program, &arguments)?)?;
        let all = list.as_array().context("no list")?;
        ensure!(all.len() == CATALOG.len(), "{list}");
        ensure!(
            all.iter().all(|release| release["revision"] == "4" && release["status"] == "deployed"),
            "{list}"
        );

        let api = ops.api(HELM, "HelmRelease").await?;
        for name in CATALOG {
            ops.delete(HELM, "HelmRelease", name).await?;
        }
        for name in CATALOG {
            wait::gone(&api, name).await.with_context(|| name)?;
            ensure!(ops.records(name).await?.is_empty(), "{name}: records are left");
            ops.delete(SOURCE, "OCIRepository", name).await?;
        }
        for (kind, version) in [
            ("Deployment", "apps/v1"),
            ("StatefulSet", "apps/v1"),
            ("DaemonSet", "apps/v1"),
            ("Service", "v1"),
            ("ConfigMap", "v1"),
        ] {
            let list = ops.api(version, kind).await?.list(&ListParams::default().labels(OURS)).await?;
            ensure!(list.items.is_empty(), "{kind}: {:?} is left", list.items[0].metadata.name);
        }
        // What says that it is to be kept is kept.
        let kept = ops.api("v1", "Secret").await?.list(&ListParams::default().labels(OURS)).await?;
        let keeps = |secret: &kube::api::DynamicObject| {
            secret
                .metadata
                .annotations
                .as_ref()
                .is_some_and(|annotations| annotations.contains_key("helm.sh/resource-policy"))
        };
        ensure!(
            !kept.items.is_empty() && kept.iter().all(keeps),
            "{:?}",
            kept.items.first().map(|secret| &secret.metadata)
        );
        for index in 0..16 {
            ops.delete("v1", "PersistentVolume", &format!("{}-{index}", ops.namespace)).await?;
        }
        Ok(())
    })
    .await
}

/// Every object of a release has this label.
const OURS: &str = "helm.toolkit.fluxcd.io/name";

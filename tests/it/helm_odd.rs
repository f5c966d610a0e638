//! What people do to HelmReleases at bad moments, and records and options that are odd.

use crate::helm::{FATED, HELM, HOOKS, HelmOps, helm_ops, message, of};
use anyhow::{Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_tests::{TestChart, condition, wait};

/// A chart with hooks and Pods of the fates that values say, and with an object more when they name it.
fn chart(version: &str) -> TestChart {
    TestChart::new("odd", version)
        .file("values.yaml", "hooks: {}\npods: run\ntext: plain\nmore: ''\nbad: ''\n")
        .file("templates/hooks.yaml", HOOKS)
        .file(
            "templates/deployment.yaml",
            &FATED.replace("containers: [", "containers: [{name: side, image: example.com/side}, "),
        )
        .file(
            "templates/map.yaml",
            "apiVersion: v1
kind: ConfigMap
metadata: {name: '{{ .Release.Name }}-map'}
data: {text: {{ .Values.text | quote }}, version: '{{ .Chart.Version }}'}
{{- with .Values.more }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: '{{ $.Release.Name }}-{{ . }}'}
{{- end }}
{{- with .Values.bad }}
---
apiVersion: v1
kind: Service
metadata: {name: '{{ $.Release.Name }}'}
spec: {ports: [{port: {{ . }}}]}
{{- end }}
",
        )
}

async fn map(ops: &HelmOps, release: &str) -> Result<Value> {
    Ok(ops.get("v1", "ConfigMap", &format!("{release}-map")).await?.data["data"].clone())
}

/// Whether a map was made by the first version of the chart, which the controller adds its digest to.
fn is_first(map: &Value) -> bool {
    map["version"].as_str().is_some_and(|version| version.starts_with("1.0.0"))
}

/// Waits until a release is ready at its generation, however many revisions that took.
async fn settled(ops: &HelmOps, name: &str) -> Result<DynamicObject> {
    wait::until(&ops.api(HELM, "HelmRelease").await?, name, "ready at its generation", |object| {
        condition(object, "Ready") == Some("True")
            && condition(object, "Reconciling").is_none()
            && object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_renamed_and_deleted_at_bad_moments() -> Result<()> {
    helm_ops("helm-moments", &["--min-retry-delay=50ms", "--max-retry-delay=100ms"], async |ops| {
        ops.chart("app", &chart("1.0.0")).await?;
        let api = ops.api(HELM, "HelmRelease").await?;
        let endless = json!({"remediation": {"retries": -1}});
        let failing = json!({"install": endless, "values": {"hooks": {"pre-install": "fail"}}});
        ops.release("tries", failing).await?;
        ops.release("waits", json!({"timeout": "3s", "install": endless, "values": {"pods": "unready"}}))
            .await?;
        ops.release("moves", json!({"releaseName": "before"})).await?;
        ops.release("goes", json!({"timeout": "5m", "values": {"hooks": {"pre-install": "run"}}})).await?;

        // Suspended between tries: no more of them, also when somebody asks.
        wait::until(&api, "tries", "tried twice", |object| {
            object.data["status"]["installFailures"].as_i64().unwrap_or_default() > 1
        })
        .await?;
        ops.patch_suspend("tries", true).await?;
        let failures = ops.get(HELM, "HelmRelease", "tries").await?.data["status"]["installFailures"].clone();
        let asked = ops.request("tries", &[]).await?;
        ensure!(asked.data["status"]["installFailures"] == failures, "{}", asked.data["status"]);
        // Suspended while it waits: what was begun is ended and recorded, and nothing follows.
        wait::until(&ops.api("apps/v1", "Deployment").await?, "waits", "there", |_| true).await?;
        ops.patch_suspend("waits", true).await?;
        for (_, status) in ops.records("waits").await? {
            ensure!(["failed", "uninstalled"].contains(&status.as_str()), "waits is {status}");
        }
        for name in ["tries", "waits"] {
            ops.release(name, json!({"suspend": false, "values": {"text": "better"}})).await?;
            settled(ops, name).await?;
            ensure!(map(ops, name).await?["text"] == "better", "{name}: {}", map(ops, name).await?);
        }

        // Under another name: the old release goes, the new one comes.
        ops.ready("moves", 1).await?;
        ops.release("moves", json!({"releaseName": "after"})).await?;
        wait::until(&api, "moves", "installed under its new name", |object| {
            condition(object, "Ready") == Some("True")
                && object.data["status"]["history"][0]["name"] == "after"
        })
        .await?;
        ensure!(ops.records("before").await?.is_empty(), "{:?}", ops.records("before").await?);
        ensure!(
            ops.find("v1", "ConfigMap", "before-map").await?.is_none(),
            "objects of the old name are left"
        );
        ensure!(ops.records("after").await? == of(&[(1, "deployed")]), "{:?}", ops.records("after").await?);

        // Deleted while a hook of the installation runs: the hook ends first, and then all goes.
        wait::until(&ops.api("v1", "Pod").await?, "goes-pre-install", "there", |_| true).await?;
        ops.delete(HELM, "HelmRelease", "goes").await?;
        let done = json!({"metadata": {"annotations": {"test.sluice.dev/pod": "complete"}}});
        ops.patch("v1", "Pod", "goes-pre-install", done).await?;
        wait::gone(&api, "goes").await?;
        ensure!(ops.records("goes").await?.is_empty(), "{:?}", ops.records("goes").await?);
        ensure!(ops.find("apps/v1", "Deployment", "goes").await?.is_none(), "goes is left");

        // A hook that fails holds the deletion up until hooks are switched off.
        ops.release("held", json!({"values": {"hooks": {"pre-delete": "fail"}}})).await?;
        ops.ready("held", 1).await?;
        ops.delete(HELM, "HelmRelease", "held").await?;
        ops.told("held", "UninstallFailed", "failed").await?;
        ops.patch(HELM, "HelmRelease", "held", json!({"spec": {"uninstall": {"disableHooks": true}}}))
            .await?;
        wait::gone(&api, "held").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_options_and_records_end_in_a_release_or_a_clear_message() -> Result<()> {
    helm_ops("helm-odd", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &chart("2.0.0")).await?;
        let once = json!({"remediation": {"retries": 0}});
        for name in ["older", "keeps", "cleans", "patched", "corrupt", "short", "long", "drifts"] {
            let history = match name {
                "short" => json!(1),
                "long" => json!(0),
                _ => Value::Null,
            };
            ops.release(name, json!({"maxHistory": history, "values": {"text": "first"}})).await?;
        }
        for name in ["older", "keeps", "cleans", "patched", "corrupt", "short", "long", "drifts"] {
            ops.ready(name, 1).await?;
        }

        // Values of the revision before stay below those of the new one.
        let preserving = json!({"preserveValues": true});
        ops.release("keeps", json!({"upgrade": preserving, "values": {"more": "extra"}})).await?;
        ops.ready("keeps", 2).await?;
        ensure!(map(ops, "keeps").await?["text"] == "first", "{}", map(ops, "keeps").await?);

        // What a failed upgrade has made goes again.
        let mut cleaning = once.clone();
        cleaning["cleanupOnFail"] = true.into();
        ops.release("cleans", json!({"upgrade": cleaning, "values": {"more": "extra", "bad": 99999}}))
            .await?;
        let failed = ops.until("cleans", "Ready", "False", "UpgradeFailed").await?;
        ensure!(message(&failed, "Ready").contains("99999"), "{}", message(&failed, "Ready"));
        wait::gone(&ops.api("v1", "ConfigMap").await?, "cleans-extra").await?;
        ensure!(ops.find("v1", "ConfigMap", "cleans-map").await?.is_some(), "what was there before is gone");

        // A patch that does not apply: told, and the release is as it was.
        let patch = json!([{"op": "remove", "path": "/spec/nothing/there"}]).to_string();
        let patches = json!([{"target": {"kind": "Deployment"}, "patch": patch}]);
        ops.release(
            "patched",
            json!({"upgrade": once, "postRenderers": [{"kustomize": {"patches": patches}}]}),
        )
        .await?;
        let failed = ops.until("patched", "Ready", "False", "UpgradeFailed").await?;
        ensure!(message(&failed, "Ready").contains("/spec/nothing/there"), "{}", message(&failed, "Ready"));
        ensure!(ops.records("patched").await? == of(&[(1, "deployed")]));

        // Histories of one revision and of all.
        for (name, text, version) in
            [("short", "b", 2), ("short", "c", 3), ("long", "b", 2), ("long", "c", 3)]
        {
            let history = u8::from(name == "short");
            ops.release(name, json!({"maxHistory": history, "values": {"text": text}})).await?;
            ops.ready(name, version).await?;
        }
        ensure!(ops.records("long").await?.len() == 3, "{:?}", ops.records("long").await?);
        let short = ops.records("short").await?;
        ensure!(short.last() == Some(&(3, "deployed".to_owned())) && short.len() <= 2, "{short:?}");

        // A record that cannot be read: no other revision takes its name, and the message says which it is.
        let garbage = json!({"data": {"release": "Z2FyYmFnZQ=="}});
        ops.patch("v1", "Secret", "sh.helm.release.v1.corrupt.v1", garbage).await?;
        ops.release("corrupt", json!({"install": once, "values": {"text": "second"}})).await?;
        let failed = ops.until("corrupt", "Ready", "False", "InstallFailed").await?;
        ensure!(
            message(&failed, "Ready").contains("sh.helm.release.v1.corrupt.v1"),
            "{}",
            message(&failed, "Ready")
        );
        ops.delete("v1", "Secret", "sh.helm.release.v1.corrupt.v1").await?;
        ops.request("corrupt", &["reconcile.fluxcd.io/forceAt"]).await?;
        settled(ops, "corrupt").await?;

        // Of two containers the first is ignored, and the second is the one that is put right.
        let ignore =
            json!([{"paths": ["/spec/template/spec/containers/0"], "target": {"kind": "Deployment"}}]);
        ops.release(
            "drifts",
            json!({"driftDetection": {"mode": "enabled", "ignore": ignore}, "values": {"text": "first"}}),
        )
        .await?;
        settled(ops, "drifts").await?;
        let other = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "side", "image": "example.com/other"}, {"name": "app", "image": "example.com/other"},
        ]}}}});
        ops.patch("apps/v1", "Deployment", "drifts", other).await?;
        ops.request("drifts", &[]).await?;
        ops.told("drifts", "DriftCorrected", "drifts patched").await?;
        let containers =
            ops.get("apps/v1", "Deployment", "drifts").await?.data["spec"]["template"]["spec"]["containers"]
                .clone();
        let images: Vec<_> =
            containers.as_array().into_iter().flatten().map(|container| &container["image"]).collect();
        ensure!(images == ["example.com/other", "example.com/app"], "{images:?}");

        // References to clusters and expressions that are broken, and one that waits for itself.
        ops.apply(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: broken}\nstringData: {value: 'clusters: {'}\n",
        )
        .await?;
        let refused = [
            (
                "nowhere",
                json!({"kubeConfig": {"secretRef": {"name": "absent"}}}),
                "RESTClientError",
                "absent",
            ),
            ("broken", json!({"kubeConfig": {"secretRef": {"name": "broken"}}}), "RESTClientError", "broken"),
            ("itself", json!({"dependsOn": [{"name": "itself"}]}), "DependencyNotReady", "itself"),
            (
                "judged",
                json!({"healthCheckExprs": [{"apiVersion": "v1", "kind": "X", "current": "status.("}]}),
                "InvalidCELExpression",
                "status.(",
            ),
        ];
        for (name, spec, ..) in &refused {
            ops.release(name, spec.clone()).await?;
        }
        for (name, _, why, text) in &refused {
            let failed = ops.until(name, "Ready", "False", why).await?;
            ensure!(message(&failed, "Ready").contains(text), "{name}: {}", message(&failed, "Ready"));
        }

        // An older chart is installed like any other.
        ops.chart("app", &chart("1.0.0")).await?;
        ops.ready("older", 2).await?;
        ensure!(is_first(&map(ops, "older").await?), "{}", map(ops, "older").await?);
        Ok(())
    })
    .await
}

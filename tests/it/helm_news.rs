//! What is asked for while an action is under way: other values, another chart, a pause, a request.

use crate::helm::{HELM, HelmOps, helm_ops, message, of};
use crate::helm_away::become_ready;
use crate::helm_crash::{gated, stuck};
use anyhow::{Context as _, Result, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::{condition, wait};

async fn annotate(ops: &HelmOps, name: &str, annotations: Value) -> Result<()> {
    ops.patch(HELM, "HelmRelease", name, json!({"metadata": {"annotations": annotations}})).await.map(drop)
}

/// The text in the ConfigMap of a release.
async fn text(ops: &HelmOps, name: &str) -> Result<Value> {
    Ok(ops.get("v1", "ConfigMap", &format!("{name}-config")).await?.data["data"]["text"].clone())
}

/// Waits until a request was seen to and nothing is under way.
async fn handled(ops: &HelmOps, name: &str, token: &str) -> Result<DynamicObject> {
    wait::until(&ops.api(HELM, "HelmRelease").await?, name, "handled", |object| {
        object.data["status"]["lastHandledReconcileAt"] == token && condition(object, "Reconciling").is_none()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_in_mid_action_comes_after_it_and_once() -> Result<()> {
    helm_ops("helm-news", &["--min-retry-delay=50ms", "--max-retry-delay=500ms"], async |ops| {
        ops.chart("app", &gated("1.0.0")).await?;
        ops.chart("other", &gated("1.0.0")).await?;
        let values = |text: &str| {
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: values, labels: {{reconcile.fluxcd.io/watch: Enabled}}}}\ndata: {{values.yaml: 'text: {text}'}}\n")
        };
        ops.apply(&values("first")).await?;
        let spec = |text: Option<&str>| {
            let mut spec = json!({"timeout": "10m", "values": {"pods": "unready"}});
            match text {
                Some(text) => spec["values"]["text"] = text.into(),
                None => spec["valuesFrom"] = json!([{"kind": "ConfigMap", "name": "values"}]),
            }
            spec
        };
        ops.release("from", spec(None)).await?;
        let mut charted = spec(Some("first"));
        charted["chartRef"] = json!({"kind": "OCIRepository", "name": "other"});
        ops.release("chart", charted).await?;
        for name in ["spec", "paused", "forced", "reset"] {
            ops.release(name, spec(Some("first"))).await?;
        }
        for name in ["from", "spec", "chart", "paused", "forced", "reset"] {
            stuck(ops, name, 1, "pending-install", "").await?;
        }
        ops.apply(&values("second")).await?;
        ops.release("spec", spec(Some("second"))).await?;
        ops.chart("other", &gated("1.1.0")).await?;
        ops.patch(HELM, "HelmRelease", "paused", json!({"spec": {"suspend": true}})).await?;
        let key = "reconcile.fluxcd.io/requestedAt";
        annotate(ops, "forced", json!({key: "t1", "reconcile.fluxcd.io/forceAt": "t1"})).await?;
        annotate(ops, "reset", json!({key: "t1", "reconcile.fluxcd.io/resetAt": "t1"})).await?;
        for name in ["from", "spec", "chart", "paused", "forced", "reset"] {
            become_ready(ops, name).await.context(name)?;
        }
        for name in ["from", "spec", "chart"] {
            ops.ready(name, 2).await?;
            let records = ops.records(name).await?;
            ensure!(records == of(&[(1, "superseded"), (2, "deployed")]), "{name}: {records:?}");
        }
        for name in ["from", "spec"] {
            ensure!(text(ops, name).await? == "second", "{name}: {}", text(ops, name).await?);
        }
        let charted = ops.get(HELM, "HelmRelease", "chart").await?;
        let version = charted.data["status"]["history"][0]["chartVersion"].as_str().unwrap_or_default();
        ensure!(version.starts_with("1.1.0"), "{version}");
        // Forced once, and once only.
        let forced = handled(ops, "forced", "t1").await?;
        ensure!(forced.data["status"]["lastHandledForceAt"] == "t1", "{}", forced.data["status"]);
        ops.ready("forced", 2).await?;
        ops.request("forced", &[]).await?;
        ensure!(ops.records("forced").await?.len() == 2, "{:?}", ops.records("forced").await?);
        let reset = handled(ops, "reset", "t1").await?;
        ensure!(reset.data["status"]["lastHandledResetAt"] == "t1", "{}", reset.data["status"]);
        ensure!(ops.records("reset").await? == of(&[(1, "deployed")]), "{:?}", ops.records("reset").await?);

        // A pause is one after what was begun, and nothing is done anew when it is over.
        let generation = ops.get(HELM, "HelmRelease", "paused").await?.metadata.generation;
        let paused = wait::until(&ops.api(HELM, "HelmRelease").await?, "paused", "suspended", |object| {
            object.data["status"]["observedGeneration"].as_i64() == generation
        })
        .await?;
        ensure!(condition(&paused, "Ready") == Some("True"), "{}", paused.data["status"]);
        ops.patch_suspend("paused", false).await?;
        ops.ready("paused", 1).await?;
        ensure!(ops.records("paused").await? == of(&[(1, "deployed")]), "{:?}", ops.records("paused").await?);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_wait_for_what_their_expressions_and_annotations_say() -> Result<()> {
    helm_ops("helm-waits-for", &["--min-retry-delay=50ms", "--requeue-dependency=1s"], async |ops| {
        ops.chart("app", &gated("1.0.0")).await?;
        ops.release("base", json!({"values": {"text": "first"}})).await?;
        ops.ready("base", 1).await?;
        let on = |expression: &str| json!({"dependsOn": [{"name": "base", "readyExpr": expression}]});
        let other = "dep.spec.values.text == self.metadata.name && dep.status.history[0].version == 2";
        let cases = [
            ("meets", on("self.metadata.name == 'meets' && dep.status.history[0].status == 'deployed'"), "", ""),
            ("second", on(other), "DependencyNotReady", "/base' is not ready according to readyExpr eval"),
            ("missing", on("dep.metadata.labels['go'] == 'yes'"), "DependencyNotReady", "no such key"),
            ("syntax", on("dep.status."), "InvalidCELExpression", "failed to evaluate dependency base: "),
            ("text", on("'text'"), "InvalidCELExpression", "expected bool, got string"),
            ("none", json!({"dependsOn": [{"name": "absent"}]}), "DependencyNotReady", "unable to get '"),
        ];
        for (name, spec, ..) in &cases {
            ops.release(name, spec.clone()).await?;
        }
        for (name, annotation) in [("kustomized", "Kustomization/infra"), ("strange", "Pod/x"), ("formless", "x")] {
            let object = json!({"apiVersion": HELM, "kind": "HelmRelease",
                "metadata": {"name": name, "annotations": {"sluice.dev/depends-on": annotation}},
                "spec": {"interval": "1h", "chartRef": {"kind": "OCIRepository", "name": "app"}}});
            ops.apply(&object.to_string()).await?;
        }
        ops.ready("meets", 1).await?;
        for (name, _, why, text) in &cases[1..] {
            let object = ops.until(name, "Ready", "False", why).await?;
            ensure!(message(&object, "Ready").contains(text), "{name}: {}", message(&object, "Ready"));
            let stalled = (*why == "InvalidCELExpression").then_some("True");
            ensure!(condition(&object, "Stalled") == stalled, "{name}: {}", object.data["status"]);
            ensure!(ops.records(name).await?.is_empty(), "{name} was installed");
        }
        for (name, text) in [("kustomized", "infra"), ("strange", "of an unknown kind"), ("formless", "not of the form")] {
            let object = ops.until(name, "Ready", "False", "DependencyNotReady").await?;
            ensure!(message(&object, "Ready").contains(text), "{name}: {}", message(&object, "Ready"));
        }
        // What is waited for comes.
        ops.release("base", json!({"values": {"text": "second"}})).await?;
        ops.ready("second", 1).await?;
        ops.patch(HELM, "HelmRelease", "base", json!({"metadata": {"labels": {"go": "yes"}}})).await?;
        ops.ready("missing", 1).await?;
        ops.release("syntax", on("true")).await?;
        ops.ready("syntax", 1).await?;
        let infra = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "infra"},
            "spec": {"interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "none"}}});
        ops.apply(&infra.to_string()).await?;
        let ready = json!({"status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded",
            "message": "applied", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        let kustomizations = ops.api("kustomize.toolkit.fluxcd.io/v1", "Kustomization").await?;
        #[expect(clippy::disallowed_methods, reason = "in the place of a kustomize-controller")]
        kustomizations.patch_status("infra", &PatchParams::default(), &Patch::Merge(&ready)).await?;
        ops.ready("kustomized", 1).await?;
        Ok(())
    })
    .await
}

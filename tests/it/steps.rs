//! Beyond Flux: hooks and waves inside one Kustomization, and drift that is corrected as it happens.

use crate::gitops::{GitOps, KUSTOMIZE, gitops, message, uid};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{condition, wait};

/// A Job whose Pod has this fate, with these annotations.
fn job(ops: &GitOps, name: &str, pod: &str, annotations: Value) -> Result<()> {
    let object = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": annotations},
        "spec": {"backoffLimit": 0, "template": {
            "metadata": {"annotations": {"test.sluice.dev/pod": pod}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example.com/job:1"}]},
        }},
    });
    ops.repository.write(&format!("{name}.yaml"), object.to_string())
}

fn web(ops: &GitOps, pod: &str) -> Result<()> {
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {"test.sluice.dev/pod": pod}},
            "spec": {"containers": [{"name": "main", "image": "example.com/web:1"}]},
        }},
    });
    ops.repository.write("web.yaml", object.to_string())
}

fn map(ops: &GitOps, name: &str, value: &str, annotations: Value) -> Result<()> {
    let metadata = json!({"name": name, "annotations": annotations});
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": value}});
    ops.repository.write(&format!("{name}.yaml"), object.to_string())
}

/// A Kustomization `app` with annotations.
async fn annotated(ops: &GitOps, annotations: Value) -> Result<()> {
    let object = json!({
        "apiVersion": KUSTOMIZE, "kind": "Kustomization", "metadata": {"name": "app", "annotations": annotations},
        "spec": {
            "interval": "1h", "timeout": "2m", "prune": true, "path": "./", "targetNamespace": ops.namespace,
            "sourceRef": {"kind": "GitRepository", "name": "app"},
        },
    });
    ops.apply(&object.to_string()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_and_waves_wait_for_each_other() -> Result<()> {
    gitops("steps", async |ops| {
        // A migration that fails: nothing of what comes after it is applied, and the hook for that runs.
        job(ops, "migrate", "fail", json!({"sluice.dev/hook": "pre"}))?;
        job(ops, "page", "complete", json!({"sluice.dev/hook": "fail"}))?;
        web(ops, "unready")?;
        map(ops, "after", "1", json!({"sluice.dev/wave": "1"}))?;
        job(
            ops,
            "smoke",
            "complete",
            json!({"sluice.dev/hook": "post", "sluice.dev/hook-delete-policy": "succeeded"}),
        )?;
        ops.repository.commit("A migration that fails")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({"retryInterval": "1h"})).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "app", "HealthCheckFailed").await?;
        ensure!(message(&failed).contains(&format!("Job/{}/migrate", ops.namespace)), "{}", message(&failed));
        ensure!(
            ops.find("apps/v1", "Deployment", "web").await?.is_none(),
            "the wave did not wait for the hook"
        );
        let jobs = ops.api("batch/v1", "Job").await?;
        wait::until(&jobs, "page", "there", |_| true).await?;
        let first = uid(&ops.get("batch/v1", "Job", "migrate").await?)?;

        // On request it runs again.
        ops.request_reconcile(KUSTOMIZE, "Kustomization", "app").await?;
        wait::until(&jobs, "migrate", "made anew", |job| job.metadata.uid.as_ref() != Some(&first)).await?;

        // One that goes well. The next wave waits for the Deployment.
        job(ops, "migrate", "complete", json!({"sluice.dev/hook": "pre"}))?;
        ops.push("A migration that goes well").await?;
        let deployments = ops.api("apps/v1", "Deployment").await?;
        wait::until(&deployments, "web", "there", |_| true).await?;
        let api = ops.api(KUSTOMIZE, "Kustomization").await?;
        wait::until(&api, "app", "waiting for the wave", |object| {
            condition(object, "Healthy") == Some("Unknown")
        })
        .await?;
        ensure!(ops.find("v1", "ConfigMap", "after").await?.is_none(), "the wave did not wait");
        let inventory =
            ops.get(KUSTOMIZE, "Kustomization", "app").await?.data["status"]["inventory"].to_string();
        ensure!(
            inventory.contains("_web_apps_Deployment"),
            "what is there already is not noted: {inventory}"
        );

        web(ops, "ready")?;
        let commit = ops.push("The web becomes ready").await?;
        let done = ops.applied("app", &commit).await?;
        ensure!(ops.find("v1", "ConfigMap", "after").await?.is_some());
        ensure!(
            ops.find("batch/v1", "Job", "page").await?.is_none(),
            "the hook of an old failure is still there"
        );
        ensure!(ops.find("batch/v1", "Job", "smoke").await?.is_none(), "its policy was to delete it");
        let status = &done.data["status"];
        ensure!(!status["inventory"].to_string().contains("smoke"), "{status}");
        ensure!(status["inventory"].to_string().contains("_migrate_batch_Job"), "{status}");

        // The same content: nothing runs again.
        let migrated = uid(&ops.get("batch/v1", "Job", "migrate").await?)?;
        ops.patch("v1", "ConfigMap", "after", json!({"data": {"k": "by hand"}})).await?;
        ops.reconcile("app").await?;
        ensure!(ops.get("v1", "ConfigMap", "after").await?.data["data"]["k"] == "1");
        ensure!(uid(&ops.get("batch/v1", "Job", "migrate").await?)? == migrated, "the migration ran again");
        ensure!(ops.find("batch/v1", "Job", "smoke").await?.is_none(), "the post hook ran again");

        // Another content: they do.
        map(ops, "after", "2", json!({"sluice.dev/wave": "1"}))?;
        let commit = ops.push("Another value").await?;
        ops.applied("app", &commit).await?;
        ensure!(uid(&ops.get("batch/v1", "Job", "migrate").await?)? != migrated, "the migration did not run");

        ops.delete(KUSTOMIZE, "Kustomization", "app").await?;
        wait::gone(&api, "app").await?;
        wait::gone(&jobs, "migrate").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_kustomization_corrects_drift_at_once_and_argo_names_count_where_asked_for() -> Result<()> {
    gitops("watch", async |ops| {
        map(ops, "map", "ours", json!({}))?;
        job(ops, "argo", "complete", json!({"argocd.argoproj.io/hook": "PreSync"}))?;
        let commit = ops.repository.commit("A map and a hook")?;
        ops.git_repository(json!({})).await?;
        annotated(ops, json!({"sluice.dev/watch": "true", "sluice.dev/hooks": "argo"})).await?;
        let ready = ops.applied("app", &commit).await?;
        let hook = ops.get("batch/v1", "Job", "argo").await?;
        let run = hook.metadata.annotations.as_ref().and_then(|all| all.get("sluice.dev/hook-run"));
        run.context("it was not run as a hook")?;

        // The interval is an hour and nobody asks.
        let maps = ops.api("v1", "ConfigMap").await?;
        ops.patch("v1", "ConfigMap", "map", json!({"data": {"k": "theirs"}})).await?;
        wait::until(&maps, "map", "put back", |map| map.data["data"]["k"] == "ours").await?;
        let first = uid(&ops.get("v1", "ConfigMap", "map").await?)?;
        ops.delete("v1", "ConfigMap", "map").await?;
        wait::until(&maps, "map", "made anew", |map| map.metadata.uid.as_ref() != Some(&first)).await?;
        let after = ops.get(KUSTOMIZE, "Kustomization", "app").await?;
        ensure!(after.metadata.generation == ready.metadata.generation);
        Ok(())
    })
    .await
}

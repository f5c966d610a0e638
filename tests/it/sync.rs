//! The main path: a commit becomes objects, and the objects stay what the commit says.

use crate::gitops::{GitOps, KUSTOMIZE, SOURCE, gitops, is_ready, message, uid, write_shop};
use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::json;
use sluice_tests::{Repository, condition, wait};
use std::collections::BTreeSet;

/// Names of the ConfigMaps that are not the cluster's own.
async fn config_maps(ops: &GitOps) -> Result<BTreeSet<String>> {
    let all = ops.api("v1", "ConfigMap").await?.list(&ListParams::default()).await?;
    Ok(all
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .filter(|name| name != "kube-root-ca.crt")
        .collect())
}

fn config_map(repository: &Repository, name: &str, value: &str) -> Result<()> {
    repository.write(
        &format!("{name}.yaml"),
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{key: {value}}}}}\n"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_becomes_objects_and_the_next_one_rolls_out() -> Result<()> {
    gitops("commit", async |ops| {
        write_shop(&ops.repository)?;
        let first = ops.repository.commit("Open the shop")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("shop", json!({"path": "./overlays/staging", "wait": true})).await?;
        let shop = ops.applied("shop", &first).await?;

        let status = &shop.data["status"];
        let revision = format!("main@sha1:{first}");
        ensure!(status["lastAttemptedRevision"] == revision.as_str(), "{status}");
        ensure!(message(&shop) == format!("Applied revision: {revision}"), "{status}");
        ensure!(condition(&shop, "Healthy") == Some("True"), "{status}");
        ensure!(status["history"][0]["lastReconciledStatus"] == "ReconciliationSucceeded", "{status}");
        let namespace = &ops.namespace;
        let entries = status["inventory"]["entries"].to_string();
        for id in [
            format!("{namespace}_staging-shop_apps_Deployment"),
            format!("{namespace}_staging-shop__Service"),
        ] {
            ensure!(entries.contains(&id), "{id} is not in {entries}");
        }
        let deployment = ops.get("apps/v1", "Deployment", "staging-shop").await?;
        ensure!(
            deployment.data["spec"]["replicas"] == 1 && deployment.data["status"]["availableReplicas"] == 1
        );
        let labels = deployment.metadata.labels.clone().unwrap_or_default();
        ensure!(labels["kustomize.toolkit.fluxcd.io/name"] == "shop", "{labels:?}");
        ensure!(labels["kustomize.toolkit.fluxcd.io/namespace"] == *namespace, "{labels:?}");
        let managers = deployment.metadata.managed_fields.clone().unwrap_or_default();
        ensure!(managers.iter().any(|entry| entry.manager.as_deref() == Some("kustomize-controller")));
        let before = config_maps(ops).await?;
        let generated = before.first().context("no generated ConfigMap")?;
        ensure!(before.len() == 1 && generated.starts_with("staging-shop-"), "{before:?}");
        let container = &deployment.data["spec"]["template"]["spec"]["containers"][0];
        ensure!(container["envFrom"][0]["configMapRef"]["name"] == generated.as_str(), "{container}");
        ops.told("Kustomization", "shop", "of success", |type_, reason, text| {
            type_ == "Normal"
                && reason == "ReconciliationSucceeded"
                && text.starts_with("Reconciliation finished in ")
        })
        .await?;

        ops.repository.replace("overlays/staging/shop.properties", "hello", "welcome")?;
        ops.repository.replace("base/deployment.yaml", "1.0.0", "1.1.0")?;
        let second = ops.push("A warmer welcome").await?;
        ops.applied("shop", &second).await?;
        let rolled = ops.get("apps/v1", "Deployment", "staging-shop").await?;
        ensure!(
            rolled.data["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/shop:1.1.0"
        );
        ensure!(uid(&rolled)? == uid(&deployment)?, "it was made anew");
        let after = config_maps(ops).await?;
        ensure!(after.len() == 1 && after != before, "the old ConfigMap was to go: {after:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_or_deleted_by_hand_comes_back() -> Result<()> {
    gitops("drift", async |ops| {
        write_shop(&ops.repository)?;
        let commit = ops.repository.commit("Open the shop")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("shop", json!({"path": "./overlays/production", "wait": true})).await?;
        ops.applied("shop", &commit).await?;

        ops.delete("apps/v1", "Deployment", "production-shop").await?;
        wait::gone(&ops.api("apps/v1", "Deployment").await?, "production-shop").await?;
        // As `kubectl edit` does: what such a hand has set is taken over and put back.
        let by_hand = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
        let other = Patch::Merge(json!({"spec": {"selector": {"app": "other"}}}));
        ops.api("v1", "Service").await?.patch("production-shop", &by_hand, &other).await?;
        ops.reconcile("shop").await?;
        let deployment = ops.get("apps/v1", "Deployment", "production-shop").await?;
        ensure!(deployment.data["status"]["availableReplicas"] == 3, "{}", deployment.data["status"]);
        let service = ops.get("v1", "Service", "production-shop").await?;
        ensure!(service.data["spec"]["selector"] == json!({"app": "shop"}), "{}", service.data["spec"]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_file_is_pruned_unless_pruning_is_off() -> Result<()> {
    gitops("prune", async |ops| {
        for folder in ["pruned", "kept"] {
            for name in ["stays", "leaves"] {
                config_map(&ops.repository, &format!("{folder}/{name}"), "x")?;
                ops.repository.replace(
                    &format!("{folder}/{name}.yaml"),
                    &format!("{folder}/{name}"),
                    &format!("{folder}-{name}"),
                )?;
            }
        }
        let commit = ops.repository.commit("Four maps")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("pruned", json!({"path": "./pruned"})).await?;
        ops.kustomization("kept", json!({"path": "./kept", "prune": false})).await?;
        ops.applied("pruned", &commit).await?;
        ops.applied("kept", &commit).await?;
        ensure!(config_maps(ops).await?.len() == 4);

        ops.repository.remove("pruned/leaves.yaml")?;
        ops.repository.remove("kept/leaves.yaml")?;
        let commit = ops.push("Two maps less").await?;
        ops.applied("pruned", &commit).await?;
        ops.applied("kept", &commit).await?;
        let left: Vec<_> = config_maps(ops).await?.into_iter().collect();
        ensure!(left == ["kept-leaves", "kept-stays", "pruned-stays"], "{left:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_removes_everything_that_was_applied_unless_pruning_is_off() -> Result<()> {
    gitops("finalizer", async |ops| {
        config_map(&ops.repository, "one", "x")?;
        config_map(&ops.repository, "two", "x")?;
        let commit = ops.repository.commit("Two maps")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("pruned", json!({"prune": true})).await?;
        ops.kustomization("kept", json!({"prune": false, "namePrefix": "kept-"})).await?;
        ops.applied("pruned", &commit).await?;
        ops.applied("kept", &commit).await?;
        let kustomizations = ops.api(KUSTOMIZE, "Kustomization").await?;
        for name in ["pruned", "kept"] {
            ops.delete(KUSTOMIZE, "Kustomization", name).await?;
            wait::gone(&kustomizations, name).await?;
        }
        let left: Vec<_> = config_maps(ops).await?.into_iter().collect();
        ensure!(left == ["kept-one", "kept-two"], "{left:?}");

        ops.delete(SOURCE, "GitRepository", "app").await?;
        wait::gone(&ops.api(SOURCE, "GitRepository").await?, "app").await?;
        let folder = ops.source.storage().join("gitrepository").join(&ops.namespace).join("app");
        ensure!(!folder.exists(), "the artifacts are still there");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspended_stays_as_it_is() -> Result<()> {
    gitops("suspend", async |ops| {
        config_map(&ops.repository, "map", "old")?;
        let commit = ops.repository.commit("Old")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({})).await?;
        ops.applied("app", &commit).await?;

        ops.patch(KUSTOMIZE, "Kustomization", "app", json!({"spec": {"suspend": true}})).await?;
        config_map(&ops.repository, "map", "new")?;
        let commit = ops.push("New").await?;
        ops.stored("app", &format!("main@sha1:{commit}")).await?;
        let request = ops.request_reconcile(KUSTOMIZE, "Kustomization", "app").await?;
        let kustomizations = ops.api(KUSTOMIZE, "Kustomization").await?;
        wait::until(&kustomizations, "app", "heard", |object| {
            object.data["status"]["lastHandledReconcileAt"] == request.as_str()
        })
        .await?;
        ensure!(ops.get("v1", "ConfigMap", "map").await?.data["data"]["key"] == "old");

        ops.patch(KUSTOMIZE, "Kustomization", "app", json!({"spec": {"suspend": false}})).await?;
        ops.applied("app", &commit).await?;
        ensure!(ops.get("v1", "ConfigMap", "map").await?.data["data"]["key"] == "new");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependent_waits_for_its_dependency_and_is_woken_by_it() -> Result<()> {
    gitops("depends", async |ops| {
        config_map(&ops.repository, "map", "x")?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        // No retry by the clock: only the dependency can wake it.
        ops.kustomization("second", json!({"namePrefix": "second-", "dependsOn": [{"name": "first"}]}))
            .await?;
        ops.fails(KUSTOMIZE, "Kustomization", "second", "DependencyNotReady").await?;
        ensure!(config_maps(ops).await?.is_empty(), "it did not wait");
        let begin = std::time::Instant::now();
        ops.kustomization("first", json!({"namePrefix": "first-"})).await?;
        ops.applied("second", &commit).await?;
        // By asking again at intervals it would take 30 s.
        ensure!(begin.elapsed().as_secs() < 25, "it took {:?}", begin.elapsed());
        Ok(())
    })
    .await
}

const UNHEALTHY: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: unhealthy}
spec:
  selector: {matchLabels: {app: unhealthy}}
  template:
    metadata: {labels: {app: unhealthy}, annotations: {test.sluice.dev/pod: unready}}
    spec: {containers: [{name: main, image: 'example.com/app:1'}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_health_holds_no_worker() -> Result<()> {
    let ops = GitOps::start("health", &["--concurrent=1"]).await?;
    let case = async {
        ops.repository.write("unhealthy/deployment.yaml", UNHEALTHY)?;
        config_map(&ops.repository, "healthy/map", "x")?;
        ops.repository.replace("healthy/map.yaml", "healthy/map", "map")?;
        let commit = ops.repository.commit("One never becomes ready")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("unhealthy", json!({"path": "./unhealthy", "wait": true, "timeout": "10m"}))
            .await?;
        let kustomizations = ops.api(KUSTOMIZE, "Kustomization").await?;
        wait::until(&kustomizations, "unhealthy", "checking health", |object| {
            condition(object, "Healthy") == Some("Unknown")
        })
        .await?;
        ops.kustomization("healthy", json!({"path": "./healthy", "wait": true})).await?;
        ops.applied("healthy", &commit).await?;

        let unhealthy = ops.get(KUSTOMIZE, "Kustomization", "unhealthy").await?;
        ensure!(!is_ready(&unhealthy), "{}", unhealthy.data["status"]);
        Ok(())
    }
    .await;
    ops.explain(case)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_fails_the_health_check_at_once() -> Result<()> {
    gitops("failed-job", async |ops| {
        ops.repository.write(
            "job.yaml",
            "apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {test.sluice.dev/pod: fail}}
    spec: {restartPolicy: Never, containers: [{name: main, image: 'example.com/app:1'}]}
",
        )?;
        ops.repository.commit("A job that fails")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({"wait": true, "timeout": "10m"})).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "app", "HealthCheckFailed").await?;
        let text = message(&failed);
        ensure!(text.contains("failed early due to stalled resources"), "{text}");
        ensure!(text.contains(&format!("Job/{}/migrate status: 'Failed'", ops.namespace)), "{text}");
        Ok(())
    })
    .await
}

/// A repository as the world has them: 200 folders with workloads, custom resources, RBAC and large ConfigMaps.
fn write_large(repository: &Repository, prefix: &str) -> Result<()> {
    repository.write(
        "crds/widgets.yaml",
        format!(
            "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.{prefix}.example.com}}
spec:
  group: {prefix}.example.com
  names: {{kind: Widget, plural: widgets}}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {{spec: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"
        ),
    )?;
    let large = "0123456789abcdef".repeat(2000);
    for index in 0..200 {
        let folder = format!("apps/app-{index:03}");
        let name = format!("app-{index:03}");
        let manifest = match index % 5 {
            0 => format!(
                "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
      - name: main
        image: example.com/app:{index}
        resources: {{limits: {{cpu: '1', memory: 128Mi}}, requests: {{cpu: 100m}}}}
        ports: [{{containerPort: 80}}]
"
            ),
            1 => format!(
                "apiVersion: {prefix}.example.com/v1
kind: Widget
metadata: {{name: {name}}}
spec: {{size: {index}, parts: [{{name: a}}, {{name: b}}]}}
"
            ),
            2 => format!(
                "apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  template:
    spec: {{restartPolicy: Never, containers: [{{name: main, image: 'example.com/app:{index}'}}]}}
"
            ),
            3 => format!(
                "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {prefix}-{name}}}
rules: [{{apiGroups: [''], resources: [pods], verbs: [get, list]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {prefix}-{name}}}
subjects: [{{kind: ServiceAccount, name: {name}, namespace: {prefix}}}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}}}
"
            ),
            _ => format!(
                "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{large: '{large}'}}}}\n"
            ),
        };
        repository.write(&format!("{folder}/manifest.yaml"), manifest)?;
    }
    Ok(())
}

/// The version of every object of a namespace that was applied.
async fn versions(ops: &GitOps, object: &DynamicObject) -> Result<Vec<(String, String)>> {
    let mut versions = Vec::new();
    let entries = object.data["status"]["inventory"]["entries"].as_array().context("no inventory")?;
    let kinds: BTreeSet<(String, String)> = entries
        .iter()
        .filter_map(|entry| {
            let mut parts = entry["id"].as_str()?.rsplitn(3, '_');
            let (kind, group) = (parts.next()?, parts.next()?);
            let version = entry["v"].as_str()?;
            let api_version =
                if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
            Some((api_version, kind.to_owned()))
        })
        .collect();
    for (api_version, kind) in kinds {
        for object in ops.api(&api_version, &kind).await?.list(&ListParams::default()).await? {
            let metadata = object.metadata;
            let owner = metadata.labels.unwrap_or_default().remove("kustomize.toolkit.fluxcd.io/namespace");
            // A Job's status changes by itself.
            if owner.as_deref() == Some(&ops.namespace) && kind != "Job" {
                let name = format!("{kind} {}", metadata.name.unwrap_or_default());
                versions.push((name, metadata.resource_version.unwrap_or_default()));
            }
        }
    }
    Ok(versions)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_reconcile_of_two_hundred_folders_writes_nothing() -> Result<()> {
    gitops("large", async |ops| {
        write_large(&ops.repository, &ops.namespace)?;
        let commit = ops.repository.commit("Two hundred folders")?;
        ops.git_repository(json!({})).await?;
        // With `wait` the cluster's own controllers have come to rest.
        ops.kustomization("large", json!({"timeout": "5m", "wait": true})).await?;
        let large = ops.applied("large", &commit).await?;
        let before = versions(ops, &large).await?;
        ensure!(before.len() == 40 * 6 + 1, "{} objects", before.len());

        let audit = sluice_tests::Audit::mark(ops.plane)?;
        let fetches = ops.server.count(sluice_tests::Operation::Fetch);
        ops.reconcile_kind(SOURCE, "GitRepository", "app").await?;
        let large = ops.reconcile("large").await?;
        ensure!(is_ready(&large), "{}", large.data["status"]);
        let changed: Vec<_> = versions(ops, &large).await?.into_iter().filter(|entry| !before.contains(entry)).collect();
        ensure!(changed.is_empty(), "{changed:?}");
        ensure!(ops.server.count(sluice_tests::Operation::Fetch) == fetches, "the unchanged commit was fetched again");
        if let Some(audit) = audit {
            let writes = audit.calls(|call| {
                call.is_write()
                    && (call.namespace == ops.namespace || call.name.contains(&ops.namespace))
                    // That it was asked to reconcile, and has, is in the status and in Events.
                    && !["kustomizations/status", "gitrepositories/status", "events"].contains(&call.resource.as_str())
            })?;
            ensure!(writes.is_empty(), "{writes:#?}");
        }
        Ok(())
    })
    .await
}
